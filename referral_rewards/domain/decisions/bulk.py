"""Bulk decisions: which kinds are allowed, and which claims must be decided one at a time (SPEC §6)."""

from collections.abc import Collection
from typing import Final

from referral_rewards.domain.claims.decision_kinds import TOGETHER_MAX, DecisionKind
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.errors import DecisionRefused, RequestInvalid
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import labels

#: The kinds of decision allowed in bulk. Reopening or moving a claim depends on the single claim.
TOGETHER: Final = (
    DecisionKind.APPROVE,
    DecisionKind.DENY,
    DecisionKind.HOLD,
    DecisionKind.RELEASE,
    DecisionKind.REQUEST_EVIDENCE,
)


def check_selection(kind: DecisionKind, referrals: Collection[str]) -> None:
    """Return if this kind of decision can be made on these claims in bulk.

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
    """Return if a claim can be decided in bulk: a person must review each flagged claim alone.

    Raises:
        DecisionRefused: naming the rule.
    """
    if flags:
        why = f"it is flagged ({listed(labels('flag', flags))}); decide it on its own"
        raise DecisionRefused(referral, "flagged", why)
