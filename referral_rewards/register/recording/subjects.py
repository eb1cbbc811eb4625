"""The subject of a decision on money, in its current state: a payout, a clawback case or a payout cycle."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.money_acts import ActSubject, SubjectKind
from referral_rewards.register.clawbacks import subject as clawback_case
from referral_rewards.register.cycles import subject as cycle
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts import subject as payout
from referral_rewards.register.referrals import rows as referrals


async def held(connection: AsyncConnection, kind: SubjectKind, subject: UUID, keys: KeyRing) -> ActSubject:
    """Return the subject under its locks: the referrals that it touches, in order, and then its own row.

    Raises:
        NotFound: if there is no such subject.
    """
    statements = _STATEMENTS[kind]
    for referral in (await connection.execute(statements.REFERRALS, {"id": subject})).scalars().all():
        await referrals.hold(connection, referral)
    await connection.execute(statements.LOCK, {"id": subject})
    return await shown(connection, kind, subject, keys)


async def shown(connection: AsyncConnection, kind: SubjectKind, subject: UUID, keys: KeyRing) -> ActSubject:
    """Return the subject without a lock, to show it to people who may decide on it.

    Raises:
        NotFound: if there is no such subject.
    """
    match kind:
        case SubjectKind.PAYOUT:
            return await payout.shown(connection, subject, keys)
        case SubjectKind.CLAWBACK_CASE:
            return await clawback_case.shown(connection, subject)
        case SubjectKind.CYCLE:
            return await cycle.shown(connection, subject)


async def currency_of(connection: AsyncConnection, kind: SubjectKind, subject: UUID) -> str:
    """Return the currency of the subject's amounts."""
    return str((await connection.execute(_STATEMENTS[kind].CURRENCY, {"id": subject})).scalar_one())


_STATEMENTS: Final = {SubjectKind.PAYOUT: payout, SubjectKind.CLAWBACK_CASE: clawback_case, SubjectKind.CYCLE: cycle}
