"""The combined result of the decisions on one claim."""

from collections.abc import Iterable
from enum import StrEnum

from referral_rewards.domain.claims.approval import DecisionKind, Requirement, Signoff, satisfied


class Ruling(StrEnum):
    """The approval state of a claim. `PENDING` never ends by itself: silence never pays."""

    PENDING = "pending"
    HELD = "held"
    APPROVED = "approved"
    DENIED = "denied"


def ruling(required: Requirement, signoffs: Iterable[Signoff], digest: str, *, frozen: bool = False) -> Ruling:
    """Return the ruling from decisions in the order they were made; those on another digest or without a route don't
    count.

    A denial is final. A hold lasts until it is released and outweighs approvals, earlier or later. A claim that is
    ``frozen`` by a dispute is never approved, whatever the approvals.
    """
    routes = frozenset(required.routes)
    counting = [s for s in signoffs if s.digest == digest and s.roles & routes]
    held = False
    for signoff in counting:
        if signoff.kind is DecisionKind.DENY:
            return Ruling.DENIED
        if signoff.kind is DecisionKind.HOLD:
            held = True
        elif signoff.kind is DecisionKind.RELEASE:
            held = False
    if held:
        return Ruling.HELD
    return Ruling.APPROVED if not frozen and satisfied(required, counting, digest) else Ruling.PENDING
