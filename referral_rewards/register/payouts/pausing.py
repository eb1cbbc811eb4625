"""Hold a payout back while its program is paused; what was sent before is looked up all the same."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.programs.life import RUNNING, paused_words
from referral_rewards.register.referrals.cases import Past


def paused(payout: Payout, referrals: Iterable[Any], pasts: Mapping[str, Past], now: datetime) -> str | None:
    """Return why a payout that its rail has not seen yet must wait; None if it need not.

    ``pasts`` hold the signed acts on the programs of its ``referrals``. Nobody records an act on one of these programs
    until the caller's transaction ends.
    """
    if payout.key_used_at is not None:
        return None
    for row in referrals:
        life = pasts[row.id].lives.get(row.program, RUNNING)
        if (words := paused_words(row.program, life, now)) is not None:
            return words
    return None
