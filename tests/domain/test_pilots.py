"""Pilots: what is promised, go or no-go on every kind of evidence, and which decisions a pilot takes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.calendar import Period
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked, Decision, Made
from referral_rewards.domain.decisions.money_acts import ROLES, MoneyAct
from referral_rewards.domain.decisions.pilot_acts import (
    Pilot,
    PilotSubject,
    Surroundings,
    check_asked,
    pilot_id,
    pilots_of,
    subject,
)
from referral_rewards.domain.decisions.subject import Repeated, decide
from referral_rewards.domain.errors import ActRefused, BadInput, NotAllowed
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.pilots.outcome import (
    Evidence,
    Go,
    Measured,
    PaidReward,
    SixParts,
    Verdict,
    ended_as,
    outcome,
)
from referral_rewards.domain.pilots.plan import EVERY_CLAIM, Plan, Sample, planned
from referral_rewards.domain.referrals.lifecycle import Side

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PLAN = Plan(owner="paula", version=1)
AROUND = Surroundings(1, in_cycles=True, owner_roles=frozenset({Role.PROGRAM_OWNER}), names=("fiona", "paula"))
OWNER = Approver("paula", frozenset({Role.PROGRAM_OWNER}))
FINANCE = Approver("fiona", frozenset({Role.FINANCE}))
OPERATIONS = Approver("oscar", frozenset({Role.OPERATIONS}))
_A = MoneyAct


def rewards(count: int) -> tuple[PaidReward, ...]:
    return tuple(
        PaidReward(f"r{each}", Side.REFERRER, "cash", 1000, "USD", NOW, UUID(int=each)) for each in range(count)
    )


def verdicts(count: int, failing: int = 0) -> list[Verdict]:
    parts = [(SixParts.PAYOUT_AMOUNT,) if each < failing else () for each in range(count)]
    return [Verdict(f"r{each}", Side.REFERRER, UUID(int=each), its) for each, its in enumerate(parts)]


def of(side: Side, payout: int | None = None) -> list[Verdict]:
    """That all of four rewards hold, of one side, or by one payout."""
    return [Verdict(f"r{each}", side, UUID(int=each if payout is None else payout), ()) for each in range(4)]


def evidence(paid: int = 4, failing: int = 0, **more: Any) -> Evidence:
    stands = Evidence(NOW, paid, 0, 0, 0, rewards(paid), verdicts(paid, failing))
    return replace(stands, **more)


@pytest.mark.parametrize(
    ("plan", "found", "verdict"),
    [
        (PLAN, evidence(), Go.GO),
        (PLAN, evidence(failing=1), Go.NO_GO),
        (replace(PLAN, threshold=Decimal(75)), evidence(failing=1), Go.GO),
        (replace(PLAN, threshold=Decimal("75.01")), evidence(failing=1), Go.NO_GO),
        (PLAN, evidence(paid=0), Go.NO_GO),
        (PLAN, evidence(over_at=None), Go.UNDECIDED),
        (PLAN, evidence(over_at=None, failing=1), Go.UNDECIDED),
        (PLAN, evidence(moving=1), Go.UNDECIDED),
        # A reward can't be taken out of the measure by having its payment come back and giving it up.
        (PLAN, evidence(given_up=1), Go.NO_GO),
        (replace(PLAN, threshold=Decimal(50)), evidence(given_up=1), Go.NO_GO),
        # A reward that nobody verified, or only its other side, or its other payment, does not hold.
        (PLAN, evidence(verdicts=[]), Go.NO_GO),
        (replace(PLAN, threshold=Decimal(75)), evidence(verdicts=verdicts(3)), Go.NO_GO),
        (PLAN, evidence(verdicts=of(Side.REFEREE)), Go.NO_GO),
        (PLAN, evidence(verdicts=of(Side.REFERRER, payout=9)), Go.NO_GO),
        # What waits is told, and does not hold the verdict on what was paid back.
        (PLAN, evidence(waiting=2, unpaid=1), Go.GO),
        (replace(PLAN, sample=Sample(first=4)), evidence(), Go.GO),
        (replace(PLAN, sample=Sample(first=5)), evidence(), Go.NO_GO),
    ],
)  # fmt: skip
def test_a_pilot_comes_to(plan: Plan, found: Evidence, verdict: Go) -> None:
    its = outcome(plan, found)
    assert its.verdict is verdict
    assert its.why or its.verdict is Go.UNDECIDED


def test_each_reason_and_each_open_thing_is_a_sentence() -> None:
    counts = {"waiting": 1, "unpaid": 2, "moving": 1, "given_up": 1}
    found = evidence(failing=1, over_at=None, verdicts=verdicts(2, failing=1), **counts)
    its = outcome(replace(PLAN, sample=Sample(first=9)), found)
    assert its.why == (
        "1 of 4 paid rewards holds all six parts; all were promised.",
        "2 paid rewards were not verified.",
        "1 reward was paid, came back and was given up, so that can't be measured.",
        "Only 4 of the 9 claims that were promised came.",
    )
    assert its.undecided == (
        "The pilot still runs.",
        "1 claim waits for approvers.",
        "2 approved rewards are not paid yet.",
        "The payment of 1 reward was begun and has no certain end yet.",
    )


def test_rewards_that_do_not_hold_come_first() -> None:
    late = Verdict("r3", Side.REFERRER, UUID(int=3), (SixParts.PROGRAM_TERMS,), ("late",))
    its = outcome(PLAN, evidence(verdicts=[*verdicts(2), late]))
    assert [(each.reward.referral, each.failing, each.findings) for each in its.rewards] == [
        ("r2", None, ()), ("r3", (SixParts.PROGRAM_TERMS,), ("late",)), ("r0", (), ()), ("r1", (), ()),
    ]  # fmt: skip


@given(
    paid=st.integers(0, 6),
    verified=st.integers(0, 6),
    failing=st.integers(0, 6),
    moving=st.integers(0, 1),
    over=st.booleans(),
    threshold=st.decimals(1, 100, places=2),
)
def test_a_go_needs_the_end_something_paid_and_enough_that_was_verified(
    paid: int, verified: int, failing: int, moving: int, over: bool, threshold: Decimal
) -> None:
    found = evidence(paid, verdicts=verdicts(verified, failing), moving=moving, over_at=NOW if over else None)
    its = outcome(replace(PLAN, threshold=threshold), found)
    holding = max(0, min(paid, verified) - failing)
    enough = paid > 0 and verified >= paid and holding * 100 >= threshold * paid
    assert (its.verdict is Go.GO) is (over and not moving and enough)


def test_only_what_was_measured_ends_with_a_go() -> None:
    for verdict in Go:
        for as_measured in (True, False):
            ends = ended_as(Measured(verdict, 1, 1), as_measured=as_measured)
            assert (ends is Go.GO) is (verdict is Go.GO and as_measured)
            assert ends is not Go.UNDECIDED


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        Plan("fiona", 3, Sample(first=20), Period.parse("P1M5D"), Decimal("99.5")),
        Plan("fiona", 3, Sample(referrals=("a", "b"))),
        Plan("fiona", 3, Sample(partners=("p",))),
    ],
)
def test_what_is_signed_reads_back(plan: Plan) -> None:
    assert Plan.of(plan.details()) == plan


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"owner": " "}, "owner"),
        ({"lasts": "soon"}, "lasts"),
        ({"lasts": "P0D"}, "lasts"),
        ({"lasts": "P2Y"}, "lasts"),
        ({"threshold": "0"}, "threshold"),
        ({"threshold": "100.01"}, "threshold"),
        ({"threshold": "99.999"}, "threshold"),
        ({"threshold": "NaN"}, "threshold"),
        ({"threshold": "most"}, "threshold"),
        ({"first": 0}, "first"),
        ({"first": 3, "partners": ["p"]}, "sample"),
        ({"referrals": ["a"], "partners": ["p"]}, "sample"),
        ({"referrals": [str(each) for each in range(201)]}, "referrals"),
        ({"partners": [""]}, "partners"),
        ({"partners": ["a\nb"]}, "partners"),
    ],
)
def test_a_plan_that_says_nothing_clear_is_refused_at_its_place(typed: dict[str, Any], wrong: str) -> None:
    with pytest.raises(BadInput) as refused:
        planned(**{"owner": "paula", "version": 1, **typed})
    assert [each.where for each in refused.value.problems] == [wrong]


def test_a_plan_as_it_is_typed() -> None:
    assert planned(owner=" paula ", version=1, lasts="", threshold="") == PLAN
    assert PLAN.sample is EVERY_CLAIM
    typed = planned(owner="paula", version=1, referrals=["b", "a", "b"], threshold="99.5 %")
    assert (typed.sample.referrals, typed.threshold) == (("a", "b"), Decimal("99.5"))


def test_a_sample_in_words() -> None:
    assert Sample().in_words == "every claim"
    assert Sample(first=1).in_words == "the first 1 claim"
    assert Sample(referrals=("a", "b")).in_words == "the claims of referrals a and b"
    assert Sample(partners=("p",)).in_words == "the claims of the referrers of partner p"


def act(kind: MoneyAct, at: datetime = NOW, roles: frozenset[Role] = OWNER.roles, program: str = "p", **details: Any):  # type: ignore[no-untyped-def]
    said = details or (PLAN.details() if kind is _A.START_PILOT else {**GO.details(), "verdict": "go"})
    return Decision(1, uuid4(), "program p", pilot_id(program), "d", kind, "paula", roles, "other", at, said)


GO = Measured(Go.GO, 3, 3)


def test_one_pilot_runs_at_a_time_and_the_next_is_counted_on() -> None:
    made = [
        act(_A.END_PILOT),
        act(_A.START_PILOT),
        act(_A.START_PILOT, NOW + DAY),
        act(_A.END_PILOT, NOW + 2 * DAY),
        act(_A.END_PILOT, NOW + 3 * DAY),
        act(_A.START_PILOT, NOW + 4 * DAY),
    ]
    first, second = pilots_of(made, "p")
    assert (first.number, first.started_at, first.ended and first.ended.at) == (1, NOW, NOW + 2 * DAY)
    assert (second.number, second.started_at, second.ended) == (2, NOW + 4 * DAY, None)
    assert pilots_of(made, "q") == ()


@pytest.mark.parametrize("kind", [_A.START_PILOT, _A.END_PILOT])
def test_an_act_without_the_role_says_nothing(kind: MoneyAct) -> None:
    started = [] if kind is _A.START_PILOT else [act(_A.START_PILOT)]
    assert pilots_of([*started, act(kind, roles=OPERATIONS.roles)], "p") == pilots_of(started, "p")
    assert Role.ADMINISTRATOR not in ROLES[kind]


def on(made: Sequence[Decision] = (), around: Surroundings = AROUND, measured: Measured | None = GO) -> PilotSubject:
    return subject("p", "USD", [Made(each) for each in made], around, measured)


def start(plan: Plan = PLAN, by: Approver = OWNER, shown: PilotSubject | None = None) -> object:
    shown = shown or on()
    asked = Asked("p", _A.START_PILOT, "new_program", "a first look", shown.digest, pilot=plan)
    return decide(shown, asked, by, check_asked(asked), NOW)


def end(reason: str = "pilot_measured", measured: Measured = GO, by: Approver = OWNER, digest: str = "") -> Any:
    shown = on([act(_A.START_PILOT)], measured=measured)
    asked = Asked("p", _A.END_PILOT, reason, "looked at it", digest or shown.digest, measured=measured)
    return decide(shown, asked, by, check_asked(asked), NOW)


def test_the_program_owner_starts_a_pilot_and_its_plan_is_signed() -> None:
    made: Any = start()
    assert (made.kind, made.claim_id, made.details) == (_A.START_PILOT, pilot_id("p"), PLAN.details())
    for nobody in (FINANCE, OPERATIONS):
        with pytest.raises(NotAllowed):
            start(by=nobody)


@pytest.mark.parametrize(
    ("plan", "around", "wrong"),
    [
        (PLAN, replace(AROUND, owner_roles=None), "owner"),
        (PLAN, replace(AROUND, owner_roles=frozenset({Role.OPERATIONS})), "owner"),
        (PLAN, replace(AROUND, in_cycles=False), "lasts"),
        (replace(PLAN, sample=Sample(referrals=("r1",))), AROUND, "referrals"),
        (replace(PLAN, sample=Sample(partners=("x",))), AROUND, "partners"),
    ],
)
def test_a_plan_names_what_there_is(plan: Plan, around: Surroundings, wrong: str) -> None:
    with pytest.raises(BadInput) as refused:
        start(plan, shown=on(around=around))
    assert [each.where for each in refused.value.problems] == [wrong]


def test_a_program_that_pays_at_once_is_piloted_for_a_period() -> None:
    assert start(replace(PLAN, lasts=Period.parse("P30D")), shown=on(around=replace(AROUND, in_cycles=False)))


@pytest.mark.parametrize(
    ("around", "rule"), [(replace(AROUND, version=2), "stale"), (replace(AROUND, stopped="It is paused."), "not_now")]
)
def test_what_changed_since_it_was_found_ready_stops_the_start(around: Surroundings, rule: str) -> None:
    with pytest.raises(ActRefused) as refused:
        start(shown=on(around=around))
    assert refused.value.rule == rule


def test_a_second_pilot_waits_for_the_end_of_the_first() -> None:
    with pytest.raises(ActRefused) as refused:
        start(shown=on([act(_A.START_PILOT)]))
    assert refused.value.rule == "not_now"
    assert start(shown=on([act(_A.START_PILOT), act(_A.END_PILOT)]))


def test_the_same_start_again_is_recorded_once() -> None:
    shown = on()
    asked = Asked("p", _A.START_PILOT, "other", "a first look", shown.digest, pilot=PLAN)
    made = replace(act(_A.START_PILOT), digest=shown.digest)
    assert isinstance(decide(on([made]), asked, OWNER, check_asked(asked), NOW), Repeated)


@pytest.mark.parametrize(
    ("reason", "measured", "verdict"),
    [
        ("pilot_measured", GO, "go"),
        ("pilot_measured", Measured(Go.NO_GO, 3, 2), "no_go"),
        ("something_wrong", GO, "no_go"),
        ("other", Measured(Go.UNDECIDED, 0, 0), "no_go"),
    ],
)
def test_what_is_signed_at_the_end(reason: str, measured: Measured, verdict: str) -> None:
    for by in (OWNER, FINANCE):
        assert end(reason, measured, by).details == {**measured.details(), "verdict": verdict}


def test_a_pilot_that_is_not_measured_is_ended_only_for_another_reason() -> None:
    with pytest.raises(BadInput) as refused:
        end("pilot_measured", Measured(Go.UNDECIDED, 1, 1))
    assert [each.where for each in refused.value.problems] == ["reason"]


def test_what_was_measured_is_part_of_what_is_decided_on() -> None:
    shown = on([act(_A.START_PILOT)], measured=GO)
    with pytest.raises(ActRefused) as refused:
        end(measured=Measured(Go.GO, 4, 4), digest=shown.digest)
    assert refused.value.rule == "stale"


def test_a_pilot_ended_is_told_with_what_was_signed() -> None:
    [pilot] = pilots_of([act(_A.START_PILOT), act(_A.END_PILOT)], "p")
    assert isinstance(pilot, Pilot)
    assert pilot.ended is not None
    assert (pilot.ended.verdict, pilot.ended.measured) == (Go.GO, GO)
