"""Deciding on many claims at once: what may be, and which claims only one by one (SPEC §6)."""

from collections.abc import Collection
from typing import Final

from referral_rewards.domain.claims.decision_kinds import TOGETHER_MAX, DecisionKind
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.errors import DecisionRefused, RequestInvalid
from referral_rewards.domain.labels import labels, listed

#: What may be decided on many claims at once. Reopening and moving one are about what is special in it.
TOGETHER: Final = (
    DecisionKind.APPROVE,
    DecisionKind.DENY,
    DecisionKind.HOLD,
    DecisionKind.RELEASE,
    DecisionKind.REQUEST_EVIDENCE,
)


def check_selection(kind: DecisionKind, referrals: Collection[str]) -> None:
    """Return if this kind of decision can be made on so many claims at once.

    Raises:
        RequestInvalid: if it can't, or a claim is named twice.
    """
    if kind not in TOGETHER:
        raise RequestInvalid(f"{kind} can only be decided one claim at a time; together: {', '.join(TOGETHER)}", "kind")
    if not 1 <= len(referrals) <= TOGETHER_MAX:
        raise RequestInvalid(f"1 to {TOGETHER_MAX} claims can be decided together, not {len(referrals)}", "claims")
    if len(set(referrals)) < len(referrals):
        twice = sorted({each for each in referrals if list(referrals).count(each) > 1})
        raise RequestInvalid(f"named more than once: {', '.join(twice[:5])}", "claims")


def check_unflagged(referral: str, flags: Collection[Flag]) -> None:
    """Return if a claim can be decided together with others: whatever is flagged, a person looks at by itself.

    Raises:
        DecisionRefused: naming the rule.
    """
    if flags:
        why = f"it is flagged ({listed(labels('flag', flags))}); decide it on its own"
        raise DecisionRefused(referral, "flagged", why)
