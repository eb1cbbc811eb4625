"""What a decision on a claim signs now, and what its rules read of the people and things that it names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from referral_rewards.domain.claims.approval import ADJUST, MOVE, DecisionKind, Requirement
from referral_rewards.domain.decisions.moving import Candidate, OrderFound


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision signs now, and who has an interest in it.

    ``parties`` are the marks of everyone who benefits; ``entered_by`` the users who entered facts by hand, and
    ``told_by`` those who told any of its facts, each with their marks. ``referrer`` is whose the claim is now, and
    ``proposed`` the one to whom a request moves it; None without one. ``candidate`` and ``order`` are what a decision
    names to which it moves the claim, or which it links; None if none is asked for.
    """

    digest: str
    requirement: Requirement
    parties: frozenset[str]
    entered_by: frozenset[str] = frozenset()
    told_by: Mapping[str, frozenset[str]] = field(default_factory=dict)
    referrer: str | None = None
    proposed: str | None = None
    candidate: Candidate | None = None
    order: OrderFound | None = None

    def required(self, kind: DecisionKind) -> Requirement:
        """Return what a decision of this kind needs."""
        return {DecisionKind.REASSIGN: MOVE, DecisionKind.LINK: MOVE, DecisionKind.ADJUST: ADJUST}.get(
            kind, self.requirement
        )

    def marks_named(self, kind: DecisionKind) -> frozenset[str]:
        """Return the marks of the referrer whom a decision names, or of whoever bought the order that it names."""
        named = {DecisionKind.REASSIGN: self.candidate, DecisionKind.LINK: self.order}.get(kind)
        return named.marks if named is not None else frozenset()
