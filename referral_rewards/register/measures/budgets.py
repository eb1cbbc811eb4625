"""The budget of a program, and what of it is used, waits and is expected: exact at the moment of reading."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.budget import FIGURES, Budget, budget_of
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.measures import sums
from referral_rewards.register.measures.sums import Asked


async def budget(connection: AsyncConnection, program: str, now: datetime, keys: KeyRing) -> tuple[Budget, int] | None:
    """Return a program's budget, and how many referrals count as they stood before (`sums.CORRECTED_MAX`).

    None if no terms of it were published. The connection's transaction must see one moment.
    """
    newest = await program_acts.newest_terms(connection, program, now)
    if newest is None:
        return None
    life = await program_acts.of_program(connection, program, keys)
    total, behind = await sums.total(connection, Asked(program), FIGURES, now)
    return budget_of(total, newest.currency, life.budget_minor(newest)), behind
