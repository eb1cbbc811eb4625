"""Load what a program's readiness depends on: its newest terms, its people, its rails, its sources."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text

from models import power
from models.session import Database
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.facts.rights import NOTHING, Rights
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.programs.life import stopped_words
from referral_rewards.domain.programs.terms import Role, Terms
from referral_rewards.domain.readiness.gaps import Readiness, named_sources
from referral_rewards.domain.readiness.staffing import Person
from referral_rewards.register import programs
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.reporting import rails
from referral_rewards.sources.port import Source


async def readiness(
    database: Database, program: str, sources: Mapping[str, Source], keys: KeyRing, *, proposed: Terms | None = None
) -> Readiness:
    """Load the input of the readiness rules, for the program's newest version or for ``proposed`` instead.

    The sources are asked outside of the transaction, so that a slow one blocks nothing.
    """
    async with database.reading() as connection:
        newest = (await programs.versions(connection, program))[-1:]
        rows = (
            await connection.execute(
                _PEOPLE, {"program": program, "scope": Scope.EVENTS_WRITE, "decides": Scope.CLAIMS_DECIDE}
            )
        ).all()
        life = await program_acts.of_program(connection, program, keys)
        connected = await rails.connected(connection, datetime.now(UTC))
        unread = frozenset((await connection.execute(_UNREAD, {"unread": Waits.UNREAD_EVENT})).scalars())
        halted = frozenset(each.rail for each in await rails.halted(connection) if each.restored)
    version, terms = newest[0] if newest and proposed is None else (None, proposed)
    named = sorted(named_sources(terms) & sources.keys()) if terms is not None else []
    answers = await asyncio.gather(*(sources[name].reachable() for name in named))
    return Readiness(
        program=program,
        terms=terms,
        version=version,
        sources=dict(zip(named, answers, strict=True)),
        rails=connected,
        halted=halted,
        unread=unread,
        role=await power.excess(database),
        stopped=stopped_words(life, datetime.now(UTC)),
        people=tuple(
            Person(
                row.name,
                frozenset(Role(role) for role in row.roles),
                row.is_referrer,
                not tells.are_none,
                tells,
                row.password_alone,
                row.unconfirmed,
            )
            for row, tells in ((row, _rights(row.tells, row.tells_sources, row.tells_types)) for row in rows)
        ),
    )


def _rights(tells: bool, sources: Collection[str], types: Collection[str]) -> Rights:
    return Rights(frozenset(sources), frozenset(types)) if tells else NOTHING


_UNREAD: Final = text("SELECT subject FROM queue_entry WHERE exception >= :unread AND exception <= :unread")

# A user who is barred, or has no password, provider or token to decide with, can't sign in; one with an unconfirmed
# change of their account decides nothing. The keys
# of a program's enrolments lie beside each other.
_PEOPLE: Final = text("""
SELECT u.name, u.roles, :scope = ANY(u.scopes) AS tells, u.tells_sources, u.tells_types,
       EXISTS (
           SELECT 1 FROM fact_key fk JOIN fact f ON f.id = fk.fact_id
           WHERE fk.key >= 'referrer:' || :program || '/' AND fk.key < 'referrer:' || :program || '0'
             AND f.type = 'referrer.enrolled' AND f.marks && u.marks
       ) AS is_referrer,
       u.password_hash IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM second_factor s WHERE s.username = u.name AND s.secret IS NOT NULL)
           AS password_alone,
       EXISTS (SELECT 1 FROM account_change c WHERE c.username = u.name AND c.confirmed_at IS NULL) AS unconfirmed
FROM app_user u
WHERE u.barred_at IS NULL AND cardinality(u.roles) > 0
  AND (u.password_hash IS NOT NULL
       OR EXISTS (SELECT 1 FROM oidc_identity i WHERE i.username = u.name AND i.unlinked_at IS NULL)
       OR EXISTS (SELECT 1 FROM api_token t WHERE t.username = u.name AND t.revoked_at IS NULL
                  AND (t.expires_at IS NULL OR t.expires_at > now()) AND :decides = ANY(t.scopes)))
ORDER BY u.name
""")
