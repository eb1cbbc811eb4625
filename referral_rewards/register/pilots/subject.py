"""The pilots of a program as the subject of a decision: one is started, or what it came to is signed."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions import pilot_acts as rules
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.decisions.pilot_acts import PilotSubject, Surroundings, pilot_id
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.pilots.outcome import Measured
from referral_rewards.domain.pilots.plan import Plan
from referral_rewards.domain.programs.life import stopped_words
from referral_rewards.domain.programs.sections import PayoutCycle
from referral_rewards.register import programs, typed_rows
from referral_rewards.register.decisions import chain, program_acts
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import Lock, lock


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the pilots of a program under the program's lock, with what the plan of a new one names.

    Raises:
        NotFound: if there is no such program.
    """
    await lock(connection, Lock.PROGRAM_LIFE, asked.subject)
    return Held(await shown(connection, asked.subject, now, keys, asked.measured, asked.pilot), _nobody_waits)


async def shown(
    connection: AsyncConnection,
    program: str,
    now: datetime,
    keys: KeyRing,
    measured: Measured | None = None,
    plan: Plan | None = None,
) -> PilotSubject:
    """Return the pilots of a program, without a lock. ``measured`` is what the one that runs comes to now.

    Raises:
        NotFound: if there is no such program.
    """
    terms = await program_acts.newest_terms(connection, program, now)
    if terms is None:
        raise await programs.unknown(connection, program)
    history = await chain.history_of(connection, [pilot_id(program)], keys)
    around = await _around(connection, program, now, keys, plan)
    return rules.subject(program, terms.currency, history, around, measured)


async def _around(
    connection: AsyncConnection, program: str, now: datetime, keys: KeyRing, plan: Plan | None
) -> Surroundings:
    """Read what a plan is held to; what it names only if there is one."""
    version, newest = (await programs.versions(connection, program))[-1]
    in_cycles = isinstance(newest.payouts.timing, PayoutCycle)
    stopped = stopped_words(await program_acts.of_program(connection, program, keys), now)
    if plan is None:
        return Surroundings(version, in_cycles, stopped)
    sample = plan.sample
    asked = {
        "program": program,
        "owner": plan.owner,
        "referrals": list(sample.referrals),
        "partners": list(sample.partners),
    }
    found = await typed_rows.read_one(connection, _Named, _NAMED, asked)
    assert found is not None, "a query without a table always finds one row"
    roles = None if found.roles is None else frozenset(Role(each) for each in found.roles)
    partners = {*found.partners, *(each.partner for each in newest.partners)}
    return Surroundings(
        version, in_cycles, stopped, roles, found.names, frozenset(found.referrals), frozenset(partners)
    )


async def _nobody_waits(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    """A pilot changes no judgement and no payment: nothing is woken."""


class _Named(NamedTuple):
    roles: list[str] | None
    names: tuple[str, ...]
    referrals: tuple[str, ...]
    partners: tuple[str, ...]


_NAMED: Final = text("""
SELECT (SELECT roles FROM app_user WHERE name = :owner AND barred_at IS NULL) AS roles,
       ARRAY(SELECT name FROM app_user WHERE barred_at IS NULL AND cardinality(roles) > 0 ORDER BY name) AS names,
       ARRAY(SELECT id FROM referral WHERE program = :program AND id = ANY(CAST(:referrals AS text[]))) AS referrals,
       ARRAY(SELECT DISTINCT data->>'partner' FROM fact
             WHERE type = 'referrer.enrolled' AND data->>'program' = :program
               AND data->>'partner' = ANY(CAST(:partners AS text[]))) AS partners
""")
