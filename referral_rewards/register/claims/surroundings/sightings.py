"""Find where else a payment instrument, device or network address was used, by the traces of claims and purchases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.signals.of_traces import CROWD_MIN
from referral_rewards.domain.facts import identity, keys
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from referral_rewards.register import typed_rows
from referral_rewards.register.claims.surroundings.plaintext import until

#: A trace seen more often belongs to no single person: a carrier's address, a shop's terminal. It proves nothing.
_SIGHTINGS_MAX: Final = 3000
#: How many rival claims on one order are read; more add nothing.
_HEARERS_MAX: Final = 20
_AROUND: Final = timedelta(hours=24)
_INSTRUMENTS: Final = ("device", "fingerprint")


@dataclass(frozen=True, slots=True)
class Instruments:
    """How often the referee's payment instrument or device was seen elsewhere.

    ``reused`` counts other referees of the same referrer, ``denied`` counts referrals denied for fraud. None: it was
    seen too often to tell.
    """

    reused: int | None
    denied: int | None


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A claim or a purchase that bears a mark (``key``), and what it names."""

    key: str
    id: UUID
    type: str
    occurred_at: datetime
    marks: Sequence[str]
    referral: str | None
    program: str | None
    referrer: str | None
    referrer_code: str | None
    order_id: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """A referral on which something was seen; whether it was denied for fraud."""

    id: str
    referrer: str | None
    denied_for_fraud: bool


#: The referrals that each fact is about, by their ids.
_Places = Mapping[UUID, Mapping[str, _Place]]


async def of_instruments(connection: AsyncConnection, gathered: Dossier) -> Instruments:
    """Find who else used the instruments and devices that the referee used up to the conversion."""
    last = until(gathered)
    marks = {mark for fact in _of_the_referee(gathered) if fact.occurred_at <= last for mark in fact.marks}
    seen, whole = await _sightings(connection, identity.of_kinds(marks, _INSTRUMENTS))
    seen = [each for each in seen if each.occurred_at <= last]
    places = await _referrals(connection, seen)
    others = {
        identity.of_kinds(each.marks, identity.IDENTITY_KINDS)
        for each in seen
        if not gathered.referee_identity.intersection(each.marks)
        and any(row.referrer == gathered.referrer for row in places.get(each.id, {}).values())
    }
    denied = {referral for found in places.values() for referral, row in found.items() if row.denied_for_fraud}
    denied.discard(gathered.referral)
    return Instruments(
        reused=len(others) if others or whole else None,
        denied=len(denied) if denied or whole else None,
    )


async def crowd(connection: AsyncConnection, gathered: Dossier) -> int | None:
    """Count the referrals at this referral's busiest network address within a day of its claim or purchase."""
    own = list(gathered.of(FactType.REFERRAL_CLAIMED))
    if gathered.conversion is not None:
        own.append(gathered.conversion.record)
    moments = [(mark, fact.occurred_at) for fact in own for mark in identity.of_kinds(fact.marks, ("ip",))]
    if not moments:
        return 0
    seen, whole = await _sightings(connection, {mark for mark, _ in moments})
    near = [
        each
        for each in seen
        if each.occurred_at <= gathered.now
        and any(each.key == mark and abs(each.occurred_at - at) <= _AROUND for mark, at in moments)
    ]
    places = await _referrals(connection, near)
    most = max(_around(mark, at, near, places, gathered.referral) for mark, at in moments)
    return most if most >= CROWD_MIN or whole else None


def _around(mark: str, at: datetime, seen: Iterable[_Sighting], places: _Places, own: str) -> int:
    there = [each for each in seen if each.key == mark and abs(each.occurred_at - at) <= _AROUND]
    return len({own}.union(*(places.get(each.id, {}) for each in there)))


def _of_the_referee(gathered: Dossier) -> tuple[Fact, ...]:
    said = gathered.of(FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED, FactType.REWARD_REQUESTED)
    return said + gathered.of_referee(FactType.CONVERSION_RECORDED)


async def _sightings(connection: AsyncConnection, marks: Iterable[str]) -> tuple[Sequence[_Sighting], bool]:
    """Return the claims and purchases with these marks, and whether these are all."""
    asked = {"marks": sorted(marks), "bound": _SIGHTINGS_MAX}
    rows = await typed_rows.read(connection, _Sighting, _SIGHTINGS, asked) if asked["marks"] else ()
    often: dict[str, int] = {}
    for row in rows:
        often[row.key] = often.get(row.key, 0) + 1
    return rows, max(often.values(), default=0) < _SIGHTINGS_MAX


async def _referrals(connection: AsyncConnection, seen: Iterable[_Sighting]) -> _Places:
    """Return for each of these facts the referrals that it claimed or purchased on."""
    named: dict[UUID, set[str]] = {}
    ordered: dict[str, set[UUID]] = {}
    for each in seen:
        if each.type == FactType.REFERRAL_CLAIMED:
            said = {"referral": each.referral, "program": each.program, "referrer": each.referrer}
            said["referrer_code"] = each.referrer_code
            told = {name: value for name, value in said.items() if value is not None}
            named.setdefault(each.id, set()).add(keys.referral_of_claim(each.id, told))
        else:
            ordered.setdefault(f"order:{each.order_id}", set()).add(each.id)
    if ordered:
        heard = await connection.execute(_HEARERS, {"orders": sorted(ordered), "bound": _HEARERS_MAX})
        for row in heard:
            for fact in ordered[row.key]:
                named.setdefault(fact, set()).add(row.referral_id)
    if not named:
        return {}
    ids = sorted(set().union(*named.values()))
    rows = {row.id: row for row in await typed_rows.read(connection, _Place, _REFERRALS, {"ids": ids})}
    return {fact: {name: rows[name] for name in names if name in rows} for fact, names in named.items()}


_SIGHTINGS: Final = text("""
WITH found AS MATERIALIZED (
    SELECT m.key, fk.fact_id
    FROM unnest(CAST(:marks AS text[])) AS m(key)
    CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = m.key ORDER BY fact_id LIMIT :bound) AS fk
)
SELECT found.key, f.id, f.type, f.occurred_at, f.marks, f.data->>'referral' AS referral, f.data->>'program' AS program,
       f.data->>'referrer' AS referrer, f.data->>'referrer_code' AS referrer_code, f.data->>'order' AS order_id
FROM found CROSS JOIN LATERAL (
    SELECT id, type, occurred_at, marks, data FROM fact WHERE id = found.fact_id OFFSET 0
) AS f
""")

_HEARERS: Final = text("""
SELECT o.key, rk.referral_id
FROM unnest(CAST(:orders AS text[])) AS o(key)
CROSS JOIN LATERAL (SELECT referral_id FROM referral_key WHERE key = o.key ORDER BY referral_id LIMIT :bound) AS rk
""")

# A denial that was reopened does not count: the current status decides.
_REFERRALS: Final = statement(
    """
SELECT r.id, coalesce(r.moved_to, r.referrer) AS referrer,
       r.status = :denied AND r.reason = :by_decision AND d.fraud IS NOT NULL AS denied_for_fraud
FROM unnest(CAST(:ids AS text[])) AS wanted(id)
CROSS JOIN LATERAL (SELECT * FROM referral WHERE id = wanted.id AND merged_into IS NULL OFFSET 0) AS r
LEFT JOIN LATERAL (
    SELECT true AS fraud FROM decision
    WHERE referral_id = r.id AND kind = 'deny' AND reason IN ('fraud', 'self_referral') LIMIT 1
) AS d ON true
""",
    denied=ReferralStatus.DENIED,
    by_decision=Reason.DENIED_BY_DECISION,
)
