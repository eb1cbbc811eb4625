"""The four periods of SPEC §4, a row at each of their boundaries. Clocks are UTC's unless a row names a zone.

The invitation of most rows is of 1 June, noon: it lives until 1 July, noon, and its offer, grace and return periods are
of 30, 30 and 14 days.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.lifecycle import Reason
from referral_rewards.domain.referrals.lifecycle import ReferralStatus as S
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.domain.referrals.periods import Course, course, reopened
from tests.domain.build import (
    TICK,
    acme,
    at,
    backfilled,
    bought,
    claimed,
    enrolled,
    fact,
    rated,
    requested,
    reversed_,
    sent,
    withdrawn,
)

R = at("2026-06-01")
INVITE_ENDS = at("2026-07-01")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EVER_AFTER = at("2030-01-01")
TERMS = acme()
MIA = {"email": "mia@example.com"}


def stands(facts: Iterable[Fact], now: str | datetime = EVER_AFTER, terms: Terms = TERMS) -> Course:
    """Where a referral stands whose facts came when they happened."""
    linked, moment = list(facts), at(now) if isinstance(now, str) else now
    begun = origin(linked, moment)
    assert begun is not None
    return course(linked, terms, moment, origin=begun)


def backfill(facts: Iterable[Fact], now: str | datetime = EVER_AFTER, terms: Terms = TERMS) -> Course:
    """Where it stands if they all came in one finished file."""
    return stands(backfilled(facts), now, terms)


def verdict(stood: Course) -> tuple[S, Reason | None]:
    return stood.status, stood.reason


IN_REVIEW = (S.IN_REVIEW, None)
NOT_CLAIMED = (S.EXPIRED, Reason.INVITATION_NOT_CLAIMED)
GRACE_ENDED = (S.EXPIRED, Reason.GRACE_PERIOD_ENDED)
NO_CONVERSION = (S.EXPIRED, Reason.NO_CONVERSION)
REVERSED = (S.DENIED, Reason.CONVERSION_REVERSED)
WITHDRAWN = (S.WITHDRAWN, None)


@pytest.mark.parametrize(
    ("channel", "claim", "expected"),
    [
        ("email", INVITE_ENDS - TICK, NO_CONVERSION),
        ("email", INVITE_ENDS, NOT_CLAIMED),
        ("email", INVITE_ENDS + TICK, NOT_CLAIMED),
        ("email", R, NO_CONVERSION),
        ("email", R - DAY, NO_CONVERSION),
        ("link", INVITE_ENDS + 100 * DAY, NO_CONVERSION),
    ],
)
def test_a_claim_at_the_end_of_the_invitation_is_too_late(
    channel: str, claim: datetime, expected: tuple[S, Reason | None]
) -> None:
    assert verdict(backfill([sent(R, channel=channel), claimed(claim)])) == expected


@pytest.mark.parametrize(
    ("why", "purchases", "claim", "expected"),
    [
        ("nothing bought", [], INVITE_ENDS, NOT_CLAIMED),
        ("bought as it was sent", [R], R + 30 * DAY - TICK, IN_REVIEW),
        ("bought in the last tick", [INVITE_ENDS - TICK], INVITE_ENDS + 30 * DAY - 2 * TICK, IN_REVIEW),
        ("grace at its end", [INVITE_ENDS - TICK], INVITE_ENDS + 30 * DAY - TICK, GRACE_ENDED),
        ("bought at the end", [INVITE_ENDS], INVITE_ENDS + DAY, NOT_CLAIMED),
        ("bought before it was sent", [R - TICK], INVITE_ENDS, NOT_CLAIMED),
        ("the latest purchase counts", [R + DAY, R + 20 * DAY], R + 50 * DAY - TICK, IN_REVIEW),
        ("bought at the end does not", [INVITE_ENDS - DAY, INVITE_ENDS], INVITE_ENDS + 29 * DAY, GRACE_ENDED),
        ("and its end too", [R + DAY, R + 20 * DAY], R + 50 * DAY, GRACE_ENDED),
    ],
)
def test_a_purchase_while_the_invitation_lives_keeps_the_door_open_for_grace(
    why: str, purchases: list[datetime], claim: datetime, expected: tuple[S, Reason | None]
) -> None:
    orders = [bought(p, order=f"o{index}") for index, p in enumerate(purchases)]
    assert verdict(backfill([sent(R), *orders, claimed(claim)])) == expected, why


@pytest.mark.parametrize(
    ("why", "purchase", "expected"),
    [
        ("as it is sent", [bought(R)], GRACE_ENDED),
        ("not before", [bought(R - TICK)], NOT_CLAIMED),
        ("whatever its amount", [bought(R + DAY, amount="0.01")], GRACE_ENDED),
        ("whatever its reversals", [bought(R + DAY), reversed_(R + 2 * DAY)], GRACE_ENDED),
        ("only a kind of the terms", [bought(R + DAY, kind="newsletter")], NOT_CLAIMED),
        ("only the referee's", [bought(R + DAY, customer=MIA)], NOT_CLAIMED),
    ],
)
def test_any_purchase_keeps_the_door_open(why: str, purchase: list[Fact], expected: tuple[S, Reason | None]) -> None:
    assert verdict(backfill([sent(R), *purchase])) == expected, why


C = R + 19 * DAY


@pytest.mark.parametrize(
    ("purchase", "expected"),
    [
        (C + 30 * DAY - TICK, IN_REVIEW),
        (C + 30 * DAY, NO_CONVERSION),
        (C + 30 * DAY + TICK, NO_CONVERSION),
        (C + TICK, IN_REVIEW),
        (C, IN_REVIEW),
        (C - TICK, IN_REVIEW),
        (R, IN_REVIEW),
        (R - TICK, NO_CONVERSION),
    ],
)
def test_a_conversion_at_the_exact_deadline_is_late(purchase: datetime, expected: tuple[S, Reason | None]) -> None:
    assert verdict(backfill([sent(R), claimed(C), bought(purchase)])) == expected


@pytest.mark.parametrize(
    ("purchase", "expected"),
    [
        (C - 30 * DAY, NO_CONVERSION),
        (C - 30 * DAY + TICK, IN_REVIEW),
        (C - TICK, IN_REVIEW),
        (C, IN_REVIEW),
        (C + 30 * DAY - TICK, IN_REVIEW),
        (C + 30 * DAY, NO_CONVERSION),
    ],
)
def test_grace_reaches_back_from_a_claim_that_begins_its_referral(
    purchase: datetime, expected: tuple[S, Reason | None]
) -> None:
    assert verdict(backfill([claimed(C, begins=True), bought(purchase)])) == expected


def test_without_grace_a_purchase_at_the_instant_of_the_claim_still_qualifies() -> None:
    terms = acme(periods__grace="P0D")
    assert verdict(backfill([sent(R), claimed(C), bought(C)], terms=terms)) == IN_REVIEW
    assert verdict(backfill([sent(R), claimed(C), bought(C - TICK)], terms=terms)) == NO_CONVERSION


def test_periods_of_no_time_at_all_hold_nothing() -> None:
    assert verdict(backfill([sent(R), claimed(R)], terms=acme(periods__expiry={"email": "P0D"}))) == NOT_CLAIMED
    no_offer = acme(periods__offer="P0D")
    assert verdict(backfill([sent(R), claimed(C), bought(C)], terms=no_offer)) == NO_CONVERSION
    assert verdict(backfill([sent(R), claimed(C), bought(C - TICK)], terms=no_offer)) == IN_REVIEW


P = C + 10 * DAY
RETURN_ENDS = P + 14 * DAY


@pytest.mark.parametrize(
    ("now", "status", "deadline", "wake_at"),
    [
        (R, S.INVITED, INVITE_ENDS, INVITE_ENDS + HOUR),
        (C - TICK, S.INVITED, INVITE_ENDS, INVITE_ENDS + HOUR),
        (C, S.CLAIMED, C + 30 * DAY, C + 30 * DAY + HOUR),
        (P - TICK, S.CLAIMED, C + 30 * DAY, C + 30 * DAY + HOUR),
        (P, S.IN_RETURN_PERIOD, RETURN_ENDS, RETURN_ENDS + HOUR),
        (RETURN_ENDS, S.IN_RETURN_PERIOD, RETURN_ENDS, RETURN_ENDS + HOUR),
        (RETURN_ENDS + HOUR - TICK, S.IN_RETURN_PERIOD, RETURN_ENDS, RETURN_ENDS + HOUR),
        (RETURN_ENDS + HOUR, S.IN_REVIEW, None, None),
        (EVER_AFTER, S.IN_REVIEW, None, None),
    ],
)
def test_a_referral_goes_through_its_periods(
    now: datetime, status: S, deadline: datetime | None, wake_at: datetime | None
) -> None:
    # What still lies ahead of `now` has not been told yet.
    known = [fact for fact in [sent(R), claimed(C), bought(P)] if fact.occurred_at <= now]
    for stood in (stands(known, now), backfill(known, now)):
        assert (stood.status, stood.deadline, stood.wake_at) == (status, deadline, wake_at)


@pytest.mark.parametrize(
    ("purchases", "ends", "expected"),
    [
        ([], INVITE_ENDS, (S.INVITED, NOT_CLAIMED)),
        ([R + 19 * DAY], R + 49 * DAY, (S.PURCHASED_UNCLAIMED, GRACE_ENDED)),
    ],
)
def test_expiring_shows_an_allowance_after_the_deadline(
    purchases: list[datetime], ends: datetime, expected: tuple[S, tuple[S, Reason]]
) -> None:
    facts = [sent(R), *(bought(p) for p in purchases)]
    before, after = stands(facts, ends + HOUR - TICK), stands(facts, ends + HOUR)
    assert (before.status, before.deadline, before.wake_at) == (expected[0], ends, ends + HOUR)
    assert (verdict(after), after.closes_at, after.deadline, after.wake_at) == (expected[1], ends, None, None)


def test_an_invitation_that_never_ends_waits_for_no_instant() -> None:
    stood = stands([sent(R, channel="social")])
    assert (stood.status, stood.deadline, stood.wake_at) == (S.INVITED, None, None)
    assert stands([sent(R, channel="social"), bought(P)]).status is S.PURCHASED_UNCLAIMED


def test_another_channel_expires_if_the_terms_say_so() -> None:
    terms = acme(periods__expiry={"email": "P30D", "social": "P1D"})
    assert verdict(backfill([sent(R, channel="social"), claimed(R + DAY)], terms=terms)) == NOT_CLAIMED


def test_a_lead_counts_as_claimed_when_it_is_sent() -> None:
    stood = stands([sent(R, channel="lead")], R)
    assert (stood.status, stood.claimed_at, stood.invite_ends) == (S.CLAIMED, R, None)
    assert verdict(backfill([sent(R, channel="lead"), bought(R + 30 * DAY - TICK)])) == IN_REVIEW
    assert verdict(backfill([sent(R, channel="lead"), bought(R + 30 * DAY)])) == NO_CONVERSION


def test_a_claim_dated_before_the_invitation_counts_as_made_with_it() -> None:
    stood = backfill([claimed(R - 5 * DAY), sent(R)], R + DAY)
    assert (stood.status, stood.claimed_at) == (S.CLAIMED, R)


def test_no_return_period_is_over_at_once() -> None:
    facts, terms = [sent(R), claimed(C), bought(P)], acme(periods__return="P0D", periods__arrival_allowance="PT0S")
    assert stands(facts, P, terms).status is S.IN_REVIEW


@pytest.mark.parametrize(
    ("zone", "boundary", "first", "claim"),
    [
        ("America/Toronto", "instant", "2026-10-25T14:00", "2026-11-24T15:00"),
        ("America/Toronto", "end_of_day", "2026-10-25T14:00", "2026-11-25T05:00"),
        ("America/Toronto", "instant", "2026-02-06T07:30", "2026-03-08T07:30"),
        ("Asia/Kolkata", "end_of_day", "2026-06-01T20:00", "2026-07-02T18:30"),
        ("Australia/Lord_Howe", "instant", "2026-09-03T15:45", "2026-10-03T15:45"),
        ("Australia/Lord_Howe", "end_of_day", "2026-09-03T15:45", "2026-10-04T13:00"),
        ("UTC", "end_of_day", "2026-06-01T00:00", "2026-07-01T00:00"),
    ],
)
def test_periods_end_on_the_programs_clocks(zone: str, boundary: str, first: str, claim: str) -> None:
    terms = acme(timezone=zone, periods__day_boundary=boundary)
    assert verdict(backfill([sent(first), claimed(at(claim) - TICK)], terms=terms)) == NO_CONVERSION
    assert verdict(backfill([sent(first), claimed(claim)], terms=terms)) == NOT_CLAIMED


# -- what counts


@pytest.mark.parametrize(
    ("why", "purchase", "expected"),
    [
        ("at the minimum", [bought(P, amount="50.00")], IN_REVIEW),
        ("below the minimum", [bought(P, amount="49.99")], NO_CONVERSION),
        ("no amount", [bought(P, amount=None, kind="account_opened")], IN_REVIEW),
        ("no amount, reversed", [bought(P, amount=None), reversed_(P + DAY)], REVERSED),
        ("other currency, no minimum", [bought(P, amount="1", currency="JPY")], IN_REVIEW),
        ("other currency, nothing", [bought(P, amount="0", currency="JPY")], NO_CONVERSION),
        ("a kind that is not rewarded", [bought(P, kind="newsletter")], NO_CONVERSION),
        ("of somebody else", [bought(P, customer=MIA)], NO_CONVERSION),
        ("the address in another form", [bought(P, customer={"email": "BRIE+shop@Example.com"})], IN_REVIEW),
        ("partly returned, enough left", [bought(P), reversed_(P + DAY, amount="30.00")], IN_REVIEW),
        ("partly returned, too little left", [bought(P), reversed_(P + DAY, amount="30.01")], REVERSED),
        ("returned in parts", [bought(P), reversed_(P + DAY, amount="40"), reversed_(P + DAY, amount="39")], REVERSED),
        ("returned", [bought(P), reversed_(P + DAY)], REVERSED),
        ("returned before it was recorded", [bought(P), reversed_(P - DAY)], REVERSED),
        ("another order returned", [bought(P), reversed_(P + DAY, order="o2")], IN_REVIEW),
        ("never enough, and returned", [bought(P, amount="49.99"), reversed_(P + DAY)], NO_CONVERSION),
        ("too late, and returned", [bought(C + 30 * DAY), reversed_(C + 31 * DAY)], NO_CONVERSION),
        ("its earliest record is too little", [bought(P, amount="9"), bought(P + DAY)], NO_CONVERSION),
        ("its earliest record is somebody's", [bought(P, customer=MIA), bought(P + DAY)], NO_CONVERSION),
    ],
)  # fmt: skip
def test_a_conversion_counts_by_its_net_amount(
    why: str, purchase: list[Fact], expected: tuple[S, Reason | None]
) -> None:
    assert verdict(backfill([sent(R), claimed(C), *purchase])) == expected, why


def test_the_earliest_that_counts_is_the_conversion() -> None:
    orders = [bought(P, order="b"), bought(P, order="a"), bought(P - DAY, order="c", amount="1"), bought(P + DAY)]
    stood = backfill([sent(R), claimed(C), *orders], P + 2 * DAY)
    assert stood.conversion is not None
    assert (stood.conversion.order, stood.return_ends) == ("a", RETURN_ENDS)


@pytest.mark.parametrize(
    ("why", "reversal", "now", "status", "order"),
    [
        ("the next takes its place", P + 5 * DAY, P + 5 * DAY, S.IN_RETURN_PERIOD, "o2"),
        ("its return period is its own", P + 5 * DAY, P + 24 * DAY + HOUR - TICK, S.IN_RETURN_PERIOD, "o2"),
        ("and ends", P + 5 * DAY, P + 24 * DAY + HOUR, S.IN_REVIEW, "o2"),
        ("also in review", P + 15 * DAY, P + 15 * DAY, S.IN_RETURN_PERIOD, "o2"),
        ("until then the first stays", P + 15 * DAY, P + 15 * DAY - TICK, S.IN_REVIEW, "o1"),
        ("also after both periods", P + 25 * DAY, P + 25 * DAY + HOUR, S.IN_REVIEW, "o2"),
    ],
)
def test_when_the_conversion_is_reversed_the_next_takes_its_place(
    why: str, reversal: datetime, now: datetime, status: S, order: str
) -> None:
    facts = [sent(R), claimed(C), bought(P), bought(P + 10 * DAY, order="o2"), reversed_(reversal)]
    if now < P + 10 * DAY:
        facts[3] = bought(P + 2 * DAY, order="o2")
    stood = backfill([fact for fact in facts if fact.occurred_at <= now], now)
    assert stood.conversion is not None
    assert (stood.status, stood.conversion.order) == (status, order), why


OFFER_ENDS = C + 30 * DAY
#: Returned a day after the offer, so that it is denied at once.
TAKEN_BACK = [sent(R), claimed(C), bought(C), reversed_(OFFER_ENDS + DAY)]


@pytest.mark.parametrize(
    ("why", "bought_at", "reversal", "now", "expected", "closes_at"),
    [
        ("the offer is open: it waits again", P, P + DAY, P + DAY, (S.CLAIMED, None), None),
        ("until the offer ends", P, P + DAY, OFFER_ENDS + HOUR - TICK, (S.CLAIMED, None), None),
        ("and is denied", P, P + DAY, OFFER_ENDS + HOUR, REVERSED, OFFER_ENDS),
        ("the offer is over: at once", C + 29 * DAY, OFFER_ENDS + DAY, OFFER_ENDS + DAY, REVERSED, OFFER_ENDS + DAY),
        ("at its very end", C + 29 * DAY, OFFER_ENDS, OFFER_ENDS, REVERSED, OFFER_ENDS),
        ("a tick before", C + 29 * DAY, OFFER_ENDS - TICK, OFFER_ENDS + HOUR, REVERSED, OFFER_ENDS),
        ("after the return period too", C, C + 15 * DAY, C + 15 * DAY, (S.CLAIMED, None), None),
        ("at the end of the return", C, C + 14 * DAY, C + 14 * DAY + HOUR, (S.CLAIMED, None), None),
        ("and is denied when the offer ends", C, C + 15 * DAY, OFFER_ENDS + HOUR, REVERSED, OFFER_ENDS),
    ],
)
def test_with_none_left_it_waits_while_the_offer_is_open_and_is_denied_after(
    why: str,
    bought_at: datetime,
    reversal: datetime,
    now: datetime,
    expected: tuple[S, Reason | None],
    closes_at: datetime | None,
) -> None:
    stood = backfill([sent(R), claimed(C), bought(bought_at), reversed_(reversal)], now)
    assert (verdict(stood), stood.closes_at) == (expected, closes_at), why


@pytest.mark.parametrize("return_period", ["P0D", "P14D"])
@pytest.mark.parametrize("back", [timedelta(seconds=5), 15 * DAY])
@pytest.mark.parametrize(("second", "expected"), [(OFFER_ENDS - TICK, IN_REVIEW), (OFFER_ENDS, REVERSED)])
def test_a_return_period_that_ended_makes_an_offer_neither_shorter_nor_longer(
    return_period: str, back: timedelta, second: datetime, expected: tuple[S, Reason | None]
) -> None:
    terms = acme(periods__return=return_period)
    facts = [sent(R), claimed(C), bought(C), reversed_(C + back), bought(second, order="o2")]
    assert verdict(backfill(facts, C + back, terms)) == (S.CLAIMED, None)
    assert verdict(backfill(facts, terms=terms)) == expected
    assert verdict(stands(facts, terms=terms)) == expected


def test_an_amendment_stops_an_order_counting_and_lets_it_count_again() -> None:
    low = fact("conversion.amended", C + 20 * DAY, {"order": "o1", "amount": "49.99"})
    high = fact("conversion.amended", C + 21 * DAY, {"order": "o1", "amount": "50.00"})
    its = [sent(R), claimed(C), bought(C), low]
    assert verdict(backfill(its, C + 20 * DAY)) == (S.CLAIMED, None)
    assert verdict(backfill(its)) == REVERSED
    assert verdict(backfill([*its, high])) == IN_REVIEW


def test_a_failed_refund_is_as_if_nothing_had_been_refunded() -> None:
    refund = fact("conversion.reversed", C + DAY, {"order": "o1", "kind": "refund", "reversal": "x"})
    failed = fact("conversion.reversal_failed", C + 3 * DAY, {"order": "o1", "reversal": "x"})
    its = [sent(R), claimed(C), bought(C), refund, failed]
    assert verdict(backfill(its, C + 2 * DAY)) == (S.CLAIMED, None)
    assert verdict(backfill(its)) == IN_REVIEW


@pytest.mark.parametrize(("second", "expected"), [(OFFER_ENDS - TICK, IN_REVIEW), (OFFER_ENDS, REVERSED)])
def test_what_takes_the_place_was_itself_bought_within_the_offer(
    second: datetime, expected: tuple[S, Reason | None]
) -> None:
    first = OFFER_ENDS - DAY
    facts = [sent(R), claimed(C), bought(first), bought(second, order="o2"), reversed_(OFFER_ENDS + DAY)]
    assert verdict(backfill(facts)) == expected


@pytest.mark.parametrize("source", ["a", "z"])
def test_what_happens_at_one_instant_happens_together(source: str) -> None:
    # Whichever of the two is read first: exchanging an order for another leaves a conversion.
    exchange = [reversed_(C + 15 * DAY, source=source), bought(C + 15 * DAY, order="o2", source="m")]
    stood = backfill([sent(R), claimed(C), bought(C), *exchange], C + 15 * DAY)
    assert stood.status is S.IN_RETURN_PERIOD


# -- withdrawing


@pytest.mark.parametrize(
    ("why", "facts", "when", "expected"),
    [
        ("while invited", [sent(R)], INVITE_ENDS - TICK, WITHDRAWN),
        ("as it expires", [sent(R)], INVITE_ENDS, NOT_CLAIMED),
        ("after it expired", [sent(R)], INVITE_ENDS + TICK, NOT_CLAIMED),
        ("while claimed", [sent(R), claimed(C)], OFFER_ENDS - TICK, WITHDRAWN),
        ("as the offer ends", [sent(R), claimed(C)], OFFER_ENDS, NO_CONVERSION),
        ("while it may be returned", [sent(R), claimed(C), bought(P)], P + DAY, WITHDRAWN),
        ("in review", [sent(R), claimed(C), bought(P)], P + 20 * DAY, WITHDRAWN),
        ("as it is denied", TAKEN_BACK, OFFER_ENDS + DAY, REVERSED),
        ("before it is denied", TAKEN_BACK, OFFER_ENDS + DAY - TICK, WITHDRAWN),
        ("before it was sent", [sent(R)], R - DAY, WITHDRAWN),
    ],
)  # fmt: skip
def test_a_withdrawal_counts_before_the_closing_that_else_comes(
    why: str, facts: list[Fact], when: datetime, expected: tuple[S, Reason | None]
) -> None:
    stood = backfill([*facts, withdrawn(when)])
    assert verdict(stood) == expected, why
    if expected == WITHDRAWN:
        assert stood.closes_at == max(when, R)


def test_a_withdrawal_shows_at_once() -> None:
    assert verdict(stands([sent(R), withdrawn(R + DAY)], R + DAY)) == WITHDRAWN


# -- the allowance for what arrives late


def test_a_fact_that_occurred_in_time_may_arrive_within_the_allowance() -> None:
    late = claimed(INVITE_ENDS - TICK, received=INVITE_ENDS + HOUR - TICK)
    assert stands([sent(R), late], INVITE_ENDS + 5 * HOUR).status is S.CLAIMED


def test_each_arrival_before_the_step_puts_it_off_again() -> None:
    facts = [sent(R), rated(R + DAY, received=INVITE_ENDS + HOUR / 2)]
    assert stands(facts, INVITE_ENDS + 1.5 * HOUR - TICK).wake_at == INVITE_ENDS + 1.5 * HOUR
    assert verdict(stands(facts, INVITE_ENDS + 1.5 * HOUR)) == NOT_CLAIMED


def test_an_arrival_at_the_very_instant_of_the_step_still_does() -> None:
    assert stands([sent(R), rated(INVITE_ENDS + HOUR)], INVITE_ENDS + HOUR).status is S.INVITED


@pytest.mark.parametrize("news", [rated(RETURN_ENDS + 2 * HOUR), bought(RETURN_ENDS + 2 * HOUR, order="o2")])
def test_an_arrival_after_the_step_does_not_take_it_back(news: Fact) -> None:
    facts = [sent(R), claimed(C), bought(P), news]
    assert stands(facts, RETURN_ENDS + 2 * HOUR).status is S.IN_REVIEW


def test_a_past_told_fact_by_fact_waits_for_its_last() -> None:
    told = at("2026-12-01")
    first, second = (told, told + HOUR / 2)
    facts = [sent(R, received=first), claimed(C, received=second)]
    assert stands(facts[:1], first).status is S.INVITED
    assert stands(facts, second).status is S.CLAIMED
    assert stands(facts, second + HOUR - TICK).wake_at == second + HOUR
    assert verdict(stands(facts, second + HOUR)) == NO_CONVERSION


def test_a_claim_told_months_after_its_open_invitation_waits_for_its_purchase() -> None:
    told = at("2026-12-01")
    facts = [sent(R, channel="link"), claimed(C, received=told), bought(P, received=told + HOUR / 2)]
    assert stands(facts[:2], told).status is S.CLAIMED
    assert stands(facts, told + 2 * HOUR).status is S.IN_REVIEW


def test_a_finished_file_waits_for_nobody() -> None:
    told = at("2026-12-01")
    assert verdict(stands(backfilled([sent(R), claimed(C)], told), told)) == NO_CONVERSION


def test_a_reversal_within_the_allowance_of_the_return_period_takes_effect_at_once() -> None:
    facts = [sent(R), claimed(C), bought(C), reversed_(C + 14 * DAY + HOUR / 2)]
    assert stands(facts, C + 14 * DAY + HOUR / 2 - TICK).status is S.IN_RETURN_PERIOD
    assert verdict(stands(facts, C + 14 * DAY + HOUR / 2)) == (S.CLAIMED, None)


@pytest.mark.parametrize(
    ("after_the_end", "status"),
    [(timedelta(0), S.IN_RETURN_PERIOD), (HOUR, S.IN_RETURN_PERIOD), (HOUR + TICK, S.EXPIRED)],
)
def test_a_claim_within_the_allowance_can_show_whose_purchase_keeps_the_door_open(
    after_the_end: timedelta, status: S
) -> None:
    end = R + 30 * DAY
    known_by = {"customer": "c-new"}
    facts = [sent(R), bought(end - DAY, customer=known_by), claimed(end + after_the_end, referee=known_by)]
    assert stands(facts, end + 2 * HOUR).status is status


def test_a_fact_of_a_clock_ahead_of_ours_takes_effect_at_its_own_time() -> None:
    ahead = R + timedelta(minutes=5)
    facts = [sent(R), claimed(ahead, received=R)]
    early = stands(facts, R)
    assert (early.status, early.wake_at) == (S.INVITED, ahead)
    assert stands(facts, ahead).status is S.CLAIMED


@pytest.mark.parametrize(
    ("claim", "untimely"),
    [(INVITE_ENDS - TICK, 0), (INVITE_ENDS, 1), (INVITE_ENDS + DAY, 1)],
)
def test_an_untimely_claim_is_told_and_changes_nothing(claim: datetime, untimely: int) -> None:
    stood = backfill([sent(R), claimed(claim)])
    assert len(stood.untimely) == untimely
    assert (stood.claimed_at is None) == bool(untimely)


@pytest.mark.parametrize("appeal", [INVITE_ENDS - TICK, INVITE_ENDS, INVITE_ENDS + DAY])
def test_an_appeal_against_a_closing_of_the_past_changes_nothing(appeal: datetime) -> None:
    data = {"referral": "r1", "by": "referrer", "why": "the invitation went to spam"}
    stood = backfill([sent(R), fact(FactType.REFERRAL_APPEALED, appeal, data)])
    assert (verdict(stood), stood.untimely) == (NOT_CLAIMED, ())


def test_who_the_referee_is_grows_with_each_claim() -> None:
    # The order names the customer only, whom nobody knew to be Brie before she claimed again.
    order = bought(P, customer={"customer": "c-brie"})
    again = claimed(P + DAY, referee={"customer": "c-brie"})
    assert stands([sent(R), claimed(C), order], P).status is S.CLAIMED
    assert stands([sent(R), claimed(C), order, again], P + DAY).status is S.IN_RETURN_PERIOD


def test_a_claim_after_the_closing_can_not_explain_an_earlier_purchase() -> None:
    # In real time nobody knew on 1 July that the purchase was Brie's; a back-fill must not know better.
    unknown = {"customer": "c-brie"}
    facts = [sent(R), bought(R + DAY, customer=unknown), claimed(R + 31 * DAY, referee=unknown)]
    assert verdict(backfill(facts)) == NOT_CLAIMED


# -- requests, and reopening


def test_a_request_goes_to_a_person_at_once_with_the_order_it_names() -> None:
    stood = stands([requested(R), bought(R - DAY, order="o0"), bought(R - DAY)], R)
    assert stood.conversion is not None
    assert (stood.status, stood.deadline, stood.wake_at, stood.conversion.order) == (S.IN_REVIEW, None, None, "o1")


@pytest.mark.parametrize(
    "order",
    [[], [bought(R, customer=MIA)], [bought(R, order="o2")]],
    ids=["not recorded", "of somebody else", "another order"],
)
def test_a_request_for_an_order_that_is_not_the_referees_has_no_conversion(order: list[Fact]) -> None:
    assert stands([requested(R), *order], R).conversion is None


def test_a_request_can_be_withdrawn() -> None:
    assert verdict(stands([requested(R), withdrawn(R + DAY)], R + DAY)) == WITHDRAWN


def test_nothing_to_judge_is_a_bug_of_the_caller() -> None:
    begun = origin([sent(R)], R)
    assert begun is not None
    with pytest.raises(ValueError, match="begin no referral"):
        course([enrolled()], TERMS, R, origin=begun)


@pytest.mark.parametrize(
    ("why", "facts", "order"),
    [
        ("a late claim", [sent(R), claimed(INVITE_ENDS), bought(INVITE_ENDS + DAY)], "o1"),
        ("a late purchase", [sent(R), claimed(C), bought(OFFER_ENDS)], "o1"),
        ("nothing bought", [sent(R), claimed(C)], None),
        ("everything returned", [sent(R), claimed(C), bought(P), reversed_(P + DAY)], None),
        ("rather one since it was sent", [sent(R), bought(R - DAY, order="o0"), bought(OFFER_ENDS)], "o1"),
    ],
)
def test_a_reopened_referral_is_in_review_with_what_would_qualify_if_nothing_were_late(
    why: str, facts: list[Fact], order: str | None
) -> None:
    begun = origin(facts, EVER_AFTER)
    assert begun is not None
    stood = reopened(facts, TERMS, EVER_AFTER, origin=begun)
    assert verdict(stood) == IN_REVIEW, why
    assert (stood.conversion.order if stood.conversion else None) == order


def test_a_reopened_referral_that_time_would_not_close_goes_its_way() -> None:
    facts = [sent(R), claimed(C), bought(P)]
    begun = origin(facts, P)
    assert begun is not None
    assert reopened(facts, TERMS, P, origin=begun) == course(facts, TERMS, P, origin=begun)
