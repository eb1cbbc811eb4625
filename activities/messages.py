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
