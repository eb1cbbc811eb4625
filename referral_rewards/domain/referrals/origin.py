"""How a referral began: its program, referrer, start and referee (SPEC §3, §4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import Channel, FactType


class OriginKind(StrEnum):
    """The kind of fact that began a referral."""

    SENT = "sent"
    CLAIM = "claim"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Origin:
    """How a referral began. ``began_at`` is `R`; ``referrer`` is None while the owner of the ``code`` is unknown."""

    kind: OriginKind
    program: str
    referrer: str | None
    code: str | None
    channel: Channel | None
    began_at: datetime


def origin(facts: Iterable[Fact], now: datetime) -> Origin | None:
    """Return how the referral of these facts began, as far as is known at ``now``, or None.

    The first invitation decides, else the first claim that names a program, else the first request for a reward.
    """
    seen = [fact for fact in facts if fact.occurred_at <= now]
    began = beginning(seen)
    if began is None:
        return None
    code, channel = began.data.get("referrer_code"), began.data.get("channel")
    return Origin(
        kind=_KINDS[began.type],
        program=began.data["program"],
        referrer=began.data.get("referrer") or _referrer_of(code, began.data["program"], seen),
        code=code,
        channel=Channel(channel) if channel else None,
        began_at=began.occurred_at,
    )


def beginning(seen: Iterable[Fact]) -> Fact | None:
    """Return the fact that began the referral; a claim that names no program can't begin one."""
    able = [fact for fact in seen if fact.type in _KINDS and fact.data.get("program")]
    return min(able, key=lambda fact: (_RANK[fact.type], fact.precedence), default=None)


def referee_identity(facts: Iterable[Fact], now: datetime) -> frozenset[str]:
    """Return the marks that identify the referee: those of the invitation and of every claim, timely or not.

    A request for a reward identifies the referee only if nothing else does.
    """
    seen = [fact for fact in facts if fact.occurred_at <= now]
    spoken = [fact for fact in seen if fact.type in (FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED)]
    if not spoken:
        spoken = [fact for fact in seen if fact.type is FactType.REWARD_REQUESTED]
    return frozenset().union(*(fact.identity for fact in spoken))


def _referrer_of(code: str | None, program: str, seen: Iterable[Fact]) -> str | None:
    """Return the referrer who first enrolled with that code: a reused code still names its first owner."""
    owners = [
        fact
        for fact in seen
        if fact.type is FactType.REFERRER_ENROLLED
        and code is not None
        and (fact.data.get("program"), fact.data.get("code")) == (program, code)
    ]
    first = min(owners, key=lambda fact: fact.precedence, default=None)
    return first.data["referrer"] if first else None


_KINDS = {
    FactType.REFERRAL_SENT: OriginKind.SENT,
    FactType.REFERRAL_CLAIMED: OriginKind.CLAIM,
    FactType.REWARD_REQUESTED: OriginKind.REQUEST,
}
_RANK = {fact_type: rank for rank, fact_type in enumerate(_KINDS)}
