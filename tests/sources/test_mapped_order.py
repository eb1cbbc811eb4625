"""What an answer in a system's own words comes to: one row for each state and difference."""

from typing import Any

import pytest

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.referrals.inquiries import Answer
from referral_rewards.domain.referrals.versions import NOTHING, OnRecord, Version
from referral_rewards.sources.asking import Unusable
from referral_rewards.sources.mapped_order import read
from tests.domain.build import at, fact
from tests.sources.mapped import AT, account, endpoint, example, order

O77 = OrderName("o-77")
OURS = Version(amount="80.00", currency="USD", taken_back="0.00", disputed=False)
ENDS = at("2026-07-24")
SHOP = endpoint()
KNOWN = OnRecord(ours=OURS, until=ENDS)
REVERSED, CLOSED = "conversion.reversed", "conversion.dispute_closed"
REFUND = {"id": "r-1", "amount": 20, "created_at": AT}


def answer(
    document: dict[str, Any] | None, on_record: OnRecord = KNOWN, its: dict[str, Any] | None = None
) -> tuple[Answer, str, list[tuple[str, dict[str, Any]]]]:
    said, facts = read("legacy-shop", SHOP, O77, (document, its or account()), on_record)
    return said.answer, said.sentence, [(each.type.value, _beside_order(each.public)) for each in facts]


def _beside_order(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "order"}


def taken(**changes: Any) -> OnRecord:
    return OnRecord(ours=Version(**({"amount": "80.00", "currency": "USD", "disputed": False} | changes)), until=ENDS)


def whole(**more: str) -> tuple[str, dict[str, Any]]:
    return (REVERSED, {"kind": "refund", "reversal": "reversed"} | more)


def part(amount: str, reversal: str = "r-1") -> tuple[str, dict[str, Any]]:
    return (REVERSED, {"kind": "refund", "reversal": reversal, "amount": amount, "currency": "USD"})


ENDED = (REVERSED, {"kind": "cancellation", "reversal": "ended"})
OPENED = ("conversion.dispute_opened", {"dispute": "disputed-2026-07-15T09:30:00+00:00"})


@pytest.mark.parametrize(
    ("document", "on_record", "answered", "facts"),
    [
        pytest.param(order(), KNOWN, "It knows order o-77, 80.00 USD.", [], id="stands"),
        pytest.param(order(total=80), KNOWN, "It knows order o-77, 80.00 USD.", [], id="written otherwise"),
        pytest.param(
            order(refunds=[REFUND]), KNOWN, "It knows order o-77, 80.00 USD; 20.00 of it was taken back.",
            [part("20.00")], id="a refund that we lack",
        ),
        pytest.param(
            order(refunds=[REFUND]), taken(taken_back="20.00"),
            "It knows order o-77, 80.00 USD; 20.00 of it was taken back.", [],
            id="a refund that another source told under an id of its own",
        ),
        pytest.param(
            order(status="refunded"), KNOWN, "It knows order o-77, 80.00 USD; it was reversed.", [whole()],
            id="reversed",
        ),
        pytest.param(
            order(status="refunded"), taken(taken_back="80.00"),
            "It knows order o-77, 80.00 USD; it was reversed.", [], id="reversed, as we know",
        ),
        pytest.param(
            order(status="chargeback"), KNOWN, "It knows order o-77, 80.00 USD; it is disputed.", [OPENED],
            id="disputed",
        ),
        pytest.param(
            order(status="chargeback"), taken(disputed=True), "It knows order o-77, 80.00 USD; it is disputed.", [],
            id="disputed, as we know",
        ),
    ],
)  # fmt: skip
def test_a_state_is_confirmed_and_what_we_lack_is_told(
    document: dict[str, Any], on_record: OnRecord, answered: str, facts: list[Any]
) -> None:
    assert answer(document, on_record) == (Answer.CONFIRMED, answered, facts)


@pytest.mark.parametrize(
    ("document", "on_record", "why"),
    [
        (order(total="70.00"), KNOWN, "its amount is 70.00 USD, ours 80.00 USD"),
        (order(currency="EUR"), KNOWN, "its currency is EUR, ours USD"),
        (order(), taken(taken_back="20.00"), "of it 0.00 was taken back, by our record 20.00"),
        (order(), taken(amount=None, currency=None), "its amount is 80.00 USD, ours none"),
    ],
)
def test_another_version_than_ours_contradicts_and_both_are_told(
    document: dict[str, Any], on_record: OnRecord, why: str
) -> None:
    assert answer(document, on_record) == (Answer.CONTRADICTED, f"It knows order o-77 differently: {why}.", [])


@pytest.mark.parametrize("document", [None, {}, {"order": None}, {"order": {}}])
def test_an_order_that_it_does_not_know_contradicts(document: dict[str, Any] | None) -> None:
    assert answer(document) == (Answer.CONTRADICTED, "It knows no order o-77.", [])


CLOSED_IN_TIME = account(state="closed", closed_at="2026-07-20T00:00:00Z")
CLOSED_LATER = account(state="closed", closed_at="2026-07-25T00:00:00Z")


@pytest.mark.parametrize(
    ("its", "on_record", "answered"),
    [
        pytest.param(CLOSED_IN_TIME, KNOWN, Answer.CONTRADICTED, id="closed early: no fact takes a paid order"),
        pytest.param(CLOSED_LATER, KNOWN, Answer.CONFIRMED, id="closed after the return period"),
        pytest.param(CLOSED_IN_TIME, OnRecord(ours=Version(), until=ENDS), Answer.CONTRADICTED, id="of an amount"),
    ],
)
def test_an_account_that_was_closed_is_told_as_a_cancellation(
    its: dict[str, Any], on_record: OnRecord, answered: Answer
) -> None:
    said, _, facts = answer(order(), on_record, its)
    assert (said, facts) == (answered, [ENDED])


def test_an_account_that_is_gone_contradicts() -> None:
    said, _ = read("legacy-shop", SHOP, O77, (order(), None), KNOWN)
    assert (said.answer, said.sentence) == (Answer.CONTRADICTED, "It knows order o-77, and no account of it.")


def test_an_order_that_we_do_not_have_is_recorded_with_its_customer() -> None:
    _, _, facts = answer(order(), NOTHING)
    assert facts == [
        (
            "conversion.recorded",
            {"kind": "purchase", "amount": "80.00", "currency": "USD", "customer": {"customer": "c-brie"}},
        )
    ]


def _stored(document: dict[str, Any], on_record: OnRecord = KNOWN) -> tuple[Fact, ...]:
    _, facts = read("legacy-shop", SHOP, O77, (document, account()), on_record)
    return tuple(
        fact(each.type, each.occurred_at, each.data, event_id=each.event_id, source=each.source) for each in facts
    )


@pytest.mark.parametrize("document", [order(refunds=[REFUND]), order(status="refunded"), order(status="chargeback")])
def test_asked_again_it_tells_nothing_anew(document: dict[str, Any]) -> None:
    known = _stored(document)
    assert known
    assert answer(document, OnRecord(ours=OURS, facts=known))[2] == []


def test_another_amount_under_a_refunds_id_is_told_so_that_it_contradicts() -> None:
    known = _stored(order(refunds=[REFUND]))
    changed = order(refunds=[REFUND | {"amount": 30}])
    assert answer(changed, OnRecord(ours=OURS, facts=known))[2] == [part("30.00")]


def test_a_sum_of_refunds_is_told_as_what_is_more_than_we_know() -> None:
    its = example()["revalidation"]["legacy-shop"]["order"]
    shop = endpoint(order={**its, "refunds": None, "map": its["map"] | {"taken_back": "refunded"}}, account=None)
    for known, told in (("0.00", ["30.00"]), ("20.00", ["10.00"]), ("30.00", [])):
        said, facts = read("legacy-shop", shop, O77, (order(refunded=30), None), taken(taken_back=known))
        assert (said.answer, [each.public["amount"] for each in facts]) == (Answer.CONFIRMED, told)


def test_a_dispute_that_it_told_of_ends_once_the_order_stands_again() -> None:
    on_record = OnRecord(
        ours=Version(amount="80.00", currency="USD", disputed=True), facts=_stored(order(status="chargeback"))
    )
    assert answer(order(), on_record)[2] == [(CLOSED, {"dispute": OPENED[1]["dispute"], "outcome": "won"})]
    others = OnRecord(
        ours=on_record.ours, facts=tuple(fact("conversion.dispute_opened", AT, {"order": "o-77"}) for _ in "1")
    )
    assert answer(order(), others)[2] == []


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (order(number="o-78"), "It was asked about order o-77 and told of another one."),
        (order(status="shipped"), "Its answer has a state 'shipped' that the mapping does not name."),
        (order(status="brie@example.com"), "Its answer has a state that the mapping does not name."),
        (order(status=None), "Its answer has nothing at the path of state."),
        (order(total=None), "Its answer has no amount of zero or more at the path of amount."),
        (order(total=-1), "Its answer has no amount of zero or more at the path of amount."),
        (order(total="many"), "Its answer can't be read: amount: is no amount;"),
        (order(total=[80]), "Its answer has no text at the path of amount."),
        (order(currency="bitcoin"), "Its answer has no currency of ISO 4217 beside an amount."),
        (order(status="refunded", updated_at=None), "Its answer does not say when the order changed:"),
        (order(updated_at="soon"), "Its answer can't be read: changed_at: is no moment;"),
        (order(refunds=[{"id": "r-1", "amount": 1}]), "Its answer has nothing at the path of time."),
        (order(refunds={}), "Its answer has no list where the mapping says."),
        (order(refunds=["r-1"]), "Its answer has a list of something else than objects where the mapping says."),
        ({"order": [1]}, "Its answer is not of the form that the mapping says: no object stands there."),
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_none(document: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable) as refused:
        answer(document)
    assert str(refused.value).startswith(why)


@pytest.mark.parametrize(
    ("told", "meant"), [("2026-07-15T11:30:00+02:00", AT), (1_784_107_800, AT), (1_784_107_800_000, AT)]
)
def test_a_moment_is_iso_8601_or_counted_since_1970(told: Any, meant: str) -> None:
    _, facts = read("legacy-shop", SHOP, O77, (order(status="refunded", updated_at=told), account()), KNOWN)
    assert [each.occurred_at for each in facts] == [at(meant.replace("Z", "+00:00"))]


def test_amounts_may_be_counted_in_minor_units() -> None:
    shop = endpoint(order=example()["revalidation"]["legacy-shop"]["order"] | {"minor_units": True})
    said, _ = read("legacy-shop", shop, O77, (order(total=8000), account()), KNOWN)
    assert (said.answer, said.theirs and said.theirs.amount) == (Answer.CONFIRMED, "80.00")


def test_no_sentence_says_anything_personal() -> None:
    for document in (order(), order(total=1), order(status="refunded")):
        assert "brie" not in answer(document)[1]
