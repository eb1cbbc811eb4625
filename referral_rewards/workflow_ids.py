"""The ids of our workflows, and the check that a run was started under its own."""

import re
from datetime import date
from typing import Final
from uuid import UUID

from referral_rewards.domain.cycles.grouping import cycle_id

_UUID: Final = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CYCLE: Final = re.compile(r"payout-cycle-(?P<program>.+)-(?P<due_on>\d{4}-\d{2}-\d{2})", re.ASCII)
#: The id of the workflow that keeps the register's mark, and where its memo has the mark.
REGISTER_MARK: Final = "register-mark"
MEMO_OF_MARK: Final = "mark"
#: The type of the runs that keep erasings, and their task queue; where the memo of each has what it keeps.
KEPT_ERASINGS: Final = "KeptErasing"
MEMO_OF_ERASING: Final = "erasing"
_OURS: Final = re.compile(
    rf"{REGISTER_MARK}|(referral|program)-.+|(payout|clawback|reconcile|kept-erasing)-{_UUID}|{_CYCLE.pattern}",
    re.ASCII,
)


#: The result of a run that ends at once because it was started under another workflow's id (`is_anothers`).
BORROWED: Final = "started under the id of another workflow"


def workflow_id(referral: str) -> str:
    """The id of a referral's workflow, the same for its whole life."""
    return f"referral-{referral}"


def payout_workflow_id(payout: str) -> str:
    """The id of the workflow that carries out one payout."""
    return f"payout-{payout}"


def clawback_workflow_id(clawback: str) -> str:
    """The id of the workflow that carries out one reversal."""
    return f"clawback-{clawback}"


def cycle_workflow_id(program: str, due_on: date) -> str:
    """The id of the workflow of a program's payout cycle that is due on ``due_on``."""
    return f"payout-cycle-{program}-{due_on.isoformat()}"


def cycle_schedule_id(program: str) -> str:
    """The id of the schedule that opens a program's payout cycles."""
    return f"payout-cycle-{program}"


def pull_id(source: str) -> str:
    """The id of the schedule that pulls a source, and the beginning of the ids of the workflows that it starts."""
    return f"source-pull-{source}"


def program_workflow_id(program: str) -> str:
    """The id of the workflow that carries out the acts on a program."""
    return f"program-{program}"


def reconciliation_workflow_id(reconciliation: str) -> str:
    """The id of the workflow of one reconciliation."""
    return f"reconcile-{reconciliation}"


def kept_erasing_id(erasure: str) -> str:
    """The id of the run that keeps one erasing."""
    return f"kept-erasing-{erasure}"


def is_anothers(borne: str, own: str) -> bool:
    """Whether a run was started under the id of another of our workflows than ``own``. While such a run is open, it
    receives that workflow's wake-ups. A workflow started by hand under any other id does no harm.
    """
    return borne != own and _OURS.fullmatch(borne) is not None


def is_another_cycles(borne: str, cycle: str) -> bool:
    """Like `is_anothers`, for a payout cycle, whose workflow id holds the program and the due date."""
    named = _CYCLE.fullmatch(borne)
    if named is None:
        return _OURS.fullmatch(borne) is not None
    try:
        return cycle_id(named["program"], date.fromisoformat(named["due_on"])) != UUID(cycle)
    except ValueError:
        return True
