"""A referral's status, with what its workflow needs to know what to wait for. Workflow histories contain it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus


class Standing(BaseModel):
    """A verdict in brief, without personal data: the workflow's history contains it.

    ``deadline`` is the end of the current period, for people. ``wake_at`` is when the verdict can next change without a
    new fact, arrival allowance included. A ``closed`` referral waits for nothing; only a decision `reopen` changes it.
    """

    model_config = ConfigDict(frozen=True)

    status: ReferralStatus
    reason: Reason | None = None
    deadline: datetime | None = None
    wake_at: datetime | None = None
    facts_version: int = 0
    closed: bool = False
    program: str = ""
    routes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    reward_minor: int | None = None
    currency: str | None = None
