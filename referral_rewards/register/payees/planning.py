"""Plan the payout of a single leg before any rail is called: due at once, or for review by a person."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PayoutRow
from referral_rewards.domain.payouts.payout import Leg
from referral_rewards.domain.payouts.states import PaymentRequest, PayoutState, body_hash, payout_id, provider_key
from referral_rewards.register.payees import deductions

_payouts = PayoutRow.__table__  # type: ignore[attr-defined]


async def plan_own(
    connection: AsyncConnection, leg: Leg, round_: int, state: PayoutState, why: str | None, at: datetime
) -> UUID:
    """Plan a payout for one leg and return its id.

    If the payout was cancelled before it was sent, it is planned again under the same id and key. The caller holds the
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
            set_=planned,
            where=(_payouts.c.first_sent_at.is_(None)) & (_payouts.c.state == PayoutState.CANCELLED),
        )
    )
    await connection.execute(_LINK, {"payout": name, "leg": leg.id})
    return name


# A leg that left this payout for a cycle's payout comes back to it.
_LINK: Final = text("""
INSERT INTO payout_leg (payout_id, leg_id, live) VALUES (:payout, :leg, true)
ON CONFLICT (payout_id, leg_id) DO UPDATE SET live = true
""")
