"""Recorded decisions, and the current digest and possible acts of a subject of decisions on money."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.domain.claims.decision_kinds import DecisionKind
from referral_rewards.domain.decisions.decision import KNOWN
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.referrals.lifecycle import Side
from referral_rewards.register import typed_rows
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions import effects
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.recording import subjects
from referral_rewards.reporting.shape import Instant, Shape


class Effect(Shape):
    """The effect of a decision, and why: applied, void or forged."""

    effect: str
    at: Instant
    why: str


def act_named(kind: str, *, on_a_closing: bool) -> str:
    """Return how labels call a decision: to deny what is closed leaves it closed."""
    return "leave_closed" if on_a_closing and kind == DecisionKind.DENY else kind


class DecisionShown(Shape):
    """A recorded decision; ``genuine`` is false if no trusted key signed it."""

    id: UUID
    seq: int
    kind: str
    user: str
    roles: tuple[str, ...]
    reason: str
    note: str | None
    digest: str
    decided_at: Instant
    genuine: bool
    effects: tuple[Effect, ...]


class ClaimDecision(DecisionShown):
    """A decision on a claim, with what it names: the leg and the amount that it sets (zero leaves the leg out), the
    referrer to whom it moves the claim, or the order that it links, with its
    store if it names one. One on a closed referral has the number of facts
    that whoever decided saw in ``facts_known``; a ``deny`` there leaves the referral closed."""

    leg: Side | None
    amount_minor: int | None
    referrer: str | None
    order: str | None
    store: str | None
    facts_known: int | None

    @property
    def act(self) -> str:
        """The name of what was decided, as labels know it."""
        return act_named(self.kind, on_a_closing=self.facts_known is not None)


class ActShown(DecisionShown):
    """A decision on money or a program, with its amount or reference, and from when it holds if it says so."""

    amount_minor: int | None
    reference: str | None
    at: Instant | None


class Actable(Shape):
    """A subject of decisions on money: its current digest, and the acts possible now (``takes``).

    ``room_minor`` is what is left of it to decide on, in minor units of the subject's currency; null if no act has an
    amount. ``amounts`` is the largest amount of each act that has one: some are over another part than that.
    """

    id: UUID
    referral: str | None
    program: str
    digest: str
    takes: tuple[MoneyAct, ...]
    room_minor: int | None
    amounts: dict[MoneyAct, int]
    decisions: tuple[ActShown, ...]


async def actable(connection: AsyncConnection, kind: SubjectKind, subject: UUID, keys: KeyRing) -> Actable:
    """Return a payout, clawback case or cycle as a subject of decisions.

    Raises:
        NotFound: if there is no such subject.
    """
    shown = await subjects.shown(connection, kind, subject, keys)
    takes = tuple(act for act in MoneyAct if act in shown.takes and act not in shown.obstacles)
    return Actable(
        id=shown.id,
        referral=shown.referral,
        program=shown.program,
        digest=shown.digest,
        takes=takes,
        room_minor=shown.room_minor,
        amounts={act: most for act in takes if (most := shown.most(act)) is not None},
        decisions=await on_subject(connection, subject, keys),
    )


async def on_subject(connection: AsyncConnection, subject: UUID, keys: KeyRing) -> tuple[ActShown, ...]:
    """Return the decisions on a payout, clawback case, cycle or program, oldest first."""
    genuine = {each.id for each in await decisions.on_subject(connection, subject, keys)}
    rows = await typed_rows.read(connection, _OnMoney, _ON_SUBJECT, {"subject": subject})
    found = await _effects(connection, rows)
    return tuple(
        ActShown(
            **_said(connection, row), genuine=row.id in genuine, effects=found[row.id], amount_minor=row.amount_minor,
            reference=row.reference, at=row.at,
        )
        for row in rows
    )  # fmt: skip


async def on_referral(connection: AsyncConnection, referral: str, keys: KeyRing) -> tuple[ClaimDecision, ...]:
    """Return the decisions on a referral, oldest first."""
    made, _ = await decisions.on_referral(connection, referral, keys)
    genuine = {each.id for each in made}
    rows = await typed_rows.read(connection, _OnClaim, _ON_REFERRAL, {"referral": referral})
    found = await _effects(connection, rows)
    return tuple(
        ClaimDecision(
            **_said(connection, row), genuine=row.id in genuine, effects=found[row.id], leg=row.leg,
            amount_minor=row.amount_minor, referrer=row.referrer, order=row.linked,
            store=row.store,
            facts_known=row.facts_known,
        )
        for row in rows
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Decision:
    id: UUID
    seq: int
    kind: str
    username: str
    roles: tuple[str, ...]
    reason: str
    sealed: bytes | None
    digest: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class _OnMoney(_Decision):
    amount_minor: int | None
    reference: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class _OnClaim(_Decision):
    leg: Side | None
    amount_minor: int | None
    referrer: str | None
    linked: str | None
    store: str | None
    facts_known: int | None


def _said(connection: AsyncConnection, row: _Decision) -> dict[str, Any]:
    note = personal.body_of(connection, row.id, row.sealed) or {}
    return {
        "id": row.id,
        "seq": row.seq,
        "kind": row.kind,
        "user": row.username,
        "roles": row.roles,
        "reason": row.reason,
        "note": note.get("note"),
        "digest": row.digest,
        "decided_at": row.decided_at,
    }


async def _effects(connection: AsyncConnection, rows: Sequence[_Decision]) -> dict[UUID, tuple[Effect, ...]]:
    found: dict[UUID, tuple[Effect, ...]] = {row.id: () for row in rows}
    for each in await effects.of(connection, list(found)):
        found[each.decision_id] += (Effect(effect=each.effect, at=each.at, why=each.why),)
    return found


_DECISION: Final = "d.id, d.seq, d.kind, d.username, d.roles, d.reason, p.sealed, d.digest, d.decided_at"

_ON_SUBJECT: Final = text(f"""
SELECT {_DECISION}, CAST(d.details->>'amount_minor' AS bigint) AS amount_minor, d.details->>'reference' AS reference,
       CAST(d.details->>'holds_from' AS timestamptz) AS at
FROM decision d LEFT JOIN personal_data p ON p.subject_id = d.id WHERE d.claim_id = :subject ORDER BY d.seq
""")  # noqa: S608 (a constant of ours)

_ON_REFERRAL: Final = text(f"""
SELECT {_DECISION}, d.details->>'leg' AS leg, CAST(d.details->>'amount_minor' AS bigint) AS amount_minor,
       d.details->>'referrer' AS referrer, d.details->>'order' AS linked,
       d.details->>'store' AS store,
       CAST(d.details->>'{KNOWN}' AS integer) AS facts_known
FROM decision d LEFT JOIN personal_data p ON p.subject_id = d.id WHERE d.referral_id = :referral ORDER BY d.seq
""")  # noqa: S608 (a constant of ours)
