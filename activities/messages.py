"""The messages between workflows, activities and their callers. They hold ids and times, never content."""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """The base of all messages: immutable."""

    model_config = ConfigDict(frozen=True)


class JudgeRequest(Message):
    """Judge this referral as of ``now``, which is the workflow's clock and never an activity's."""

    referral: str
    now: datetime


class PayoutRequest(Message):
    """Take the next step of this payout."""

    payout: str
    now: datetime


class ClawbackRequest(Message):
    """Take the next step of this reversal."""

    clawback: str
    now: datetime


class PayoutProgress(Message):
    """The state of a payout or a clawback after a step, and how long to wait for the next; None when it is at rest.

    With a ``queue`` no step was taken: only the workers of that task queue may call its rail.
    """

    state: str
    why: str | None = None
    again_after: timedelta | None = None
    queue: str | None = None


class CycleRequest(Message):
    """Take the next steps of this payout cycle."""

    cycle: str
    now: datetime


class CycleProgress(Message):
    """The state of a cycle after a step. ``more``: the next step can be taken at once. ``again_after``: when to poll
    again if there is no news; None means only on news."""

    state: str
    more: bool = False
    again_after: timedelta | None = None


class CyclesDueRequest(Message):
    """Open this program's due cycle."""

    program: str
    now: datetime


class Place(Message):
    """How far a list was read: the payee, on a rail that lists one payee at a time, and the last entry read."""

    payee: str | None = None
    after: str | None = None


class ReconciliationRequest(Message):
    """Continue this reconciliation from ``place``; None means from the beginning."""

    reconciliation: str
    now: datetime
    place: Place | None = None


class ReconciliationProgress(Message):
    """Where to continue, or None when this part is done; and the number of payments listed or differences found."""

    place: Place | None
    count: int = 0


class ReconciledSoFar(Message):
    """What a run hands to the run that continues it: whether listing is done, and where the current part continues."""

    listed: bool
    place: Place | None


class PullRequest(Message):
    """Ask this source for its next page. ``troubles``: how often it did not answer since its last page in this run."""

    source: str
    troubles: int = 0


class PullProgress(Message):
    """How a pull goes on: ``more`` pages are to be had, at once or ``again_after`` a while; else it is over for now.

    ``told``: the source answered.
    """

    more: bool = False
    again_after: timedelta | None = None
    told: bool = False


class ProgramPlace(Message):
    """How far the referrals of a program were woken: by the beginning and the id of the last one."""

    began_at: datetime
    referral: str


class ProgramRequest(Message):
    """Wake the next referrals and payouts of this program; without ``after``, the first ones.

    ``told`` counts what had been decided when the first ones were woken.
    """

    program: str
    now: datetime
    after: ProgramPlace | None = None
    told: int | None = None


class ProgramProgress(Message):
    """How far it came, None at the end; and when the program next changes by itself, None if it does not."""

    after: ProgramPlace | None
    told: int
    again_at: datetime | None = None
