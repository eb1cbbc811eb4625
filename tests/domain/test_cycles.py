"""Payout cycles: when they fall due, which legs they pay, and what decisions on them amount to."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.calendar import zone
from referral_rewards.domain.claims.approval import DecisionKind, Signoff
from referral_rewards.domain.cycles.authority import CycleAuthority, authority, shown_digest
from referral_rewards.domain.cycles.grouping import (
    CarriedFor,
    DueLeg,
    ListDigest,
    Minimum,
    cycle_id,
    cycle_payout_id,
    grouped,
    latest_due,
    line_of,
    next_due,
    opens_at,
)
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.programs.terms import PayoutCycle, Role
from tests.domain.build import TICK

MONTHLY = PayoutCycle(cycle="monthly", day=15)
LAST_DAY = PayoutCycle(cycle="monthly", day=31)
FRIDAYS = PayoutCycle(cycle="weekly", day=5)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("timing", "where", "after", "due", "opens"),
    [
        (MONTHLY, "UTC", "2026-07-15T06:00", "2026-08-15", "2026-08-15T06:00"),
        (MONTHLY, "America/Toronto", "2026-01-15T11:00", "2026-02-15", "2026-02-15T11:00"),
        (MONTHLY, "America/Toronto", "2026-02-15T11:00", "2026-03-15", "2026-03-15T10:00"),
        (LAST_DAY, "UTC", "2026-01-31T06:00", "2026-02-28", "2026-02-28T06:00"),
        (LAST_DAY, "UTC", "2028-01-31T06:00", "2028-02-29", "2028-02-29T06:00"),
        (LAST_DAY, "UTC", "2026-02-28T06:00", "2026-03-31", "2026-03-31T06:00"),
        (LAST_DAY, "UTC", "2026-12-31T06:00", "2027-01-31", "2027-01-31T06:00"),
        (PayoutCycle(cycle="monthly", day=30), "UTC", "2026-01-30T06:00", "2026-02-28", "2026-02-28T06:00"),
        # Clocks go forward on 29 March, at midnight in Beirut, and on 8 March in Toronto.
        (PayoutCycle(cycle="monthly", day=29), "Asia/Beirut", "2026-02-28T12:00", "2026-03-29", "2026-03-29T03:00"),
        (PayoutCycle(cycle="weekly", day=7), "America/Toronto", "2026-03-07T00:00", "2026-03-08", "2026-03-08T10:00"),
        (PayoutCycle(cycle="weekly", day=7), "America/Toronto", "2026-10-31T00:00", "2026-11-01", "2026-11-01T11:00"),
        (FRIDAYS, "UTC", "2026-07-24T05:59", "2026-07-24", "2026-07-24T06:00"),
        (FRIDAYS, "UTC", "2026-07-24T06:00", "2026-07-31", "2026-07-31T06:00"),
    ],
)
def test_the_next_cycle_opens_on_its_day_of_the_programs_calendar(
    timing: PayoutCycle, where: str, after: str, due: str, opens: str
) -> None:
    now = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = next_due(timing, zone(where), now)
    assert (found, opens_at(found, zone(where))) == (
        date.fromisoformat(due),
        datetime.fromisoformat(opens).replace(tzinfo=UTC),
    )


@pytest.mark.parametrize("timing", [MONTHLY, LAST_DAY, FRIDAYS], ids=["monthly", "last day", "weekly"])
@pytest.mark.parametrize("where", ["UTC", "America/Toronto", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"])
def test_a_cycle_is_the_latest_from_the_instant_it_opens_until_the_next_one_does(
    timing: PayoutCycle, where: str
) -> None:
    now, its = datetime(2026, 1, 1, tzinfo=UTC), zone(where)
    for _ in range(60):
        before, due = latest_due(timing, its, now), next_due(timing, its, now)
        opens = opens_at(due, its)
        assert before < due
        assert latest_due(timing, its, opens - TICK) == before
        assert latest_due(timing, its, opens) == due
        now = opens


APPROVED = datetime(2026, 7, 1, tzinfo=UTC)


def leg(number: int, **changes: Any) -> DueLeg:
    due = DueLeg(uuid5(UUID(int=0), str(number)), "dexter", "account_credit", "USD", None, 1000,
                 APPROVED + number * DAY)  # fmt: skip
    return replace(due, **changes)


def test_legs_of_one_payee_rail_and_currency_are_one_payout() -> None:
    legs = [leg(1), leg(2), leg(3, rail="stripe_transfer"), leg(4, currency="EUR"), leg(5, payee="brie")]
    made = grouped(legs, None)
    assert [(each.payee, each.rail, each.currency, each.amount_minor) for each in made.payouts] == [
        ("brie", "account_credit", "USD", 1000),
        ("dexter", "account_credit", "EUR", 1000),
        ("dexter", "account_credit", "USD", 2000),
        ("dexter", "stripe_transfer", "USD", 1000),
    ]
    assert made.carried == ()


@pytest.mark.parametrize(
    ("amounts", "minimum", "paid"),
    [
        ([1999], 2000, 0),
        ([2000], 2000, 2000),
        ([1000, 999], 2000, 0),
        ([1000, 1000], 2000, 2000),
        ([1], None, 1),
    ],
)
def test_a_payee_is_paid_from_the_minimum_on(amounts: list[int], minimum: int | None, paid: int) -> None:
    legs = [leg(number, amount_minor=amount) for number, amount in enumerate(amounts)]
    made = grouped(legs, None if minimum is None else Minimum(minimum, "USD"))
    assert sum(each.amount_minor for each in made.payouts) == paid
    assert [each.why for each in made.carried] == ([] if paid else [CarriedFor.BELOW_MINIMUM] * len(amounts))


def test_the_minimum_is_of_all_that_a_payee_gets_over_whichever_rails() -> None:
    legs = [leg(1), leg(2, rail="stripe_transfer"), leg(3, payee="brie"), leg(4, payee="brie", currency="EUR")]
    made = grouped(legs, Minimum(2000, "USD"))
    assert [(each.payee, each.rail, each.currency) for each in made.payouts] == [
        ("brie", "account_credit", "EUR"),
        ("dexter", "account_credit", "USD"),
        ("dexter", "stripe_transfer", "USD"),
    ]
    assert [(each.leg, each.why) for each in made.carried] == [(legs[2], CarriedFor.BELOW_MINIMUM)]


def test_a_payout_has_so_many_legs_and_one_destination_and_the_rest_is_carried_forward() -> None:
    legs = [leg(number) for number in range(4)] + [leg(9, destination="acct_new")]
    made = grouped(reversed(legs), None, legs_max=3)
    assert [each.legs for each in made.payouts] == [tuple(legs[:3])]
    assert [(each.leg, each.why) for each in made.carried] == [
        (legs[3], CarriedFor.TOO_MANY),
        (legs[4], CarriedFor.ANOTHER_DESTINATION),
    ]


LEGS = st.lists(
    st.builds(
        DueLeg,
        id=st.uuids(version=4),
        payee=st.sampled_from("abc"),
        rail=st.sampled_from(["x", "y"]),
        currency=st.sampled_from(["USD", "EUR"]),
        destination=st.sampled_from([None, "acct_1"]),
        amount_minor=st.integers(1, 3000),
        approved_at=st.integers(0, 5).map(lambda days: APPROVED + days * DAY),
    ),
    max_size=30,
    unique_by=lambda each: each.id,
)


@given(legs=LEGS, seed=st.integers(), legs_max=st.integers(1, 4))
def test_every_leg_is_paid_once_or_carried_with_a_reason_whatever_the_order(
    legs: list[DueLeg], seed: int, legs_max: int
) -> None:
    minimum = Minimum(2500, "USD")
    made = grouped(legs, minimum, legs_max=legs_max)
    ids = [each.id for payout in made.payouts for each in payout.legs] + [each.leg.id for each in made.carried]
    assert sorted(ids) == sorted(each.id for each in legs)
    assert all(
        {(each.payee, each.rail, each.currency, each.destination) for each in payout.legs}
        == {(payout.payee, payout.rail, payout.currency, payout.destination)}
        and 0 < len(payout.legs) <= legs_max
        for payout in made.payouts
    )
    random.Random(seed).shuffle(legs)
    assert grouped(legs, minimum, legs_max=legs_max) == made


def test_names_follow_from_what_is_named() -> None:
    first = cycle_id("acme-friends", date(2026, 7, 15))
    assert first == cycle_id("acme-friends", date(2026, 7, 15))
    assert first != cycle_id("acme-friends", date(2026, 8, 15))
    assert first != cycle_id("acme", date(2026, 7, 15))
    names = {
        cycle_payout_id(first, *each)
        for each in [("a", "b", "USD"), ("ab", "", "USD"), ("a", "b", "EUR"), ("a", "c", "USD"), ("b", "a", "USD")]
    }
    assert len(names) == 5


@pytest.mark.parametrize(
    "change", [{"payee": "brie"}, {"rail": "x"}, {"currency": "EUR"}, {"amount_minor": 1001}, {"leg": uuid4()}]
)
def test_the_digest_of_a_list_covers_each_payout_with_its_legs(change: dict[str, Any]) -> None:
    said = {"payee": "dexter", "rail": "account_credit", "currency": "USD", "leg": uuid4(), "amount_minor": 1000}
    payout = uuid4()

    def listed(payee: str, rail: str, currency: str, leg: UUID, amount_minor: int) -> str:
        digest = ListDigest()
        digest.add(line_of(payout, payee, rail, currency, [(leg, amount_minor)]))
        return digest.hexdigest()

    assert listed(**said) == listed(**said)  # type: ignore[arg-type]
    assert listed(**said) != listed(**(said | change))  # type: ignore[arg-type]


# What decisions amount to.

CYCLE = uuid4()
LIST = "d" * 64
RELEASE, STOP, RESUME = MoneyAct.RELEASE_CYCLE, MoneyAct.STOP_CYCLE, MoneyAct.RESUME_CYCLE
FINANCE = frozenset({Role.FINANCE})


def by(user: str, act: Any, state: str, listed: str | None, turn: int, roles: frozenset[Role] = FINANCE) -> Signoff:
    return Signoff(user, roles, act, shown_digest(CYCLE, state, listed, turn))


RELEASED = by("fay", RELEASE, "frozen", LIST, 0)


@pytest.mark.parametrize(
    ("made", "stands"),
    [
        ([], CycleAuthority()),
        ([RELEASED], CycleAuthority(1, False, "fay")),
        ([by("olga", RELEASE, "frozen", LIST, 0, frozenset({Role.PROGRAM_OWNER}))], CycleAuthority()),
        ([by("fay", RELEASE, "frozen", "another list", 0)], CycleAuthority()),
        ([by("fay", RELEASE, "frozen", None, 0)], CycleAuthority()),
        ([by("fay", RELEASE, "frozen", LIST, 1)], CycleAuthority()),
        ([by("fay", RELEASE, "collecting", LIST, 0)], CycleAuthority()),
        ([by("fay", DecisionKind.RELEASE, "frozen", LIST, 0)], CycleAuthority()),
        ([by("fay", RESUME, "stopped", LIST, 0)], CycleAuthority()),
        ([RELEASED, RELEASED], CycleAuthority(1, False, "fay")),
        ([RELEASED, by("olga", STOP, "released", LIST, 1)], CycleAuthority(2, True, "fay")),
        (
            [RELEASED, by("olga", STOP, "released", LIST, 1, frozenset({Role.OPERATIONS}))],
            CycleAuthority(2, True, "fay"),
        ),
        (
            [RELEASED, by("a", STOP, "released", LIST, 1), by("b", STOP, "released", LIST, 1)],
            CycleAuthority(2, True, "fay"),
        ),
        (
            [RELEASED, by("a", STOP, "released", LIST, 1), by("finn", RESUME, "stopped", LIST, 2)],
            CycleAuthority(3, False, "finn"),
        ),
        (
            [by("a", STOP, "collecting", None, 0), RELEASED, by("a", RESUME, "stopped", None, 1)],
            CycleAuthority(2, False, None),
        ),
        (
            [
                by("a", STOP, "frozen", LIST, 0),
                by("a", RESUME, "stopped", LIST, 1),
                RELEASED,
                by("fay", RELEASE, "frozen", LIST, 2),
            ],
            CycleAuthority(3, False, "fay"),
        ),
    ],
)
def test_decisions_on_a_cycle_count_where_they_follow_one_from_the_other(
    made: list[Signoff], stands: CycleAuthority
) -> None:
    assert authority(CYCLE, LIST, made) == stands
    assert stands.may_pay is (stands.released_by is not None and not stands.stopped)
