"""The budget of a program, and what of it is used, waits and is expected: exact at the moment of reading."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.budget import FIGURES, Budget, budget_of
from referral_rewards.domain.measures.measures import Days, Sums
from referral_rewards.domain.programs.life import newest
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.register import programs
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.measures import sums
from referral_rewards.register.measures.past import Past, past
from referral_rewards.register.measures.sums import Asked


async def budget(
    connection: AsyncConnection,
    program: str,
    as_of: datetime | None,
    now: datetime,
    keys: KeyRing,
    looked: Past | None = None,
) -> tuple[Budget, int] | None:
    """Return a program's budget as of a past moment or of now, and how many referrals count as they stood before
    (`sums.CORRECTED_MAX`).

    None if no terms of it were published by then. ``looked`` is what was on record of all its referrals at the moment,
    if it was read already. The connection's transaction must see one moment.
    """
    terms = await _newest(connection, program, as_of, now)
    if terms is None:
        return None
    life = await program_acts.of_program(connection, program, keys, before=as_of)
    total, behind = await _total(connection, program, as_of, now, looked)
    return budget_of(total, terms.currency, life.budget_minor(terms)), behind


async def _total(
    connection: AsyncConnection, program: str, as_of: datetime | None, now: datetime, looked: Past | None
) -> tuple[Sums, int]:
    if as_of is None:
        return await sums.total(connection, Asked(program), FIGURES, now)
    found = looked or await past(connection, Asked(program), as_of)
    return found.sums(Days()), 0


async def _newest(connection: AsyncConnection, program: str, as_of: datetime | None, now: datetime) -> Terms | None:
    """Return the terms whose budget counted, of those that were published by then."""
    known = await programs.versions(connection, program)
    if as_of is not None:
        published = {
            (each.program, each.version) for each in await programs.listing(connection) if each.published_at < as_of
        }
        known = [(number, terms) for number, terms in known if (program, number) in published]
    return newest(known, as_of or now) or (known[0][1] if known else None)
