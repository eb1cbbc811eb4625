"""A payout as the subject of a decision: its digest, the acts that are possible now, and who may not decide."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind, payout_takes, subject_digest
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register import marks
from referral_rewards.register.cycles.subject import released_by
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts.endings import GIVEN_UP

_A = MoneyAct


async def shown(connection: AsyncConnection, payout: UUID, keys: KeyRing) -> ActSubject:
    """Return the payout as a subject, without a lock.

    Raises:
        NotFound: if there is no such payout.
    """
    row = (await connection.execute(_ROW, {"id": payout})).one_or_none()
    if row is None:
        raise NotFound("payout", str(payout))
    return await _subject(connection, row, keys)


def payout_digest(row: Any, generation: int, state: PayoutState) -> str:
    """Return the digest that a decision on the payout signs, for its row in that generation and state."""
    what: Mapping[str, Any] = {
        "payout": row.id,
        "generation": generation,
        "state": state,
        "rail": row.rail,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "body": row.body_hash,
        # Sessions may read the same instant in different zones.
        "sent": row.first_sent_at and row.first_sent_at.astimezone(UTC).isoformat(),
    }
    return subject_digest(what)


async def _subject(connection: AsyncConnection, row: Any, keys: KeyRing) -> ActSubject:
    state, sent = PayoutState(row.state), row.key_used_at is not None
    made = await decisions.on_subject(connection, row.id, keys)
    # A manual payment also needs a second person to confirm it: not one who approved or released it.
    let_out_by = dict.fromkeys(await released_by(connection, row.cycle_id, keys), "released the cycle that it is of")
    let_out_by |= dict.fromkeys(row.approvers, "approved what it pays")
    # If a person recorded that a payment failed, another person must release the retry.
    refused_by = {each.user: "recorded that it was not paid" for each in made if each.kind is _A.REFUSE_PAYOUT}
    return ActSubject(
        SubjectKind.PAYOUT,
        row.id,
        row.referral_id,
        row.program,
        payout_digest(row, row.generation, state),
        payout_takes(state, sent=sent, given_up=row.given_up, rail=row.rail),
        await marks.of_payee(connection, row.payee),
        {_A.CONFIRM_PAYOUT: let_out_by, _A.RETRY_PAYOUT: refused_by},
    )


REFERRALS: Final = text("""
    SELECT DISTINCT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
    WHERE pl.payout_id = :id
      AND (pl.live OR NOT EXISTS (SELECT 1 FROM payout_leg WHERE payout_id = :id AND live OFFSET 0))
    ORDER BY 1
""")

LOCK: Final = text("SELECT 1 FROM payout WHERE id = :id FOR UPDATE")

CURRENCY: Final = text("SELECT currency FROM payout WHERE id = :id")

_ROW: Final = text(f"""
    SELECT p.*, p.body->>'program' AS program, {GIVEN_UP} AS given_up, ARRAY(
        SELECT DISTINCT d.username FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
        JOIN decision d ON CAST(d.id AS text) = ANY(l.decisions)
        WHERE pl.payout_id = p.id AND pl.live
    ) AS approvers
    FROM payout p WHERE p.id = :id
""")  # noqa: S608 (a constant of ours)
