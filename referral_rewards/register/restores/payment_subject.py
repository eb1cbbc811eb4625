"""A forgotten payment as the subject of a decision: a person says which payout it was, or that it is not ours."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind, subject_digest
from referral_rewards.domain.errors import NotFound, RequestInvalid
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.register import marks, outbox
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions import effects
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.queue import rails as queue

_A = MoneyAct


@dataclass(frozen=True, slots=True)
class _Row:
    id: UUID
    rail: str
    reference: str
    payout_id: UUID
    payee: str | None
    amount_minor: int | None
    currency: str
    assigned_to: UUID | None
    disowned_at: datetime | None


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the payment under its row's lock.

    Raises:
        NotFound: if there is no such payment.
        RequestInvalid: if it is to be assigned to something that is no payout over its rail.
    """
    payment = UUID(asked.subject)
    await connection.execute(_LOCK, {"id": payment})
    row = await _row(connection, payment)
    if asked.kind is _A.ASSIGN_PAYMENT:
        await _check_payout(connection, asked.reference or "", row)
    return Held(await _subject(connection, row, keys), _noted)


async def shown(connection: AsyncConnection, payment: UUID, keys: KeyRing) -> ActSubject:
    """Return the payment as a subject, without a lock.

    Raises:
        NotFound: if there is no such payment.
    """
    return await _subject(connection, await _row(connection, payment), keys)


async def _row(connection: AsyncConnection, payment: UUID) -> _Row:
    found = (await connection.execute(_ROW, {"id": payment})).one_or_none()
    if found is None:
        raise NotFound("forgotten payment", str(payment))
    return _Row(*found)


async def _subject(connection: AsyncConnection, row: _Row, keys: KeyRing) -> ActSubject:
    open_ = row.assigned_to is None and row.disowned_at is None
    what: dict[str, Any] = {"id": row.id, "reference": row.reference, "amount_minor": row.amount_minor, "open": open_}
    return ActSubject(
        SubjectKind.FORGOTTEN_PAYMENT,
        row.id,
        None,
        "",
        row.currency,
        subject_digest(what),
        frozenset({_A.ASSIGN_PAYMENT, _A.DISOWN_PAYMENT}) if open_ else frozenset(),
        await marks.of_payee(connection, row.payee) if row.payee is not None else frozenset(),
        history=await decisions.history_of(connection, [row.id], keys),
        listed=f"payment {row.reference} of {label('rail', row.rail)}",
    )


async def _check_payout(connection: AsyncConnection, reference: str, row: _Row) -> None:
    try:
        payout = UUID(reference.strip())
    except ValueError:
        raise RequestInvalid("name the payout by its id", "reference") from None
    found = (await connection.execute(_PAYOUT, {"id": payout, "rail": row.rail})).one_or_none()
    if found is None:
        raise RequestInvalid(f"there is no payout {payout} over {label('rail', row.rail)}", "reference")


async def _noted(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    """Note what was decided, and wake the payouts that it concerns: they read the decision themselves."""
    payment = await _row(connection, decision.claim_id)
    if decision.kind is _A.ASSIGN_PAYMENT:
        assert decision.details is not None
        payout = UUID(decision.details["reference"])
        await connection.execute(_ASSIGN, {"id": payment.id, "payout": payout, "decision": decision.id})
        await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(payout), payout)
    else:
        await connection.execute(_DISOWN, {"id": payment.id, "at": now, "decision": decision.id})
    await queue.keep_forgotten(connection, [payment.id])
    await effects.record(connection, [decision.id], "applied", now, "noted")


_LOCK: Final = text("SELECT 1 FROM forgotten_payment WHERE id = :id FOR UPDATE")

_ROW: Final = text("""
SELECT id, rail, reference, payout_id, payee, amount_minor, currency, assigned_to, disowned_at
FROM forgotten_payment WHERE id = :id
""")

_PAYOUT: Final = text("SELECT 1 FROM payout WHERE id = :id AND rail = :rail")

_ASSIGN: Final = text("UPDATE forgotten_payment SET assigned_to = :payout, decision_id = :decision WHERE id = :id")

_DISOWN: Final = text("UPDATE forgotten_payment SET disowned_at = :at, decision_id = :decision WHERE id = :id")
