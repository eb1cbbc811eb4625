"""Read people's names and addresses in plain text, for the fraud score alone; they never leave the dossier."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.domain.claims.dossier import Dossier, Similarity
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType


async def similarity(connection: AsyncConnection, gathered: Dossier) -> Similarity | None:
    """Return both sides' email addresses, names and countries, each as first reported; None if any was erased."""
    enrolled = gathered.of_referrer(FactType.REFERRER_ENROLLED)
    # A claim is the referee's own word, an invitation the referrer's.
    invited = (
        *gathered.of(FactType.REFERRAL_CLAIMED),
        *gathered.of(FactType.REFERRAL_SENT, FactType.REWARD_REQUESTED),
    )
    found = await bodies(connection, (*enrolled, *invited))
    if found is None:
        return None
    ours = [found[fact.id] for fact in enrolled if fact.id in found]
    theirs = [_part(found[fact.id]) for fact in invited if fact.id in found]
    return Similarity(
        referrer_email=_first(ours, "email"),
        referee_email=_first(theirs, "email"),
        referrer_name=_first(ours, "name"),
        referee_name=_first(theirs, "name"),
        referrer_country=_first(ours, "country"),
        referee_country=_first(theirs, "country"),
    )


async def bodies(connection: AsyncConnection, facts: Iterable[Fact]) -> Mapping[UUID, Mapping[str, Any]] | None:
    """Return the full bodies of these facts; None if any was erased, because missing data must not count as a pass."""
    wanted = sorted(str(fact.id) for fact in facts)
    rows = (await connection.execute(_BODIES, {"facts": wanted})).all() if wanted else ()
    found = {row.subject_id: personal.body_of(connection, row.subject_id, row.sealed) for row in rows}
    read = {fact: body for fact, body in found.items() if body is not None}
    return read if len(read) == len(found) else None


def _part(body: Mapping[str, Any]) -> Mapping[str, Any]:
    person = body.get("referee")
    return person if isinstance(person, Mapping) else {}


def _first(people: Sequence[Mapping[str, Any]], name: str) -> str | None:
    return next((value for each in people if isinstance(value := each.get(name), str) and value.strip()), None)


_BODIES: Final = text("SELECT subject_id, sealed FROM personal_data WHERE subject_id = ANY(CAST(:facts AS uuid[]))")


def until(gathered: Dossier) -> datetime:
    """Return the time of the referral's conversion, or now without one, so that later judgements use the same facts."""
    return gathered.conversion.occurred_at if gathered.conversion else gathered.now
