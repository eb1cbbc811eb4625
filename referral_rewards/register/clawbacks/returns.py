"""Load and save returns: what a clawback case took, and the payouts that send a part of it back.

`domain.clawbacks.returning` decides. A return is a row of `payout` that pays no leg.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import PayoutRow
from models.statuses import statement
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.clawbacks.returning import Taken, request_of
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import FREED, LegState, PayoutState, body_hash, provider_key
from referral_rewards.register import outbox, typed_rows
from referral_rewards.register.books import ledger
from referral_rewards.register.outbox import WakeupKind


async def taken(connection: AsyncConnection, case: UUID, besides: UUID | None = None) -> Taken | None:
    """Return what was taken in a case; None if there is no such case.

    The return ``besides`` does not count among those that send a part of it back.
    """
    return await typed_rows.read_one(connection, Taken, _TAKEN, {"case": case, "besides": besides})


async def plan(connection: AsyncConnection, decision: Decision, amount_minor: int, now: datetime) -> None:
    """Plan the payment that a decision orders, book that it is owed, and wake its workflow.

    The reward stands again from now on, so that nothing else takes its place. The caller holds the rows of the
    referral and the case, and has just recorded the decision.
    """
    its = await taken(connection, decision.claim_id)
    assert its is not None
    request = request_of(decision.id, its, amount_minor)
    name, body = request.payout_id, request.body()
    await connection.execute(
        insert(PayoutRow).values(
            id=name,
            returns=its.case,
            referral_id=its.referral,
            payee=its.payee,
            rail=its.rail,
            amount_minor=amount_minor,
            currency=its.currency,
            body=body,
            body_hash=body_hash(body),
            generation=1,
            provider_key=provider_key(name, 1),
            state=PayoutState.APPROVED,
            created_at=now,
            updated_at=now,
        )
    )
    entry = books.owed_again(str(name), its.program, its.payee, amount_minor, its.currency)
    await ledger.post(connection, entry, program=its.program, referral=its.referral, at=now)
    await connection.execute(_STANDS_AGAIN, {"leg": its.leg})
    await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(name), name)


async def drop(connection: AsyncConnection, payout: Payout, now: datetime) -> None:
    """Book that a return, which people cancelled, is owed no more. What it was to send may be returned anew."""
    await connection.execute(_DROP, {"id": payout.id})
    program = str(payout.body["program"])
    entry = books.owed_no_more(str(payout.id), program, payout.payee, payout.amount_minor, payout.currency)
    await ledger.post(connection, entry, program=program, referral=payout.referral_id or "", at=now)


async def deciders(connection: AsyncConnection, payout: UUID) -> Sequence[str]:
    """Return who recorded decisions to return on the case of this return; nobody if it pays rewards."""
    return (await connection.execute(_DECIDERS, {"id": payout})).scalars().all()


_TAKEN: Final = statement(
    """
SELECT c.id AS case, l.id AS leg, l.referral_id AS referral, l.program, l.beneficiary AS payee, l.rail, l.currency,
       l.state AS leg_state, p.state AS payout_state, p.body->>'destination' AS destination,
       CAST(coalesce((SELECT sum(b.recovered_minor) FROM clawback b WHERE b.case_id = c.id), 0) AS bigint)
           AS taken_minor,
       CAST(coalesce((SELECT sum(r.amount_minor) FROM payout r
                      WHERE r.returns = c.id AND NOT r.dropped AND r.id IS DISTINCT FROM CAST(:besides AS uuid)), 0)
            AS bigint) AS returning_minor,
       l.state = ANY(:freed) AND (l.former OR EXISTS (
           SELECT 1 FROM leg o WHERE o.id <> l.id AND NOT o.state = ANY(:freed)
             AND ((o.program, o.order_key, o.role) = (l.program, l.order_key, l.role) AND one_order(o.stores, l.stores)
                  OR (o.referral_id, o.role) = (l.referral_id, l.role)))) AS replaced
FROM clawback_case c JOIN leg l ON l.id = c.leg_id
LEFT JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live LEFT JOIN payout p ON p.id = pl.payout_id
WHERE c.id = :case
""",
    freed=FREED,
)

_STANDS_AGAIN: Final = statement(
    "UPDATE leg SET state = :paid WHERE id = :leg AND state = :clawed_back",
    paid=LegState.PAID,
    clawed_back=LegState.CLAWED_BACK,
)

_DROP: Final = text("UPDATE payout SET dropped = true WHERE id = :id")

_DECIDERS: Final = text("""
SELECT DISTINCT d.username FROM payout p JOIN decision d ON d.claim_id = p.returns AND d.kind = 'return_clawback'
WHERE p.id = :id ORDER BY d.username
""")
