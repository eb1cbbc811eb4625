"""How a referral began: its program, referrer, start and referee (SPEC §3, §4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.identity import folded_code
from referral_rewards.domain.facts.payloads import Channel, FactType


class OriginKind(StrEnum):
    """The kind of fact that began a referral."""

    SENT = "sent"
    CLAIM = "claim"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Origin:
    """How a referral began. ``began_at`` is `R`.

    ``owners`` are the referrers who have the ``code``, sorted; ``referrer`` is None unless there is just one.
    """

    kind: OriginKind
    program: str
    referrer: str | None
    code: str | None
    channel: Channel | None
    began_at: datetime
    owners: tuple[str, ...] = ()


def origin(facts: Iterable[Fact], now: datetime) -> Origin | None:
    """Return how the referral of these facts began, as far as is known at ``now``, or None.

    The first invitation decides, else the first claim that names a program, else the first request for a reward.
    """
    seen = [fact for fact in facts if fact.occurred_at <= now]
    began = beginning(seen)
    if began is None:
        return None
    code, channel = began.data.get("referrer_code"), began.data.get("channel")
    named = began.data.get("referrer")
    owners = _owners(code, began, seen) if named is None and code is not None else ()
    return Origin(
        kind=_KINDS[began.type],
        program=began.data["program"],
        referrer=named or (owners[0] if len(owners) == 1 else None),
        code=code,
        channel=Channel(channel) if channel else None,
        began_at=began.occurred_at,
        owners=owners,
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


def _owners(code: str, began: Fact, seen: Iterable[Fact]) -> tuple[str, ...]:
    """Return whose code it was when it was typed: of those who had enrolled with it by then, those who spell it exactly
    so, else those who spell it alike. If nobody had, whoever enrolled with it first."""
    program, meant = began.data["program"], folded_code(code)
    alike = [
        fact
        for fact in seen
        if fact.type is FactType.REFERRER_ENROLLED
        and fact.data.get("program") == program
        and folded_code(fact.data.get("code") or "") == meant
    ]
    known = [fact for fact in alike if fact.occurred_at <= began.occurred_at]
    if not known:
        known = sorted(alike, key=lambda fact: fact.precedence)[:1]
    exact = [fact for fact in known if fact.data["code"] == code]
    return tuple(sorted({fact.data["referrer"] for fact in exact or known}))


_KINDS = {
    FactType.REFERRAL_SENT: OriginKind.SENT,
    FactType.REFERRAL_CLAIMED: OriginKind.CLAIM,
    FactType.REWARD_REQUESTED: OriginKind.REQUEST,
}
_RANK = {fact_type: rank for rank, fact_type in enumerate(_KINDS)}
