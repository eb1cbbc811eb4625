"""A payout cycle as the subject of a decision: its digest, the acts that are possible now, and who may not decide."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.cycles import authority as cycle_authority
from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.register import marks
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing

_A = MoneyAct


async def shown(connection: AsyncConnection, cycle: UUID) -> ActSubject:
    """Return the cycle as a subject, without a lock.

    Raises:
        NotFound: if there is no such cycle.
    """
    row = (await connection.execute(_ROW, {"id": cycle})).one_or_none()
    if row is None:
        raise NotFound("payout cycle", str(cycle))
    return await _subject(connection, row)


async def released_by(connection: AsyncConnection, cycle: UUID | None, keys: KeyRing) -> frozenset[str]:
    """Return the users who released or resumed the cycle; empty without a cycle."""
    if cycle is None:
        return frozenset()
    made = await decisions.on_subject(connection, cycle, keys)
    return frozenset(each.user for each in made if each.kind in (_A.RELEASE_CYCLE, _A.RESUME_CYCLE))


async def _subject(connection: AsyncConnection, row: Any) -> ActSubject:
    """Build the subject. Its parties, who may not decide, are all payees of the cycle, by any known mark."""
    return ActSubject(
        SubjectKind.CYCLE,
        row.id,
        None,
        row.program,
        cycle_authority.shown_digest(row.id, row.state, row.digest, row.turn),
        cycle_authority.takes(row.state),
        await marks.of_payees_of_cycle(connection, row.id),
    )


#: A decision on a cycle locks no referrals; each payout locks its own when it is sent.
REFERRALS: Final = text("SELECT id FROM referral WHERE false AND id = CAST(:id AS text)")

LOCK: Final = text("SELECT 1 FROM payout_cycle WHERE id = :id FOR UPDATE")

CURRENCY: Final = text("SELECT currency FROM payout_cycle WHERE id = :id")

_ROW: Final = text("""
    SELECT * FROM payout_cycle WHERE id = :id
""")
