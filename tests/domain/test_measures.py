"""What each referral adds to the measures, and what the sums tell (SPEC §8)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.measures.figures import Contribution, Figure, Settlement, Stage, contributions
from referral_rewards.domain.measures.life import Claim, Conversion, Life, Money, Rating, Reward
from referral_rewards.domain.measures.measures import Days, Durations, Measures, RewardCost
from referral_rewards.domain.measures.quantiles import around, quantile, quantile_among, step_of
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus, Side

ZONE = ZoneInfo("America/Toronto")
ALWAYS = Days()
#: The last hour of a day in Toronto is the next day in UTC.
LATE_MAY = datetime(2026, 6, 1, 3, 30, tzinfo=UTC)
JUNE = datetime(2026, 6, 10, 12, tzinfo=UTC)
JULY = datetime(2026, 7, 10, 12, tzinfo=UTC)
DUE = datetime(2026, 7, 24, 12, tzinfo=UTC)
DECIDED = datetime(2026, 7, 26, 12, tzinfo=UTC)
PAID = datetime(2026, 8, 1, 12, tzinfo=UTC)

CASH = Reward(Side.REFERRER, "cash", Money("CAD", 2_500), DECIDED, DECIDED, PAID)
CREDIT = Reward(Side.REFEREE, "credit", Money("CAD", 1_000), DECIDED, DECIDED, owed=True)
INVITED = Life("r1", ReferralStatus.INVITED, LATE_MAY)
REWARDED = Life(
    "r1",
    ReferralStatus.REWARDED,
    LATE_MAY,
    claimed_at=JUNE,
    conversion=Conversion(JULY, Money("CAD", 12_000), Money("CAD", 10_000)),
    due_at=DUE,
    claim=Claim(DUE, {Flag.PARTIAL_REFUND: DUE}),
    decided_at=DECIDED,
    rewards=(CASH, CREDIT),
    rewarded_at=PAID,
    asked=(PAID,),
    ratings=(Rating(PAID, 4),),
)
DENIED = replace(
    REWARDED,
    status=ReferralStatus.DENIED,
    reason=Reason.EXISTING_CUSTOMER,
    decided_at=None,
    closed_at=DUE,
    rewards=(),
    rewarded_at=None,
    asked=(),
    ratings=(),
)


def _of(life: Life, figure: Figure) -> list[Contribution]:
    return [each for each in contributions(life, ZONE) if each.figure is figure]


def _measured(*lives: Life, days: Days = ALWAYS) -> Measures:
    return Measures.over([each for life in lives for each in contributions(life, ZONE)], days)


def test_a_day_is_that_of_the_programs_zone() -> None:
    assert _of(INVITED, Figure.STARTED) == [Contribution(Figure.STARTED, date(2026, 5, 31), Stage.BEGAN)]


@pytest.mark.parametrize(
    ("life", "figure", "right"),
    [
        (REWARDED, Figure.CLAIMS_CREATED, [Contribution(Figure.CLAIMS_CREATED, DUE.date())]),
        (INVITED, Figure.CLAIMS_CREATED, []),
        (REWARDED, Figure.CLAIMS_APPROVED, [Contribution(Figure.CLAIMS_APPROVED, DECIDED.date())]),
        (DENIED, Figure.CLAIMS_APPROVED, []),
        (DENIED, Figure.DENIED_BY_RULE, [Contribution(Figure.DENIED_BY_RULE, DUE.date(), Reason.EXISTING_CUSTOMER)]),
        (DENIED, Figure.DENIED_BY_DECISION, []),
        (
            replace(DENIED, reason=Reason.DENIED_BY_DECISION),
            Figure.DENIED_BY_DECISION,
            [Contribution(Figure.DENIED_BY_DECISION, DUE.date())],
        ),
        (replace(DENIED, claim=None), Figure.DENIED_BY_RULE, []),
        (replace(DENIED, status=ReferralStatus.EXPIRED), Figure.DENIED_BY_RULE, []),
        (REWARDED, Figure.EXCEPTIONS, [Contribution(Figure.EXCEPTIONS, DUE.date())]),
        (replace(REWARDED, claim=Claim(DUE)), Figure.EXCEPTIONS, []),
        (REWARDED, Figure.SETTLED, [Contribution(Figure.SETTLED, PAID.date(), "cash", "CAD", 1, 2_500)]),
        (REWARDED, Figure.PAYABLE, [Contribution(Figure.PAYABLE, DECIDED.date(), "credit", "CAD", 1, 1_000)]),
        (REWARDED, Figure.TAKEN_BACK, []),
        (REWARDED, Figure.CONVERTED, [Contribution(Figure.CONVERTED, JULY.date(), "", "CAD", 1, 10_000)]),
        (REWARDED, Figure.REVERSED, [Contribution(Figure.REVERSED, JULY.date(), "", "CAD", 1, 2_000)]),
        (REWARDED, Figure.REWARDED, [Contribution(Figure.REWARDED, PAID.date(), "", "CAD", 1, 10_000)]),
        (DENIED, Figure.REWARDED, []),
        (
            replace(REWARDED, conversion=Conversion(JULY, None, None)),
            Figure.CONVERTED,
            [Contribution(Figure.CONVERTED, JULY.date())],
        ),
        (REWARDED, Figure.RATED, [Contribution(Figure.RATED, PAID.date(), "4")]),
        (REWARDED, Figure.ANSWERED, [Contribution(Figure.ANSWERED, PAID.date())]),
        (replace(REWARDED, ratings=()), Figure.ANSWERED, []),
        (replace(REWARDED, asked=()), Figure.ANSWERED, []),
        # Told before anybody asked: an answer, but none to the question
        (replace(REWARDED, ratings=(Rating(DECIDED, 4),)), Figure.ANSWERED, []),
    ],
)
def test_a_referral_adds_on_the_day_of_the_event(life: Life, figure: Figure, right: list[Contribution]) -> None:
    assert _of(life, figure) == right


def test_what_was_taken_back_counts_where_its_payment_did() -> None:
    taken = replace(REWARDED, rewards=(replace(CASH, taken_back_minor=1_500),))

    july, august = Days(date(2026, 7, 1), date(2026, 8, 1)), Days(date(2026, 8, 1), date(2026, 9, 1))

    assert _measured(taken, days=august).reward_cost == (RewardCost("CAD", "cash", 2_500, 1_500, 0),)
    assert _measured(taken, days=july).reward_cost == ()


def test_times_are_of_the_day_on_which_they_ended() -> None:
    days_in_seconds = 86_400.0

    measured = _measured(REWARDED, days=Days(date(2026, 8, 1), None)).payout_time

    assert measured[Figure.DECIDED_TO_SETTLED] == Durations(1, 6 * days_in_seconds, 6 * days_in_seconds)
    assert measured[Figure.CONVERSION_TO_SETTLED] == Durations(1, 22 * days_in_seconds, 22 * days_in_seconds)
    assert measured[Figure.DUE_TO_DECIDED] == Durations(0, None, None)


@pytest.mark.parametrize(
    ("life", "settled"),
    [
        (replace(REWARDED, status=ReferralStatus.APPROVED), Settlement.WON),
        (replace(DENIED, reason=Reason.ATTRIBUTION_LOST), Settlement.LOST),
        (replace(DENIED, reason=Reason.DENIED_BY_DECISION), Settlement.LOST),
        (replace(DENIED, reason=Reason.CONVERSION_REVERSED), Settlement.LAPSED),
        (replace(DENIED, status=ReferralStatus.AWAITING_APPROVAL, reason=None, closed_at=None), Settlement.OPEN),
    ],
)
def test_a_disputed_attribution_is_settled(life: Life, settled: Settlement) -> None:
    disputed = replace(life, claim=Claim(DUE, {Flag.DISPUTED_ATTRIBUTION: DUE}))

    found = _measured(disputed).disputed_attribution

    assert (found.claims, found.by_settlement) == (1, {settled: 1})


def test_a_duplicate_would_have_cost_what_its_claim_came_to() -> None:
    cost = (Money("CAD", 2_500), Money("USD", 700))
    duplicate = replace(DENIED, claim=Claim(DUE, {Flag.DUPLICATE_CLAIM: DUE}, cost))

    found = _measured(duplicate, replace(duplicate, referral="r2"))

    assert found.duplicate_claims == 2
    assert found.duplicates_would_have_cost == (Money("CAD", 5_000), Money("USD", 1_400))


def test_currencies_are_never_added_up() -> None:
    in_dollars = replace(REWARDED, rewards=(replace(CASH, amount=Money("USD", 900)),))

    assert _measured(REWARDED, in_dollars).reward_cost == (
        RewardCost("CAD", "cash", 2_500, 0, 0),
        RewardCost("CAD", "credit", 0, 0, 1_000),
        RewardCost("USD", "cash", 900, 0, 0),
    )


def test_nothing_is_said_of_nothing() -> None:
    empty = _measured()

    assert empty.refund_rate is None
    assert empty.referrer_satisfaction.mean is None
    assert empty.cost_per_customer == ()
    assert set(empty.payout_time.values()) == {Durations(0, None, None)}


def test_a_stage_is_not_read_from_the_one_after_it() -> None:
    asked_for = replace(REWARDED, claimed_at=None, conversion=None)

    assert _measured(asked_for).funnel == {
        Stage.BEGAN: 1,
        Stage.CLAIMED: 0,
        Stage.CONVERTED: 0,
        Stage.ASSEMBLED: 1,
        Stage.APPROVED: 1,
        Stage.REWARDED: 1,
    }


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_a_quantile_from_the_steps_around_it_is_that_of_all(durations: list[int], share: float) -> None:
    ordered = sorted(durations)
    counted: dict[int, int] = {}
    for each in ordered:
        counted[step_of(each)] = counted.get(step_of(each), 0) + 1

    where = around(counted, share)

    assert where is not None
    near = [each for each in ordered if where.first <= step_of(each) <= where.last]
    assert quantile_among(near, where, len(ordered), share) == quantile(ordered, share)


@pytest.mark.parametrize(
    ("ordered", "share", "right"),
    [([7], 0.5, 7), ([1, 3], 0.5, 2), ([1, 2, 9], 0.5, 2), (list(range(101)), 0.95, 95), ([], 0.5, None)],
)
def test_a_quantile_lies_between_two_values_in_proportion(
    ordered: list[int], share: float, right: float | None
) -> None:
    assert quantile(ordered, share) == right


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_a_longer_duration_never_has_a_lower_step(one: int, other: int) -> None:
    assert step_of(min(one, other)) <= step_of(max(one, other))


def test_days_are_from_the_first_to_before_the_last() -> None:
    may = Days(date(2026, 5, 1), date(2026, 6, 1))

    assert [date(2026, 5, 1) in may, date(2026, 5, 31) in may, date(2026, 6, 1) in may] == [True, True, False]
    assert date(1, 1, 1) in ALWAYS


def test_a_microsecond_is_a_duration() -> None:
    quick = replace(REWARDED, rewards=(replace(CASH, settled_at=DECIDED + timedelta(microseconds=1_500_000)),))

    assert _measured(quick).payout_time[Figure.DECIDED_TO_SETTLED].median_s == 1.5


@pytest.mark.parametrize(
    ("start", "end", "before"),
    [
        (date(2026, 7, 1), date(2026, 8, 1), Days(date(2026, 6, 1), date(2026, 7, 1))),
        (date(2026, 1, 1), date(2026, 2, 1), Days(date(2025, 12, 1), date(2026, 1, 1))),
        (date(2026, 1, 1), date(2027, 1, 1), Days(date(2025, 1, 1), date(2026, 1, 1))),
        (date(2026, 4, 1), date(2026, 7, 1), Days(date(2026, 1, 1), date(2026, 4, 1))),
        (date(2026, 7, 1), date(2026, 7, 11), Days(date(2026, 6, 21), date(2026, 7, 1))),
        (date(2026, 7, 10), date(2026, 8, 10), Days(date(2026, 6, 9), date(2026, 7, 10))),
        (date(1, 1, 2), date(1, 1, 9), None),
        (date(1, 1, 1), date(1, 2, 1), None),
        (None, date(2026, 8, 1), None),
        (date(2026, 7, 1), None, None),
    ],
)
def test_the_period_before_ends_where_this_one_begins(
    start: date | None, end: date | None, before: Days | None
) -> None:
    """Of whole months it is as many months, of other days as many days."""
    assert Days(start, end).before == before
