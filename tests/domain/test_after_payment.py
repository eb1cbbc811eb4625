"""A referral of which money was sent: what new facts stop, and how it stands by its legs, the time and its cases."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest

from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.judging.after_payment import After, after, news, stops
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from tests.domain.build import bought, reversed_
from tests.domain.case_files import DAY, HOUR, ROW, file, leg, past
from tests.domain.dossiers import FACTS, NOW

_S: Final = ReferralStatus
PAID_LEG: Final = leg(LegState.PAID, PayoutState.SETTLED, sent=True)
BACK: Final = leg(LegState.CLAWED_BACK, PayoutState.SETTLED, sent=True)
OWED: Final = leg(LegState.RESERVED, PayoutState.REFUSED, sent=True)
HELD: Final = leg(LegState.TAX_HOLD, None)
#: Long after any watch.
LONG_AGO: Final = NOW - timedelta(days=900)
SOON: Final = NOW + HOUR


def case(status: ReferralStatus, **row: Any) -> Case:
    return file({"status": status, **row}).begun


@pytest.mark.parametrize("legs", [(OWED,), (PAID_LEG, OWED), (PAID_LEG, HELD), (BACK, OWED)])
@pytest.mark.parametrize("frozen", [False, True])
def test_it_is_being_paid_while_a_leg_is_owed(legs: tuple[ReservedLeg, ...], frozen: bool) -> None:
    found = after(case(_S.PAYING), legs, SOON, frozen=frozen)
    assert (found.row.status, found.row.wake_at, found.row.closed_at) == (_S.PAYING, SOON, None)
    assert not found.wakes_rivals


def test_it_is_denied_once_people_cancelled_the_payment_of_every_leg() -> None:
    found = after(case(_S.PAYING), (), None, frozen=False)
    row = found.row
    assert (row.status, row.reason, row.closed_at) == (_S.DENIED, Reason.DENIED_BY_DECISION, NOW)
    assert found.wakes_rivals


@pytest.mark.parametrize(
    ("before", "legs", "status"),
    [
        (_S.PAYING, (PAID_LEG,), _S.REWARDED),
        (_S.PAYING, (BACK,), _S.CLAWED_BACK),
        (_S.PAYING, (PAID_LEG, BACK), _S.REWARDED),
        (_S.REWARDED, (PAID_LEG,), _S.REWARDED),
        (_S.REWARDED, (OWED,), _S.REWARDED),
        (_S.REWARDED, (BACK, BACK), _S.CLAWED_BACK),
        (_S.CLAWED_BACK, (BACK,), _S.CLAWED_BACK),
        (_S.CLAWED_BACK, (PAID_LEG,), _S.REWARDED),  # what was taken back went back
    ],
)
def test_its_status_follows_from_its_legs(
    before: ReferralStatus, legs: tuple[ReservedLeg, ...], status: ReferralStatus
) -> None:
    """The rivals hear of the first reward alone."""
    found = after(case(before), legs, None, frozen=False)
    assert found.row.status is status
    assert found.wakes_rivals is (before is _S.PAYING)


@pytest.mark.parametrize("rewarded_at", [NOW - DAY, LONG_AGO])
def test_it_closes_when_its_watch_is_over_and_nothing_is_open(rewarded_at: datetime) -> None:
    for legs, frozen in product(((PAID_LEG,), (BACK,), (PAID_LEG, OWED)), (False, True)):
        row = after(case(_S.REWARDED, rewarded_at=rewarded_at), legs, None, frozen=frozen).row
        over = rewarded_at == LONG_AGO and OWED not in legs and not frozen
        assert (row.closed_at, row.closed_version) == ((NOW, len(FACTS)) if over else (None, None))
        assert (row.wake_at is None) is (rewarded_at == LONG_AGO)
        assert row.rewarded_at == rewarded_at


def test_what_was_paid_for_stays_whatever_newer_facts_say() -> None:
    """The facts name another order; the row keeps the one that was paid for."""
    paid = {"order_id": "of before", "net_minor": 1, "referrer": "ann", "version": 7, "claim_version": 1}
    row = after(case(_S.REWARDED, **paid), (PAID_LEG,), None, frozen=False).row
    assert (row.order_id, row.net_minor, row.referrer, row.version) == ("of before", 1, "ann", 7)
    assert (row.claim_version, row.judged_version) == (ROW.facts_version, ROW.facts_version)


def test_a_fact_of_another_order_stops_nothing() -> None:
    known = past(*FACTS, reversed_("2026-07-20"), bought("2026-07-21", order="o7"), reversed_("2026-07-22", order="o7"))
    its = file({"status": _S.PAYING, "facts_version": 7}, known=known)
    assert [fact.order for fact in news(its)] == ["o1", "o7", "o7"]
    assert stops(its) == (FactType.CONVERSION_REVERSED,)


def test_a_fact_that_is_to_come_stops_nothing_yet() -> None:
    later = replace(reversed_("2026-07-20"), occurred_at=NOW + HOUR)
    its = file({"status": _S.PAYING, "facts_version": 5}, known=past(*FACTS, later))
    assert (news(its), stops(its)) == ((), ())


def test_nothing_new_stops_nothing() -> None:
    its = file({"status": _S.PAYING})
    assert (news(its), stops(its)) == ((), ())
    assert after(its.begun, (PAID_LEG,), None, frozen=False) != After(its.row)
