"""The payments that the register forgot: record them, and load those that concern a payout."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.payouts.rail_catalogue import NAMED_BY_PAYEE
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.restores.forgotten import AfterRestore, Forgotten
from referral_rewards.register import outbox
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.queue import rails as queue
from referral_rewards.register.queue.rails import IS_FORGOTTEN

_P = PayoutState
_NAMESPACE: Final = UUID("2c1d5c0a-7e0f-5d52-8f0b-6f9d8a4f3b17")
#: SQL: whether a listed payment ``l`` bears a key of its payout ``p`` that the register never gave out.
LATER_KEY: Final = "CAST(substring(l.key FROM '^[0-9a-f-]{36}-([0-9]{1,9})$') AS bigint) > p.generation"
#: In these the register knows of a payment, or soon will: the payout itself is compared with the rail's list.
_KNOWN: Final = (_P.SENDING, _P.UNKNOWN, _P.ACCEPTED, _P.SETTLED)


def forgotten_id(rail: str, reference: str) -> UUID:
    """Return the id of a forgotten payment: the same however often it is found."""
    return uuid5(_NAMESPACE, f"{rail}\x00{reference}")


async def find(connection: AsyncConnection, reconciliation: UUID, rail: str, now: datetime) -> int:
    """Record the listed payments that name a payout of ours and that the register lacks; return how many there are.

    It does so only for a rail that was halted after a restore. The payouts that can adopt one are woken.
    """
    found = (await connection.execute(_FOUND, {"id": reconciliation, "rail": rail})).all()
    for row in found:
        known = {"id": forgotten_id(rail, row.reference), "rail": rail, "at": now, **row._asdict()}
        known["payee"] = row.payee or (row.destination if rail in NAMED_BY_PAYEE else None)
        await connection.execute(_KEEP, known)
        await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(row.payout_id), row.payout_id)
    await queue.keep_forgotten(connection, [forgotten_id(rail, row.reference) for row in found])
    return len(found)


async def unassigned(connection: AsyncConnection, rail: str | None = None) -> tuple[Forgotten, ...]:
    """Return the forgotten payments, of one rail or of all, that wait for a person, oldest first."""
    rows = await connection.execute(_UNASSIGNED, {"rail": rail})
    return tuple(_PAYMENT.validate_python(row._mapping["payment"]) for row in rows)


def of(documents: Sequence[Mapping[str, Any]]) -> tuple[Forgotten, ...]:
    """Return forgotten payments from what a statement read by `OPEN`."""
    return _PAYMENTS.validate_python(documents)


def after_restore(document: Mapping[str, Any] | None) -> AfterRestore | None:
    """Return what a statement read by `AFTER`; None if the rail was never halted after a restore."""
    return _AFTER.validate_python(document)


_PAYMENT: Final = TypeAdapter(Forgotten)
_PAYMENTS: Final = TypeAdapter(tuple[Forgotten, ...])
_AFTER: Final = TypeAdapter(AfterRestore | None)

_DOCUMENT: Final = """json_build_object(
    'id', f.id, 'rail', f.rail, 'payout_id', f.payout_id, 'reference', f.reference, 'payee', f.payee,
    'destination', f.destination, 'amount_minor', f.amount_minor, 'currency', f.currency, 'state', f.state,
    'made_at', f.made_at, 'assigned_to', f.assigned_to, 'decision', f.decision_id)"""

# A payout that is settled under the payment's reference has adopted it.
_IS_OPEN: Final = """
f.disowned_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM payout a WHERE a.provider_reference = f.reference AND a.rail = f.rail AND a.settled_at IS NOT NULL)
"""

#: The document of `of`: the open forgotten payments of the ``:rail``, and those of the payout ``:id`` over any rail.
OPEN: Final = f"""(
    SELECT coalesce(json_agg({_DOCUMENT} ORDER BY f.id), '[]')
    FROM forgotten_payment f WHERE (f.rail = :rail OR coalesce(f.assigned_to, f.payout_id) = :id) AND {_IS_OPEN}
)"""  # noqa: S608 (constants of ours)

#: The document of `after_restore`, of the ``:rail``.
AFTER: Final = """(
    SELECT json_build_object('restored_to', r.restored_to, 'halted_at', r.halted_at, 'reopened_at', r.reopened_at,
        'earlier', (SELECT json_agg(json_build_array(e.restored_to, e.found_at)) FROM register_restore e))
    FROM restored_rail r WHERE r.rail = :rail
)"""

_UNASSIGNED: Final = text(f"""
SELECT {_DOCUMENT} AS payment FROM forgotten_payment f
WHERE (CAST(:rail AS text) IS NULL OR f.rail = :rail) AND {IS_FORGOTTEN}
ORDER BY f.found_at, f.id
""")  # noqa: S608 (constants of ours)

# Whose a destination is, by every payout and method on record; nobody's if several payees ever had it.
_FOUND: Final = text(
    spelled(
        f"""
SELECT l.reference, l.names AS payout_id, l.destination, l.amount_minor, l.currency, l.state, l.made_at, coalesce(
    p.payee, (
        SELECT min(its.payee) FROM (
            SELECT o.payee FROM payout o WHERE o.rail = :rail AND o.body->>'destination' = l.destination
            UNION ALL SELECT m.data->>'payee' FROM fact m
            WHERE m.type = 'payee.method_set' AND m.data->>'rail' = :rail AND m.data->>'reference' = l.destination
        ) AS its HAVING count(DISTINCT its.payee) = 1)
) AS payee
FROM listed_payment l LEFT JOIN payout p ON p.id = l.names AND p.rail = :rail
WHERE l.reconciliation_id = :id AND l.names IS NOT NULL AND (p.id IS NULL OR p.state NOT IN :known OR {LATER_KEY})
  AND EXISTS (SELECT 1 FROM restored_rail r WHERE r.rail = :rail)
  AND NOT EXISTS (SELECT 1 FROM payout a
                  WHERE a.provider_reference = l.reference AND a.rail = :rail AND a.settled_at IS NOT NULL)
ORDER BY l.reference
""",  # noqa: S608 (constants of ours)
        known=_KNOWN,
    )
)

_KEEP: Final = text("""
INSERT INTO forgotten_payment
    (id, rail, reference, payout_id, payee, destination, amount_minor, currency, state, made_at, found_at)
VALUES (:id, :rail, :reference, :payout_id, :payee, :destination, :amount_minor, :currency, :state, :made_at, :at)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, amount_minor = excluded.amount_minor,
    payee = coalesce(forgotten_payment.payee, excluded.payee)
""")
