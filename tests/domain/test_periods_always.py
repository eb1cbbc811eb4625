"""What holds for every referral, whatever happens to it and whenever it is told.

Facts lie on a coarse grid of days, half an hour beside it at most, so that they meet the ends of periods of a few days
again and again.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.domain.referrals.periods import Course, course
from tests.domain.build import acme, at, backfilled, bought, claimed, rated, reversed_, sent, withdrawn

START = at("2026-06-01")
EVER_AFTER = START + timedelta(days=200)
ALLOWANCE = timedelta(hours=1)
TERMS = acme(
    periods__expiry={"email": "P6D"}, periods__offer="P5D", periods__grace="P3D", periods__return="P2D"
)  # fmt: skip
WHO = ({"email": "brie@example.com"}, {"customer": "c-brie"}, {"email": "brie@example.com", "customer": "c-brie"})

always = settings(max_examples=300, derandomize=True, deadline=None)


def days(last: int) -> st.SearchStrategy[datetime]:
    hair = st.sampled_from([0, 0, 0, 1, -1, 30 * 60 * 10**6, -30 * 60 * 10**6])
    return st.builds(
        lambda day, micros: START + timedelta(days=day, microseconds=micros), st.integers(0, last), hair
    )  # fmt: skip


orders = st.sampled_from(["o1", "o2", "o3"])
beginnings = st.one_of(
    st.builds(lambda channel: [sent(START, channel=channel)], st.sampled_from(["email"] * 3 + ["link", "lead"])),
    st.builds(lambda day: [claimed(day, begins=True)], days(6)),
)  # fmt: skip
happenings = st.one_of(
    st.builds(lambda day, who: claimed(day, referee=who), days(12), st.sampled_from(WHO)),
    st.builds(
        lambda day, order, who, amount: bought(day, order=order, customer=who, amount=amount),
        days(14),
        orders,
        st.sampled_from(WHO),
        st.sampled_from(["80.00", "80.00", "49.99", None]),
    ),
    st.builds(
        lambda day, order, amount: reversed_(day, order=order, amount=amount),
        days(18),
        orders,
        st.sampled_from([None, "30.00", "31.00"]),
    ),
    st.builds(withdrawn, days(18)),
    st.builds(rated, days(18)),
)
lives = st.builds(lambda first, rest: [*first, *rest], beginnings, st.lists(happenings, max_size=7))


def judge(facts: Sequence[Fact], now: datetime) -> Course | None:
    begun = origin(facts, now)
    return course(facts, TERMS, now, origin=begun) if begun else None


def gist(stood: Course | None) -> tuple[object, ...] | None:
    """The verdict of a course, without what only says how long to wait."""
    if stood is None:
        return None
    q = stood.conversion and (stood.conversion.order, stood.conversion.net_minor)
    return (stood.status, stood.reason, stood.closes_at, q, stood.claimed_at)


def lived(facts: Sequence[Fact]) -> Course | None:
    """Judged as a workflow judges: at every arrival and at every wake-up, on what has arrived, until it closes."""
    arrivals = sorted({fact.received_at for fact in facts})
    stood: Course | None = None
    now = START - timedelta(days=1)
    while now < EVER_AFTER and not (stood and stood.is_closed):
        wake_at = stood.wake_at if stood else None
        now = min(each for each in (*arrivals, wake_at, EVER_AFTER) if each is not None and each > now)
        stood = judge([fact for fact in facts if fact.received_at <= now], now)
    return stood


@always
@given(facts=lives, delay=st.integers(0, 59))
def test_a_back_fill_reaches_the_verdict_of_a_referral_lived_in_real_time(facts: list[Fact], delay: int) -> None:
    told = [replace(fact, received_at=fact.occurred_at + timedelta(minutes=delay)) for fact in facts]
    assert gist(lived(told)) == gist(judge(backfilled(facts), EVER_AFTER))


@always
@given(facts=lives, data=st.data())
def test_facts_may_come_in_any_order(facts: list[Fact], data: st.DataObject) -> None:
    now = data.draw(days(40))
    shuffled = data.draw(st.permutations(facts))
    assert judge(backfilled(shuffled), now) == judge(backfilled(facts), now)


@always
@given(facts=lives, delays=st.lists(st.integers(0, 59), min_size=8, max_size=8))
def test_lateness_within_the_allowance_does_not_change_a_verdict_of_the_deadlines(
    facts: list[Fact], delays: list[int]
) -> None:
    # A reversal that denies at once, and a withdrawal, wait for nobody: not even for an earlier purchase.
    quiet = [f for f in facts if f.type not in (FactType.CONVERSION_REVERSED, FactType.REFERRAL_WITHDRAWN)]
    told = [replace(f, received_at=f.occurred_at + timedelta(minutes=m)) for f, m in zip(quiet, delays, strict=False)]
    assert gist(lived(told)) == gist(judge(backfilled(quiet), EVER_AFTER))


@always
@given(facts=lives, later=st.lists(happenings, max_size=4), shift=st.integers(1, 10**12))
def test_no_fact_after_a_closing_changes_it(facts: list[Fact], later: list[Fact], shift: int) -> None:
    closed = judge(backfilled(facts), EVER_AFTER)
    if closed is None or closed.closes_at is None:
        return
    moved = [replace(f, occurred_at=closed.closes_at + timedelta(microseconds=shift)) for f in later]
    assert gist(judge(backfilled([*facts, *moved]), EVER_AFTER + timedelta(days=20))) == gist(closed)


@always
@given(facts=lives, now=days(40), more=st.timedeltas(timedelta(), timedelta(days=400)))
def test_more_time_never_reopens(facts: list[Fact], now: datetime, more: timedelta) -> None:
    stood = judge(facts, now)
    if stood is not None and stood.is_closed:
        assert gist(judge(facts, now + more)) == gist(stood)


@always
@given(facts=lives, now=days(40))
def test_until_it_wakes_nothing_changes_without_news(facts: list[Fact], now: datetime) -> None:
    stood = judge(facts, now)
    if stood is None:
        return
    until = stood.wake_at - timedelta(microseconds=1) if stood.wake_at else EVER_AFTER
    assert stood.wake_at is None or stood.wake_at > now
    then = judge(facts, until)
    assert then is not None
    # A closed one still counts the claims that come too late.
    assert replace(then, untimely=()) == replace(stood, untimely=())


@always
@given(facts=lives)
def test_every_referral_comes_to_rest(facts: list[Fact]) -> None:
    stood = judge(facts, EVER_AFTER)
    assert stood is not None
    assert stood.wake_at is None
    assert stood.is_closed or stood.deadline is None


@always
@given(facts=lives, now=days(40))
def test_what_is_said_of_a_course_agrees_with_itself(facts: list[Fact], now: datetime) -> None:
    stood = judge(facts, now)
    if stood is None:
        return
    assert stood.is_closed == (stood.closes_at is not None)
    assert (stood.deadline is None) == (stood.next_status is None)
    assert (stood.conversion is None) or not stood.is_closed
    if stood.conversion is not None:
        assert stood.conversion.counts
        assert stood.return_ends is not None
    assert stood.claimed_at is None or stood.claimed_at >= stood.began_at
