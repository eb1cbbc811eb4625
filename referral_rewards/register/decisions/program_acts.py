"""What the signed acts on programs say; a decision that does not verify says nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.program_acts import life_of
from referral_rewards.domain.programs.life import Life, newest
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.register import programs
from referral_rewards.register.decisions.chain import LINKED, verified
from referral_rewards.register.decisions.signing import KeyRing


def acts_on(names: str) -> str:
    """Return a query, of one value for `lives`, for the decisions on the programs that a query names."""
    return f"""(
    SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.seq), '[]')
    FROM ({LINKED} WHERE d.claim_id = ANY(ARRAY(
        SELECT DISTINCT CAST(md5('program:' || named.name) AS uuid) FROM ({names}) AS named(name)
    ))) AS a
)"""  # noqa: S608 (queries of ours alone)


def lives(documents: Sequence[Mapping[str, Any]], keys: KeyRing, before: datetime | None = None) -> Mapping[str, Life]:
    """Return the lives of programs, by name, from what a statement read by `acts_on`; none for one without an act.

    With ``before`` only what was decided before that moment counts.
    """
    if not documents:
        return {}
    genuine, _ = verified(documents, keys)
    genuine = tuple(each for each in genuine if before is None or each.decided_at < before)
    names = sorted({each.referral.removeprefix(_LISTED) for each in genuine if each.referral.startswith(_LISTED)})
    return {name: life_of(genuine, name) for name in names}


async def of_program(
    connection: AsyncConnection, program: str, keys: KeyRing, *, before: datetime | None = None
) -> Life:
    """Return the life of a program; with ``before``, by what was decided before that moment."""
    documents = (await connection.execute(_OF_PROGRAM, {"program": program})).scalar_one()
    return lives(documents, keys, before).get(program, Life())


async def newest_terms(connection: AsyncConnection, program: str, now: datetime) -> Terms | None:
    """Return the terms of a program that are in force now; the first ones if none are yet. None: there is no program.

    Their budget and currency are those of a decision on the program.
    """
    known = await programs.versions(connection, program)
    return newest(known, now) or (known[0][1] if known else None)


#: A decision on a program is listed under its name (`domain.decisions.money_acts.ActSubject`).
_LISTED: Final = "program "

_OF_PROGRAM: Final = text(f"SELECT {acts_on('SELECT CAST(:program AS text)')}")
