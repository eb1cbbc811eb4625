"""How a referral began: under which program, by whom and when, and who its referee is (SPEC §3, §4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import Channel, FactType


class OriginKind(StrEnum):
    """By which kind of fact a referral began."""

    SENT = "sent"
    CLAIM = "claim"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Origin:
    """How a referral began. ``began_at`` is `R`; ``referrer`` is None while nobody is known to have the ``code``."""

    kind: OriginKind
    program: str
    referrer: str | None
    code: str | None
    channel: Channel | None
    began_at: datetime


def origin(facts: Iterable[Fact], now: datetime) -> Origin | None:
    """How the referral of these facts began, as far as can be known at ``now``, or None.

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
    """The fact by which the referral of these facts began; a claim can't begin one without naming a program."""
    able = [fact for fact in seen if fact.type in _KINDS and fact.data.get("program")]
    return min(able, key=lambda fact: (_RANK[fact.type], fact.precedence), default=None)


def referee_identity(facts: Iterable[Fact], now: datetime) -> frozenset[str]:
    """The marks that say who the referee is: of the invitation and of every claim, timely or not.

    A request for a reward says who it is only where nothing else does.
    """
    seen = [fact for fact in facts if fact.occurred_at <= now]
    spoken = [fact for fact in seen if fact.type in (FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED)]
    if not spoken:
        spoken = [fact for fact in seen if fact.type is FactType.REWARD_REQUESTED]
    return frozenset().union(*(fact.identity for fact in spoken))


def _referrer_of(code: str | None, program: str, seen: Iterable[Fact]) -> str | None:
    """Who first enrolled in the program with that code: a code that is given out again still names its first owner."""
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
