"""Which reversals of an order count, what amendments make of it, and what is told in different ways."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.claims.checks_of_conversion import conversion_not_reversed, evidence_agrees
from referral_rewards.domain.facts.events import Fact, parse_event
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.conversions import Conversion, conversions
from tests.domain.build import acme, bought, fact, reversed_, sent
from tests.domain.dossiers import dossier, told

TERMS = acme()
WHO = sent("2026-06-01").identity


def back(day: int, amount: str | None = None, *, by: str = "shop", kind: str = "refund", **data: Any) -> Fact:
    told = {"order": "o1", "kind": kind, **data, **({"amount": amount} if amount else {})}
    return fact(FactType.CONVERSION_REVERSED, f"2026-07-{day:02}", told, source=by)


def failed(day: int, reversal: str | None = None, *, by: str = "shop") -> Fact:
    data = {"order": "o1", **({"reversal": reversal} if reversal else {})}
    return fact(FactType.REVERSAL_FAILED, f"2026-07-{day:02}", data, source=by)


def amended(day: int, amount: str, *, by: str = "shop", **data: Any) -> Fact:
    return fact(FactType.CONVERSION_AMENDED, f"2026-07-{day:02}", {"order": "o1", "amount": amount, **data}, source=by)


def lost(day: int, **data: Any) -> Fact:
    return fact(FactType.DISPUTE_CLOSED, f"2026-07-{day:02}", {"order": "o1", "outcome": "lost", **data})


def of(*facts: Fact, amount: str | None = "80.00", currency: str = "USD") -> Conversion:
    (found,) = conversions([bought("2026-07-02", amount=amount, currency=currency), *facts], WHO, TERMS)
    return found


X, Y = {"reversal": "x"}, {"reversal": "y"}


@pytest.mark.parametrize(
    ("why", "facts", "net_minor", "conflicts"),
    [
        # One id is one reversal
        ("two systems, one id", [back(9, "30", **X), back(9, "30.00", by="bank", **X)], 5000, 0),
        ("its larger amount", [back(9, "30", **X), back(9, "31", by="bank", **X)], 4900, 1),
        ("all of it is the larger", [back(9, "30", **X), back(9, by="bank", **X)], 0, 1),
        ("other ids add up", [back(9, "30", **X), back(9, "30", **Y)], 2000, 0),
        ("one source without ids adds up", [back(9, "30"), back(10, "30")], 2000, 0),
        # Copies under other ids or none
        ("two systems without ids", [back(9, "30"), back(9, "30", by="bank")], 5000, 1),
        ("two systems, two ids", [back(9, "30", **X), back(9, "30", by="bank", **Y)], 5000, 1),
        ("one has an id", [back(9, "30", **X), back(9, "30", by="bank")], 5000, 1),
        ("as many as one tells", [back(9, "30"), back(10, "30"), back(9, "30", by="bank")], 2000, 1),
        ("one tells another by its id", [back(9, "30", **X), back(9, "30", by="bank", **X), back(10, "30")], 2000, 0),
        ("other amounts add up", [back(9, "30"), back(9, "20", by="bank")], 3000, 0),
        ("all of it, written out or not", [back(9), back(9, "80", by="bank")], 0, 1),
        ("other kinds too", [back(9, "30"), back(9, "30", by="bank", kind="chargeback_lost")], 5000, 1),
        # Failures
        ("undone", [back(9, **X), failed(12, "x")], 8000, 0),
        ("another stands", [back(9, "30", **X), back(9, "20", **Y), failed(12, "x")], 6000, 0),
        ("another source still tells it", [back(9, **X), back(9, by="bank", **X), failed(12, "x")], 0, 1),
        ("both tell that it failed",
         [back(9, **X), back(9, by="bank", **X), failed(12, "x"), failed(12, "x", by="bank")], 8000, 0),
        ("a source that never told it", [back(9, **X), failed(12, "x", by="bank")], 0, 1),
        ("without an id", [back(9), failed(12)], 0, 1),
        ("of nothing that is known", [failed(12, "x")], 8000, 0),
        ("told on without its id", [back(9, "30", **X), back(9, "30", by="bank"), failed(12, "x")], 5000, 1),
        # Currencies
        ("in its currency", [back(9, "30", currency="USD")], 5000, 0),
        ("in another", [back(9, "1500", currency="JPY")], 8000, 1),
        ("finer than a cent", [back(9, "10.005")], 8000, 1),
        ("zeros are not finer", [back(9, "10.0000")], 7000, 0),
        ("one of two can be read", [back(9, "30", **X), back(9, "4500", by="bank", currency="JPY", **X)], 5000, 1),
        ("a dispute in another", [lost(9, amount="1500", currency="JPY")], 8000, 1),
        ("a dispute in its own", [lost(9, amount="30", currency="USD")], 5000, 0),
        # Kinds
        ("an unknown kind counts", [back(9, "30", kind="goodwill")], 5000, 0),
        ("kinds are read without case", [back(9, "30", kind="Chargeback_LOST"), lost(9, amount="30")], 5000, 0),
        ("a cancellation takes nothing of an amount", [back(9, kind="cancellation")], 8000, 0),
        ("one of two words is a refund", [back(9, **X, kind="cancellation"), back(9, by="bank", **X)], 0, 0),
        # Amendments
        ("edited up", [amended(3, "140.00")], 14000, 0),
        ("the latest stands", [amended(3, "140.00"), amended(4, "90.00")], 9000, 0),
        ("of one instant by source", [amended(3, "140.00"), amended(3, "90.00", by="till")], 9000, 0),
        ("before reversals", [amended(3, "140.00"), back(9, "30")], 11000, 0),
        ("all of it is all of the latest", [amended(3, "140.00"), back(2)], 0, 0),
        ("dated before the order", [amended(1, "90.00")], 9000, 0),
        ("in another currency", [amended(3, "140.00", currency="EUR")], 8000, 1),
    ],
)  # fmt: skip
def test_an_order_is_worth_what_is_left_of_it(why: str, facts: list[Fact], net_minor: int, conflicts: int) -> None:
    for arrived in permutations(facts):
        found = of(*arrived)
        assert (found.net_minor, len(found.conflicts)) == (net_minor, conflicts), (why, found.conflicts)
        assert {each.id for each in found.told} == {each.id for each in facts}


@pytest.mark.parametrize(
    ("why", "facts", "net_minor", "perhaps"),
    [
        ("net and with tax", [back(9, "30", **X), back(9, "32.40", by="bank", **Y)], 1760, ["30"]),
        ("without ids", [back(9, "30"), back(9, "32.40", by="bank")], 1760, ["30"]),
        ("at the highest rate", [back(9, "30"), back(9, "39.00", by="bank")], 1100, ["30"]),
        ("above it two", [back(9, "30"), back(9, "39.01", by="bank")], 1099, []),
        ("by one source two", [back(9, "30", **X), back(9, "32.40", **Y)], 1760, []),
        ("a return and its refund", [back(9, "30", kind="return"), back(9, "32.40", by="bank")], 1760, ["30"]),
        ("a chargeback is another matter",
         [back(9, "30"), back(9, "32.40", by="bank", kind="chargeback_lost")], 1760, []),
        ("that of a failed one", [back(9, "30", **X), back(9, "32.40", by="bank", **Y), failed(12, "x")], 4760, []),
        ("three systems", [back(9, "20"), back(9, "21", by="bank"), back(9, "22", by="till")], 1700, ["20", "21"]),
    ],
)  # fmt: skip
def test_a_refund_and_the_same_with_its_tax_both_count_and_may_be_one(
    why: str, facts: list[Fact], net_minor: int, perhaps: list[str]
) -> None:
    for arrived in permutations(facts):
        found = of(*arrived)
        amounts = sorted({fact.data["amount"] for fact in found.perhaps_twice})
        assert (found.net_minor, amounts, found.conflicts) == (net_minor, perhaps, ()), why


@pytest.mark.parametrize(
    ("told", "changed"),
    [
        ([], []),
        ([amended(3, "80"), amended(4, "80.00")], []),
        ([amended(3, "140.00"), amended(4, "140.00"), amended(5, "80.00")], [0, 2]),
        ([amended(3, "140.00", currency="EUR"), amended(4, "80.00")], [0]),
    ],
)
def test_an_amendment_that_repeats_the_amount_that_stood_changed_nothing(told: list[Fact], changed: list[int]) -> None:
    for arrived in permutations(told):
        assert of(*arrived).amendments == tuple(told[number] for number in changed)


@pytest.mark.parametrize(
    ("why", "facts", "counts"),
    [
        ("nothing happened", [], True),
        ("cancelled", [back(9, kind="cancellation")], False),
        ("by an unknown word", [back(9, kind="goodwill")], False),
        ("the cancellation failed", [back(9, kind="cancellation", **X), failed(10, "x")], True),
        ("an amendment has nothing to change", [amended(9, "0", currency="USD")], True),
    ],
)
def test_without_an_amount_it_counts_until_it_is_reversed(why: str, facts: list[Fact], counts: bool) -> None:
    assert of(*facts, amount=None).counts is counts, why


@pytest.mark.parametrize(
    ("facts", "counts", "would_count"),
    [
        ([], True, True),
        ([amended(3, "49.99")], False, True),
        ([amended(1, "49.99")], False, False),
        ([amended(3, "49.99"), amended(4, "50")], True, True),
        ([amended(3, "140"), back(9, "100")], False, True),
    ],
)
def test_it_would_have_counted_by_the_largest_amount_it_had(facts: list[Fact], counts: bool, would_count: bool) -> None:
    assert (of(*facts).counts, of(*facts).would_count) == (counts, would_count)


def test_in_another_currency_the_minimum_is_not_applied() -> None:
    assert of(amended(3, "1"), amount="80", currency="EUR").counts


def test_both_versions_are_in_the_evidence() -> None:
    yen = told("conversion.reversed", "2026-07-21", order="o1", kind="refund", amount="1500", currency="JPY")
    finding = evidence_agrees(dossier(yen))
    assert finding.flags == ("evidence_conflict",)
    assert "1500 JPY for an order in USD: it takes nothing by itself" in finding.sentence
    assert yen in finding.facts
    assert conversion_not_reversed(dossier(yen)).sentence == "Order o1 was not reversed."


def test_both_amounts_of_an_amended_order_are_in_the_evidence() -> None:
    edited = told("conversion.amended", "2026-07-11", order="o1", amount="140.00")
    finding = evidence_agrees(dossier(edited))
    assert (finding.flags, finding.facts[-1]) == ((), edited)
    assert finding.sentence.endswith("; its amount was amended from 80.00 USD to 140.00 USD.")


_AMOUNT = st.sampled_from((None, "30", "30.00", "20", "80", "10.005"))
_BACK = st.builds(
    back,
    st.integers(1, 20),
    _AMOUNT,
    by=st.sampled_from(("shop", "bank", "till")),
    kind=st.sampled_from(("refund", "return", "cancellation", "chargeback_lost", "goodwill")),
    reversal=st.sampled_from(("x", "y", "z")),
    currency=st.sampled_from(("USD", "JPY")),
)
_TOLD = st.one_of(
    _BACK,
    st.builds(reversed_, st.sampled_from(("2026-07-05", "2026-07-06")), amount=_AMOUNT),
    st.builds(failed, st.integers(1, 20), st.sampled_from((None, "x", "y")), by=st.sampled_from(("shop", "bank"))),
    st.builds(amended, st.integers(1, 20), st.sampled_from(("10", "140", "1.001"))),
    st.builds(lost, st.integers(1, 20), amount=st.sampled_from(("30", "80"))),
)


@given(st.lists(_TOLD, max_size=6), st.randoms())
def test_the_order_of_arrival_changes_nothing(facts: list[Fact], chance: Any) -> None:
    found = of(*facts)
    shuffled = list(facts)
    chance.shuffle(shuffled)
    other = of(*shuffled)
    assert (other.net_minor, other.counts, other.conflicts) == (found.net_minor, found.counts, found.conflicts)


@given(st.lists(_TOLD, max_size=5), _BACK)
def test_the_same_told_again_by_its_source_takes_nothing_more(facts: list[Fact], again: Fact) -> None:
    later = fact(again.type, "2026-07-25", again.data, source=again.source)
    assert of(*facts, again, later).net_minor == of(*facts, again).net_minor


@pytest.mark.parametrize(
    ("type_", "data", "warned"),
    [
        ("conversion.reversed", {"kind": "Refund"}, []),
        ("conversion.reversed", {"kind": "goodwill"}, ["data.kind"]),
        ("conversion.reversed", {"kind": "refund", "amount": "1.005", "currency": "USD"}, ["data.amount"]),
        ("conversion.reversed", {"kind": "refund", "amount": "1.005"}, []),
        ("conversion.amended", {"amount": "1.5", "currency": "JPY"}, ["data.amount"]),
        ("conversion.dispute_opened", {"amount": "1.5", "currency": "JPY"}, ["data.amount"]),
    ],
)
def test_what_has_no_effect_by_itself_is_warned_of(type_: str, data: dict[str, Any], warned: list[str]) -> None:
    document = {"specversion": "1.0", "id": "1", "source": "shop", "type": type_, "time": "2026-07-01T00:00:00Z"}
    event = parse_event({**document, "data": {"order": "o1", **data}})
    assert [warning.where for warning in event.warnings] == warned
