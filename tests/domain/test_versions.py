"""Two versions of an order: what each side knows, side by side, and where they differ without a fact that says so."""

from datetime import timedelta

import pytest

from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.domain.referrals.versions import (
    UNKNOWN,
    WHOLE,
    Version,
    differences,
    ours,
    side_by_side,
    told_by,
)
from tests.domain.build import acme, at, bought, fact

ENDS = at("2026-07-24")
OURS = Version(amount="80.00", currency="USD", taken_back="0.00", disputed=False)


def told(type_: str, day: str = "2026-07-11", **data: object) -> Event:
    document = {"specversion": "1.0", "id": f"{type_} {sorted(data.items())}", "source": "shop", "type": type_}
    return parse_event({**document, "time": f"{day}T12:00:00Z", "data": {"order": "o1", **data}})


RECORD = told("conversion.recorded", day="2026-07-10", kind="purchase", customer={}, amount="80.00", currency="USD")
OPENED = told("conversion.dispute_opened", dispute="d1")


@pytest.mark.parametrize(
    ("facts", "version"),
    [
        ([], UNKNOWN),
        ([RECORD], OURS),
        ([RECORD, told("conversion.amended", amount="90")], Version(True, "90.00", "USD", "0.00", False)),
        (
            [RECORD, *(told("conversion.reversed", kind="refund", reversal=each, amount="20") for each in "ab")],
            Version(True, "80.00", "USD", "40.00", False),
        ),
        ([RECORD, told("conversion.reversed", kind="refund")], Version(True, "80.00", "USD", "80.00", False)),
        (
            [
                RECORD,
                told("conversion.reversed", kind="refund", reversal="a", amount="20"),
                told("conversion.reversal_failed", reversal="a"),
            ],
            OURS,
        ),
        ([RECORD, OPENED], Version(True, "80.00", "USD", "0.00", True)),
        ([RECORD, OPENED, told("conversion.dispute_closed", dispute="d1", outcome="won")], OURS),
        (
            [told("conversion.recorded", kind="account_opened", customer={}), told("conversion.reversed", kind="x")],
            Version(taken_back=WHOLE, disputed=False),
        ),
    ],
)
def test_the_version_of_a_source_is_what_its_facts_come_to(facts: list[Event], version: Version) -> None:
    assert told_by(facts) == version


def test_our_version_is_what_the_conversion_is_worth() -> None:
    facts = [
        bought("2026-07-10"),
        fact("conversion.reversed", "2026-07-12", {"order": "o1", "kind": "refund", "amount": "20.00"}),
        fact("conversion.dispute_opened", "2026-07-13", {"order": "o1"}),
    ]
    (q,) = conversions(facts, facts[0].identity, acme())
    assert ours(q) == Version(amount="80.00", currency="USD", taken_back="20.00", disputed=True)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (OURS, ""),
        (Version(), ""),
        (Version(amount="80.00", currency="EUR"), "its currency is EUR, ours USD"),
        (Version(amount="70.00", currency="USD"), "its amount is 70.00 USD, ours 80.00 USD"),
        (Version(amount="80.00", currency="USD", taken_back="20.00"), ""),  # a fact says so
        (Version(disputed=True), ""),  # a fact says so
        (Version(ended_at=ENDS), ""),
        (
            Version(ended_at=ENDS - timedelta(seconds=1)),
            "its account was closed or its subscription ended on 2026-07-24, within the return period",
        ),
    ],
)
def test_what_no_fact_settles_is_told(theirs: Version, said: str) -> None:
    assert "; ".join(differences(OURS, theirs, ENDS)) == said


def test_a_source_that_knows_of_less_taken_back_contradicts() -> None:
    mine = Version(amount="80.00", currency="USD", taken_back="20.00")
    theirs = Version(amount="80.00", currency="USD", taken_back="0.00")
    assert differences(mine, theirs, None) == ("of it 0.00 was taken back, by our record 20.00",)


def test_an_order_without_an_amount_ends_by_a_fact() -> None:
    assert differences(Version(), Version(ended_at=ENDS - timedelta(days=1)), ENDS) == ()


def test_both_stand_side_by_side() -> None:
    theirs = Version(amount="70.00", currency="USD", disputed=True)
    assert [tuple(each) for each in side_by_side(OURS, theirs)] == [
        ("order", "known", "known", False),
        ("amount", "80.00 USD", "70.00 USD", True),
        ("taken back", "0.00 USD", "not said", False),
        ("dispute", "none open", "open", True),
    ]


def test_an_unknown_order_stands_beside_ours() -> None:
    assert next(iter(side_by_side(OURS, UNKNOWN))) == ("order", "known", "not known", True)


@pytest.mark.parametrize("version", [OURS, UNKNOWN, Version(ended_at=ENDS), Version(amount="500", currency="JPY")])
def test_a_version_is_the_same_after_it_was_stored(version: Version) -> None:
    assert Version.from_json(version.as_json()) == version
