"""Whether facts still say what they said when they were received: their ids, digests, marks, keys and tellers."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.audit import erased
from referral_rewards.audit.erased import ERASED, Erased
from referral_rewards.audit.evidence import SKEW
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money.about import differs
from referral_rewards.audit.money.streaming import rows
from referral_rewards.domain.errors import FactInvalid, SealBroken
from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.facts.identity import Marker

_FACTS: Final = UUID("4f0f6cf5-9f0b-5f3e-8d0a-3f1f5b8f6d10")
_TELLERS: Final = UUID("9c3f3f0e-2f1c-5c55-9f0a-6f1d5a2f7b11")
#: The mark at the end of a key: a keyed hash, or what is left of it.
_MARK_OF_KEY: Final = re.compile(
    r"(email|alias|phone|local_phone|fingerprint|device|ip|agent|address|surname):(erased-)?[0-9a-f]{32}$"
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A fact as it is on record, with what it was received as (``told`` is None once it was erased).

    ``paid_at`` is when a reward of the referrals that it is of was paid last.
    """

    id: UUID
    source: str
    event_id: str
    type: str
    occurred_at: datetime
    received_at: datetime
    data: Mapping[str, object]
    marks: list[str]
    digest: str
    teller_id: UUID | None
    told: personal.Opened | SealBroken | None
    commitment: str | None
    erased_at: datetime | None
    keys: list[str]
    erased: Erased | None
    paid_at: datetime | None
    teller: Mapping[str, object] | None


async def findings(
    connection: AsyncConnection, claims: Collection[UUID], referrals: Collection[str], marker: Marker | None
) -> Mapping[str, Sequence[Finding]]:
    """Return what was changed in the facts of some referrals, or in those that claims cite, since they were received:
    by the referral's id and by the claim's, as text.

    Without a ``marker``, which takes the installation's pepper, marks and keys are not compared.
    """
    asked = {"claims": sorted(claims), "referrals": sorted(referrals)}
    names = [each.name for each in fields(Sealed) if each.name not in ("told", "erased")]
    found: defaultdict[str, list[Finding]] = defaultdict(list)
    async with rows(connection, _SEALED, asked) as every:
        async for row in every:
            told = personal.opened_or_broken(connection, row.id, row.sealed)
            known = {name: getattr(row, name) for name in names}
            sealed = Sealed(**known, told=told, erased=erased.erased(row.erased))
            where = f"fact {sealed.source} {sealed.event_id}"
            for what in problems(sealed, marker):
                for owner in row.owners:
                    found[owner].append(Finding(part=Part.QUALIFYING_EVENT, what=what, where=where))
    return found


def problems(sealed: Sealed, marker: Marker | None) -> Iterator[str]:
    """Yield in words where a fact is not as it was received."""
    right = uuid5(_FACTS, f"{sealed.source}\x00{sealed.event_id}")
    if sealed.id != right:
        yield differs("id", sealed.id, right)
    if sealed.occurred_at > sealed.received_at + SKEW:
        yield f"it was received at {sealed.received_at.isoformat()}, before it happened"
    yield from _of_teller(sealed)
    if sealed.commitment is None:
        yield "what it was received as is not on record"
    elif isinstance(sealed.told, SealBroken):
        yield f"what it was received as is sealed and does not open: {sealed.told}"
    elif sealed.told is None:
        if sealed.erased_at is None:
            yield "what it was received as is missing, though nobody erased it"
        else:
            yield from erased.problems(sealed.erased, sealed.marks, sealed.paid_at)
            yield from _of_keys(sealed)
    else:
        if sealed.erased_at is not None:
            yield "it counts as erased, and what it was received as is still there"
        yield from _as_received(sealed, sealed.told, sealed.commitment, marker)


def _as_received(sealed: Sealed, told: personal.Opened, commitment: str, marker: Marker | None) -> Iterator[str]:
    document = {
        "specversion": "1.0",
        "id": sealed.event_id,
        "source": sealed.source,
        "type": sealed.type,
        "time": sealed.occurred_at.isoformat(),
        "data": told.body,
    }
    try:
        event = parse_event(document)
    except FactInvalid as error:
        yield f"it can't be read any more: {error}"
        return
    store = sealed.data.get("store")
    event = event.of_store(store if isinstance(store, str) else None)
    if hashlib.sha256(told.salt + event.content.encode()).hexdigest() != commitment:
        yield "what it was received as was changed since"
    if dict(sealed.data) != event.public:
        yield "what is read of it is not what was received"
    head = "\n".join((sealed.source, sealed.event_id, sealed.type, sealed.occurred_at.isoformat(), ""))
    digest = hashlib.sha256(f"{head}{event.public_content}\n{commitment}".encode()).hexdigest()
    if digest != sealed.digest:
        yield differs("digest", f"{sealed.digest[:12]}…", f"{digest[:12]}…")
    if marker is not None:
        yield from _of_marks(sealed, event, marker)


def _of_marks(sealed: Sealed, event: Event, marker: Marker) -> Iterator[str]:
    marks = event.marks(marker)
    if frozenset(sealed.marks) != marks:
        yield "its marks are not those of the person that it names"
    filing = keys.file(event, marks)
    if frozenset(sealed.keys) != filing.keys | filing.traces:
        yield "it is not filed under the keys that it names"


def _of_keys(sealed: Sealed) -> Iterator[str]:
    """What is erased is filed under marks of its own."""
    ends = {each for key in sealed.keys if (each := _MARK_OF_KEY.search(key)) is not None}
    if {each[0] for each in ends} - set(sealed.marks):
        yield "it is filed under marks that it does not have"


def _of_teller(sealed: Sealed) -> Iterator[str]:
    """Who told it is on record, with what they could tell then."""
    if sealed.teller_id is None:
        return
    if sealed.teller is None:
        yield "who told it is not on record"
        return
    said = sealed.teller
    names = [name for kind in ("sources", "types") for name in (sorted(_texts(said[kind])), [""])][:3]
    told = "\x00".join((str(said["username"]), str(said["token_id"]), *(each for part in names for each in part)))
    right = uuid5(_TELLERS, told)
    if sealed.teller_id != right:
        yield differs("teller", sealed.teller_id, right)


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


#: Each fact once, with the referrals and claims that it is of.
_SEALED: Final = text(f"""
SELECT f.*, p.sealed, p.commitment, p.erased_at,
       ARRAY(SELECT key FROM fact_key WHERE fact_id = f.id) AS keys, to_jsonb(t) AS teller, its.owners,
       {ERASED} AS erased, (
           SELECT max(s.at) FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id
           JOIN payout_step s ON s.payout_id = pl.payout_id AND s.state = 'settled'
           WHERE l.referral_id = ANY(its.owners)
       ) AS paid_at
FROM (
    SELECT fact_id, array_agg(owner ORDER BY owner) AS owners FROM (
        SELECT fact_id, referral_id AS owner FROM referral_fact WHERE referral_id = ANY(CAST(:referrals AS text[]))
        UNION
        SELECT CAST(e->>'id' AS uuid), CAST(c.id AS text)
        FROM reward_claim c CROSS JOIN LATERAL jsonb_array_elements(c.body->'evidence') AS e
        WHERE c.id = ANY(CAST(:claims AS uuid[])) AND e->>'id' ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'
    ) AS named GROUP BY fact_id
) AS its JOIN fact f ON f.id = its.fact_id
LEFT JOIN personal_data p ON p.subject_id = f.id LEFT JOIN fact_teller t ON t.id = f.teller_id
""")  # noqa: S608 (words of ours)
