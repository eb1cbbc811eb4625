"""A program as the subject of a decision: it is paused, resumed or ended, or its budget is raised."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions import program_acts as rules
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.decisions.program_acts import ProgramSubject
from referral_rewards.domain.programs.life import program_id
from referral_rewards.register import programs
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import Lock, lock


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the program under its own lock, which each payment shares until it is committed.

    Raises:
        NotFound: if there is no such program.
    """
    await lock(connection, Lock.PROGRAM_LIFE, asked.subject)
    return Held(await shown(connection, asked.subject, now, keys, asked), _wake)


async def shown(
    connection: AsyncConnection, program: str, now: datetime, keys: KeyRing, asked: Asked | None = None
) -> ProgramSubject:
    """Return the program as a subject, without a lock.

    Raises:
        NotFound: if there is no such program.
    """
    newest = await program_acts.newest_terms(connection, program, now)
    if newest is None:
        raise await programs.unknown(connection, program)
    history = await decisions.history_of(connection, [program_id(program)], keys)
    return rules.subject(program, newest, history, now, asked)


async def _wake(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    program = decision.referral.removeprefix("program ")
    await programs.carry_out(connection, program, decision.id, now)
