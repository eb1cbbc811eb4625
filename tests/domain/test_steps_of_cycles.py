"""Which step of a payout cycle comes next, and what each step changes."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from referral_rewards.domain.cycles import steps
from referral_rewards.domain.cycles.authority import shown_digest
from referral_rewards.domain.cycles.cycle import Cycle, CycleFile
from referral_rewards.domain.cycles.gathering import LEGS_AT_ONCE, Waiting, carried_totals, next_payees
from referral_rewards.domain.cycles.grouping import Carried, CarriedFor, DueLeg, cycle_id
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.cycles.steps import BEGINNING, Step
from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.people.authority import Role

_S = CycleState
OPENED: Final = datetime(2026, 7, 15, 10, tzinfo=UTC)
NOW: Final = datetime(2026, 7, 16, 10, tzinfo=UTC)
LIST: Final = "d" * 64
TOTALS: Final = [{"rail": "manual", "currency": "USD", "payouts": 1, "legs": 2, "amount_minor": 500}]
CARRIED: Final = [{"why": "tax_hold", "currency": "USD", "legs": 1, "amount_minor": 300}]

CYCLE: Final = Cycle(
    id=cycle_id("acme-friends", date(2026, 7, 15)),
    program="acme-friends",
    due_on=date(2026, 7, 15),
    version=1,
    minimum_minor=None,
    currency="USD",
    state=_S.COLLECTING,
    cursor=None,
    digest=None,
    turn=0,
    summary={},
    opened_at=OPENED,
    frozen_at=None,
    done_at=None,
    updated_at=OPENED,
)
FROZEN: Final = replace(CYCLE, state=_S.FROZEN, digest=LIST, frozen_at=OPENED, summary={"totals": TOTALS})


def decided(act: MoneyAct, state: CycleState, listed: str | None, turn: int, by: str = "fay") -> Decision:
    return Decision(
        seq=turn + 1,
        id=uuid4(),
        referral="acme-friends",
        claim_id=CYCLE.id,
        digest=shown_digest(CYCLE.id, state, listed, turn),
        kind=act,
        user=by,
        roles=frozenset({Role.FINANCE}),
        reason="other",
        decided_at=OPENED,
    )


RELEASED: Final = decided(MoneyAct.RELEASE_CYCLE, _S.FROZEN, LIST, 0)
STOPPED: Final = decided(MoneyAct.STOP_CYCLE, _S.RELEASED, LIST, 1)
STOPPED_BEFORE: Final = decided(MoneyAct.STOP_CYCLE, _S.FROZEN, LIST, 0)
STOPPED_GATHERING: Final = decided(MoneyAct.STOP_CYCLE, _S.COLLECTING, None, 0)
RESUMED: Final = decided(MoneyAct.RESUME_CYCLE, _S.STOPPED, LIST, 2, by="finn")

#: Decisions on record, and what they amount to: whether the cycle is stopped, and whether somebody released it.
MADE: Final[dict[str, tuple[tuple[Decision, ...], bool, bool]]] = {
    "nothing": ((), False, False),
    "released": ((RELEASED,), False, True),
    "stopped": ((STOPPED_BEFORE,), True, False),
    "released and stopped": ((RELEASED, STOPPED), True, True),
    "resumed": ((RELEASED, STOPPED, RESUMED), False, True),
}


def _next(state: CycleState, stopped: bool, released: bool, under_way: bool) -> Step:
    """The table that the specification of a cycle amounts to."""
    match state:
        case _S.DONE:
            return Step.NOTHING
        case _S.STOPPED if under_way:
            return Step.TAKE_BACK
        case _S.STOPPED:
            return Step.WAIT if stopped else Step.RESUME
        case _ if stopped:
            return Step.STOP
        case _S.COLLECTING:
            return Step.GATHER
        case _S.FROZEN:
            return Step.RELEASE if released else Step.WAIT
        case _S.RELEASED:
            return Step.APPROVE if under_way else Step.END


@pytest.mark.parametrize(
    ("state", "made", "cursor"), list(product(CycleState, sorted(MADE), [None, "cursor"])), ids=str
)
def test_the_next_step_follows_from_the_state_and_the_decisions(
    state: CycleState, made: str, cursor: str | None
) -> None:
    decisions, stopped, released = MADE[made]
    file = CycleFile(replace(FROZEN, state=state, cursor=cursor), decisions, frozenset())
    assert steps.next_step(file) is _next(state, stopped, released, cursor is not None)


def test_a_cycle_that_was_stopped_while_it_gathered_takes_nothing_back() -> None:
    file = CycleFile(replace(CYCLE, state=_S.STOPPED, cursor="dexter"), (STOPPED_GATHERING,), frozenset())
    assert steps.next_step(file) is Step.WAIT


def test_what_the_row_says_of_a_release_does_not_count() -> None:
    assert steps.next_step(CycleFile(replace(FROZEN, turn=1), (), frozenset())) is Step.WAIT


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (steps.waited(FROZEN), {}),
        (steps.gathered(CYCLE, "dexter", CARRIED), {"cursor": "dexter", "summary": {"carried": CARRIED}}),
        (
            steps.frozen(replace(CYCLE, cursor="x", summary={"carried": CARRIED}), LIST, TOTALS, NOW),
            {
                "state": _S.FROZEN,
                "digest": LIST,
                "frozen_at": NOW,
                "summary": {"totals": TOTALS, "carried": CARRIED},
            },
        ),
        (
            steps.frozen(CYCLE, LIST, [], NOW),
            {
                "state": _S.DONE,
                "digest": LIST,
                "frozen_at": NOW,
                "done_at": NOW,
                "summary": {"totals": [], "carried": []},
            },
        ),
        (
            steps.released(CycleFile(FROZEN, (RELEASED,), frozenset()), LIST),
            {"state": _S.RELEASED, "turn": 1, "cursor": BEGINNING},
        ),
        (
            steps.released(CycleFile(FROZEN, (RELEASED,), frozenset()), "another"),
            {"summary": {"totals": TOTALS, "refused": "the list is not the one that was frozen"}},
        ),
        (
            steps.stopped(CycleFile(FROZEN, (STOPPED_BEFORE,), frozenset())),
            {"state": _S.STOPPED, "turn": 1, "cursor": BEGINNING},
        ),
        (
            steps.stopped(CycleFile(replace(CYCLE, cursor="dexter"), (STOPPED_GATHERING,), frozenset())),
            {"state": _S.STOPPED, "turn": 1, "cursor": "dexter"},
        ),
        (steps.resumed(CycleFile(replace(CYCLE, cursor="dexter"), (), frozenset())), {"cursor": "dexter"}),
        (steps.resumed(CycleFile(replace(FROZEN, state=_S.STOPPED), (), frozenset())), {}),
        (
            steps.resumed(CycleFile(replace(FROZEN, state=_S.STOPPED), (RELEASED, STOPPED, RESUMED), frozenset())),
            {"state": _S.RELEASED, "turn": 3, "cursor": BEGINNING},
        ),
        (steps.went_through(FROZEN, UUID(int=7)), {"cursor": str(UUID(int=7))}),
        (steps.went_through(replace(FROZEN, cursor="x"), None), {}),
        (
            steps.ended(FROZEN, [], NOW),
            {"state": _S.DONE, "done_at": NOW, "summary": {"totals": TOTALS, "outcome": []}},
        ),
    ],
)
def test_a_step_changes_this_and_nothing_else(change: steps.Change, differs: dict[str, Any]) -> None:
    before = FROZEN if change.cycle.frozen_at == OPENED else CYCLE
    assert change.cycle == replace(before, **differs)


def test_a_turn_carries_out_the_decisions_that_count_and_no_other() -> None:
    late = decided(MoneyAct.RELEASE_CYCLE, _S.FROZEN, LIST, 1)
    file = CycleFile(FROZEN, (RELEASED, late, STOPPED), frozenset({"olga"}))
    assert steps.stopped(file).applied == (RELEASED.id, STOPPED.id)
    assert (file.decided.turn, file.decided.barred) == (2, False)
    assert CycleFile(FROZEN, (RELEASED,), frozenset({"fay"})).decided.barred


def test_a_batch_ends_with_the_payee_whose_legs_reach_the_limit() -> None:
    waiting = [Waiting("a", LEGS_AT_ONCE - 1), Waiting("b", 1), Waiting("c", 1)]
    assert next_payees(waiting) == ["a", "b"]
    assert next_payees([Waiting("a", LEGS_AT_ONCE + 1), Waiting("b", 1)]) == ["a"]
    assert next_payees([]) == []


def test_what_is_carried_forward_is_added_to_the_batches_before() -> None:
    leg = DueLeg(uuid4(), "dexter", "manual", "USD", None, 200, OPENED)
    carried = [Carried(leg, CarriedFor.TAX_HOLD), Carried(replace(leg, currency="EUR"), CarriedFor.TOO_MANY)]
    assert carried_totals(carried, CARRIED) == [
        {"why": "tax_hold", "currency": "USD", "legs": 2, "amount_minor": 500},
        {"why": "too_many", "currency": "EUR", "legs": 1, "amount_minor": 200},
    ]
