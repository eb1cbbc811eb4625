"""Where a referral stands, as much of it as a workflow needs to wait for the right thing. It enters histories."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus


class Standing(BaseModel):
    """A verdict in brief. No personal data: this stands in the workflow's history.

    ``deadline`` is the next period's end, for people; ``wake_at`` when the verdict can next change without news (the
    arrival allowance included). A ``closed`` referral waits for nothing; only the decision `reopen` changes it.
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
