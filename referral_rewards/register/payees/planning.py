"""Plan the payout of a single leg before any rail is called: due at once, or for review by a person.

`PLANNING` plans those of a reservation within the statement that saves it; `plan_own` plans one by itself.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import case, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PayoutRow
from models.statuses import spelled
from referral_rewards.domain.claims.reserving import NewPayout
from referral_rewards.domain.payouts.payout import Leg
from referral_rewards.domain.payouts.states import PaymentRequest, PayoutState, body_hash, payout_id, provider_key
from referral_rewards.register import outbox
from referral_rewards.register.locks import dump
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payees import deductions

#: Why a payout is refused that was approved anew after its refusal.
REFUSED_BEFORE: Final = "its last payment was refused; what it pays was approved anew since"

_payouts = PayoutRow.__table__  # type: ignore[attr-defined]


async def plan_own(
    connection: AsyncConnection, leg: Leg, round_: int, state: PayoutState, why: str | None, at: datetime
) -> UUID:
    """Plan a payout for one leg and return its id.

    If the payout was cancelled before it was sent, it is planned again under the same id and key; if it was refused
    before, it is refused again, and a person retries it. The caller holds the
    payee (`deductions.hold_payees`) and the referral; the leg belongs to its current ``round_``.
    """
    name = payout_id(leg.referral_id, leg.role, round_)
    amount_minor = await deductions.plan(
        connection, name, payee=leg.beneficiary, rail=leg.rail, currency=leg.currency, legs=[leg.id], at=at
    )
    request = PaymentRequest(
        payout_id=name,
        payee=leg.beneficiary,
        amount_minor=amount_minor,
        currency=leg.currency,
        destination=leg.destination,
        program=leg.program,
        referral=leg.referral_id,
    )
    body = request.body()
    planned = {
        "payee": leg.beneficiary,
        "rail": leg.rail,
        "amount_minor": amount_minor,
        "currency": leg.currency,
        "body": body,
        "body_hash": body_hash(body),
        "state": state,
        "why": why,
        "updated_at": at,
    }
    was_sent = _payouts.c.first_sent_at.is_not(None)
    statement = upsert(_payouts).values(
        id=name,
        referral_id=leg.referral_id,
        generation=1,
        provider_key=provider_key(name, 1),
        created_at=at,
        **planned,
    )
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={**planned, "state": case((was_sent, PayoutState.REFUSED), else_=state)},
            where=_payouts.c.state == PayoutState.CANCELLED,
        )
    )
    await connection.execute(_LINK, {"payout": name, "leg": leg.id})
    return name


def values_of(planned: Sequence[NewPayout]) -> dict[str, object]:
    """Return the payouts of a reservation as the parameters of `PLANNING`."""
    bodies = [each.request.body() for each in planned]
    return {
        "payout_ids": [str(each.request.payout_id) for each in planned],
        "payouts": dump(
            [
                {
                    "id": str(each.request.payout_id),
                    "leg": str(each.leg.id),
                    "payee": each.request.payee,
                    "rail": each.leg.rail,
                    "amount_minor": each.request.amount_minor,
                    "currency": each.request.currency,
                    "body": body,
                    "body_hash": body_hash(body),
                    "provider_key": provider_key(each.request.payout_id, 1),
                }
                for each, body in zip(planned, bodies, strict=True)
            ]
        ),
        "deductions": dump(
            [
                {
                    "payout": str(each.request.payout_id),
                    "kind": its.kind,
                    "source": its.source,
                    "amount_minor": its.amount_minor,
                }
                for each in planned
                for its in each.lowered_by.deductions
            ]
        ),
    }


#: Parts of a WITH that plan the payouts of `values_of` for legs reserved ``:at`` a time, and wake their workflows.
#:
#: A payout that was cancelled before it was sent is planned again under the same id and key. One that was refused, and
#: cancelled because its approval fell, is refused as before, with the request of the new approval: a person retries it.
PLANNING: Final = spelled(
    f"""
planned AS (
    SELECT * FROM jsonb_to_recordset(CAST(:payouts AS jsonb)) AS planned(
        id uuid, leg uuid, payee text, rail text, amount_minor bigint, currency text, body jsonb, body_hash text,
        provider_key text)
), lowered AS (
    SELECT * FROM jsonb_to_recordset(CAST(:deductions AS jsonb)) AS lowered(
        payout uuid, kind text, source text, amount_minor bigint)
), payouts AS (
    INSERT INTO payout (id, referral_id, payee, rail, amount_minor, currency, body, body_hash, generation,
                        provider_key, state, created_at, updated_at)
    SELECT id, :referral, payee, rail, amount_minor, currency, body, body_hash, 1, provider_key, :approved,
           CAST(:at AS timestamptz), CAST(:at AS timestamptz)
    FROM planned
    ON CONFLICT (id) DO UPDATE
    SET payee = excluded.payee, rail = excluded.rail, amount_minor = excluded.amount_minor,
        currency = excluded.currency, body = excluded.body, body_hash = excluded.body_hash,
        state = CASE WHEN payout.first_sent_at IS NULL THEN excluded.state ELSE :refused END,
        why = CASE WHEN payout.first_sent_at IS NOT NULL THEN :refused_before END, updated_at = excluded.updated_at
    WHERE payout.state = :cancelled
), links AS (
    INSERT INTO payout_leg (payout_id, leg_id, live) SELECT id, leg, true FROM planned
), freed AS (
    UPDATE payout_deduction d SET live = false WHERE payout_id = ANY(CAST(:payout_ids AS uuid[])) AND live
      AND NOT EXISTS (SELECT 1 FROM lowered l WHERE (l.payout, l.kind, l.source) = (d.payout_id, d.kind, d.source))
), kept AS (
    INSERT INTO payout_deduction (payout_id, kind, source, amount_minor, live)
    SELECT payout, kind, source, amount_minor, true FROM lowered
    ON CONFLICT (payout_id, kind, source) DO UPDATE SET amount_minor = excluded.amount_minor, live = true
), woken AS ({outbox.wakeups(WakeupKind.PAYOUT_DUE, "CAST(id AS text)", "id", "FROM planned")})""",  # noqa: S608 (words of ours alone)
    approved=PayoutState.APPROVED,
    cancelled=PayoutState.CANCELLED,
    refused=PayoutState.REFUSED,
    refused_before=REFUSED_BEFORE,
)

# A leg that left this payout for a cycle's payout comes back to it.
_LINK: Final = text("""
INSERT INTO payout_leg (payout_id, leg_id, live) VALUES (:payout, :leg, true)
ON CONFLICT (payout_id, leg_id) DO UPDATE SET live = true
""")
