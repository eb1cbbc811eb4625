"""The one spelling of our workflows' ids, and which of them a run may bear."""

import re
from datetime import date
from typing import Final
from uuid import UUID

from referral_rewards.domain.cycles.grouping import cycle_id

_UUID: Final = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CYCLE: Final = re.compile(r"payout-cycle-(?P<program>.+)-(?P<due_on>\d{4}-\d{2}-\d{2})", re.ASCII)
_OURS: Final = re.compile(rf"referral-.+|(payout|clawback|reconcile)-{_UUID}|{_CYCLE.pattern}", re.ASCII)


#: What a run says that ends at once because it bears the id of another (`is_anothers`).
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
    """The id of the workflow of a program's payout cycle of that day."""
    return f"payout-cycle-{program}-{due_on.isoformat()}"


def cycle_schedule_id(program: str) -> str:
    """The id of the schedule by which a program's payout cycles fall due."""
    return f"payout-cycle-{program}"


def reconciliation_workflow_id(reconciliation: str) -> str:
    """The id of the workflow of one reconciliation."""
    return f"reconcile-{reconciliation}"


def is_anothers(borne: str, own: str) -> bool:
    """Whether a run bears the id of another of our workflows than ``own``: whatever wakes that one would reach this run
    instead, for as long as it is open. Whoever starts workflows by hand may do so; other names keep nobody waiting.
    """
    return borne != own and _OURS.fullmatch(borne) is not None


def is_another_cycles(borne: str, cycle: str) -> bool:
    """Likewise for the run of a payout cycle, whose id names its program and its day."""
    named = _CYCLE.fullmatch(borne)
    if named is None:
        return _OURS.fullmatch(borne) is not None
    try:
        return cycle_id(named["program"], date.fromisoformat(named["due_on"])) != UUID(cycle)
    except ValueError:
        return True
