"""What people decided on how a referral closed: to reopen it, or to leave it closed."""

from collections.abc import Iterable

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.decision import Decision, known_at
from referral_rewards.domain.referrals.closing import closing_digest
from referral_rewards.domain.referrals.referral import Referral


def covers(row: Referral, decision: Decision) -> bool:
    """Return whether a decision was made on this closing of the referral, whatever came since."""
    return decision.digest == closing_digest(row, known_at(decision))


def upheld(row: Referral, made: Iterable[Decision]) -> int | None:
    """Return up to which facts version people decided to leave this closing as it is; None if nobody did."""
    denials = (each for each in made if each.kind is DecisionKind.DENY and covers(row, each))
    return max((known for each in denials if (known := known_at(each)) is not None), default=None)
