"""The payout of one leg, on record before anybody is asked to pay it: due at once, or put before a person."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PayoutRow
from referral_rewards.domain.payouts.states import PaymentRequest, PayoutState, body_hash, payout_id, provider_key
from referral_rewards.register.payees import deductions

_payouts = PayoutRow.__table__  # type: ignore[attr-defined]


async def plan_own(
    connection: AsyncConnection, leg: Any, round_: int, state: PayoutState, why: str | None, at: datetime
) -> UUID:
    """Writes the intent to pay a leg by a payout of its own, and returns its id.

    One planned before, cancelled and never sent is planned anew under its one name and key. The caller holds the
    referral, of whose present ``round_`` the leg is, and the payee (`deductions.hold_payees`).
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


# A leg that was in this payout before, and left it for that of a cycle, comes back to it.
_LINK: Final = text("""
INSERT INTO payout_leg (payout_id, leg_id, live) VALUES (:payout, :leg, true)
ON CONFLICT (payout_id, leg_id) DO UPDATE SET live = true
""")
