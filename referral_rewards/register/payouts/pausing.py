"""Find out whether a payout's program is paused: then what no rail has seen waits (`domain.payouts.attempt`)."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from referral_rewards.domain.programs.life import RUNNING, paused_words
from referral_rewards.domain.referrals.case import Past
from referral_rewards.domain.referrals.referral import Referral


def paused(referrals: Iterable[Referral], pasts: Mapping[str, Past], now: datetime) -> str | None:
    """Return why the program of one of these referrals holds payments back, in a sentence; None if none does.

    ``pasts`` hold the signed acts on their programs. Nobody records an act on one of these programs until the caller's
    transaction ends.
    """
    for row in referrals:
        life = pasts[row.id].lives.get(row.program or "", RUNNING)
        if (words := paused_words(row.program or "", life, now)) is not None:
            return words
    return None
