"""What travels between workflows, activities and whoever talks to them: ids and moments, never content."""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A message is a value."""

    model_config = ConfigDict(frozen=True)


class JudgeRequest(Message):
    """Judge this referral as of this moment: the workflow's own clock, never an activity's."""

    referral: str
    now: datetime


class PayoutRequest(Message):
    """Carry this payout one step further."""

    payout: str
    now: datetime


class ClawbackRequest(Message):
    """Carry this reversal one step further."""

    clawback: str
    now: datetime


class PayoutProgress(Message):
    """Where a payout or a clawback stands after a step, and how long to wait before the next; at rest there is none."""

    state: str
    why: str | None = None
    again_after: timedelta | None = None


class CycleRequest(Message):
    """Carry this payout cycle one step further."""

    cycle: str
    now: datetime


class CycleProgress(Message):
    """Where a cycle stands after a step. ``more``: the next step can be taken at once. ``again_after``: without any
    news, look again then; at rest there is none."""

    state: str
    more: bool = False
    again_after: timedelta | None = None


class CyclesDueRequest(Message):
    """Open the cycle of this program that has fallen due."""

    program: str
    now: datetime


class Place(Message):
    """How far a list was read: of which payee's, at a rail that is asked for each, and after which entry."""

    payee: str | None = None
    after: str | None = None


class ReconciliationRequest(Message):
    """Carry this reconciliation on, from the ``place`` that it came to; None: from its beginning."""

    reconciliation: str
    now: datetime
    place: Place | None = None


class ReconciliationProgress(Message):
    """Where it goes on, None once this part of it is done; and how many payments or differences there were."""

    place: Place | None
    count: int = 0


class ReconciledSoFar(Message):
    """What a run leaves to the one that continues it: whether all is listed, and where the present part goes on."""

    listed: bool
    place: Place | None
