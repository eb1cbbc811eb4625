"""Load what the fraud signals need beyond a referral's own facts, for signals that have a weight in the terms.

Every statement starts from this referral, uses indexes and stops at a bound, however large the register is. If the
bound is reached before an answer is found, that part stays None and its signals could not run. Only facts up to this
referral's own dates count, so that a later judgement finds the same.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import asks_to_repeat
from referral_rewards.domain import web_addresses
from referral_rewards.domain.claims.dossier import Behaviour, Dossier, Pace, Refunds
from referral_rewards.domain.claims.signals.of_behaviour import PAST_DAYS
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.keys import ENROLMENT_KINDS, enrolment_trace
from referral_rewards.domain.facts.payloads import ABOUT_AN_ORDER, FactType
from referral_rewards.domain.referrals.consent_and_issues import suspensions
from referral_rewards.domain.referrals.conversions import first_conversion
from referral_rewards.register import typed_rows
from referral_rewards.register.claims import blocklist
from referral_rewards.register.claims.surroundings import plaintext, rings, sightings
from referral_rewards.register.claims.surroundings.plaintext import until
from referral_rewards.register.claims.surroundings.rings import Circle
from referral_rewards.register.referrals.rows import TELLER, teller_of

#: More referrals in a month than a genuine referrer ever begins.
_MONTH_MAX: Final = 20_000
#: How many of the referrer's newest referrals are searched for conversions, and how many converted ones count.
_EARLIER_MAX, _CONVERTED_MAX = 500, 50


async def observed(connection: AsyncConnection, gathered: Dossier) -> Dossier:
    """Return the dossier with the input of the fraud signals: the people, their circle, and their traces."""
    asked = frozenset(name for name, weight in gathered.terms.fraud.weights.items() if weight)
    circle = _WIDE_CIRCLES if "referral_ring" in asked else _PAIRS
    parts = [part for part in (circle, *_PARTS) if asked.intersection(part.signals)]
    seen = replace(gathered, personal=None, reciprocal=None, behaviour=Behaviour())
    for put in await _read(connection, parts, gathered):
        seen = put(seen)
    return seen


#: Returns a dossier with what was read for it.
_Put = Callable[[Dossier], Dossier]
_Read = Callable[[AsyncConnection, Dossier], Awaitable[_Put]]

T = TypeVar("T")


class _Part(NamedTuple):
    """What is read for some signals, if one of them has a weight."""

    read: _Read
    signals: tuple[str, ...]

    @classmethod
    def of(
        cls,
        read: Callable[[AsyncConnection, Dossier], Awaitable[T]],
        put: Callable[[Dossier, T], Dossier],
        *signals: str,
    ) -> "_Part":
        """``put`` returns the dossier with what ``read`` found."""

        async def found(connection: AsyncConnection, gathered: Dossier) -> _Put:
            value = await read(connection, gathered)
            return lambda dossier: put(dossier, value)

        return cls(found, signals)

    @classmethod
    def of_behaviour(
        cls,
        read: Callable[[AsyncConnection, Dossier], Awaitable[T]],
        put: Callable[[Behaviour, T], Behaviour],
        *signals: str,
    ) -> "_Part":
        """Likewise, where it is a part of the dossier's behaviour."""
        return cls.of(read, lambda dossier, value: replace(dossier, behaviour=put(dossier.behaviour, value)), *signals)


async def _read(connection: AsyncConnection, parts: Sequence[_Part], gathered: Dossier) -> list[_Put]:
    """Return what each part reads. All share one savepoint; if any fails, each is read again in one of its own."""
    if not parts:
        return []
    try:
        async with connection.begin_nested():
            return [await part.read(connection, gathered) for part in parts]
    except DBAPIError as error:
        if error.connection_invalidated or asks_to_repeat(error):
            raise
    except Exception:  # noqa: S110 (which part it was, and what to make of it, `_apart` finds out)
        pass
    return [await _apart(connection, part.read, gathered) for part in parts]


async def _apart(connection: AsyncConnection, read: _Read, gathered: Dossier) -> _Put:
    """Return the result of ``read``, or what changes nothing if it failed. A savepoint keeps a failed statement from
    ending the transaction."""
    try:
        async with connection.begin_nested():
            return await read(connection, gathered)
    except DBAPIError as error:
        if error.connection_invalidated or asks_to_repeat(error):
            raise
        return _nothing
    except Exception:  # Treated like a signal that fails: a person sees that it could not run.
        return _nothing


def _nothing(dossier: Dossier) -> Dossier:
    return dossier


async def _pace(connection: AsyncConnection, gathered: Dossier) -> Pace | None:
    began_at = gathered.origin.began_at
    hour, day = began_at - timedelta(hours=1), began_at - timedelta(days=1)
    past = timedelta(days=PAST_DAYS)
    row = (
        await connection.execute(
            _PACE,
            {
                **_whose(gathered),
                "began_at": began_at,
                "hour": hour,
                "before_hour": hour - past,
                "day": day,
                "before_day": day - past,
                "bound": _MONTH_MAX,
            },
        )
    ).one()
    return Pace(row.hour, row.before_hour, row.day, row.before_day) if row.everything < _MONTH_MAX else None


@dataclass(frozen=True, slots=True)
class _ToldFact:
    """A fact as its row has it."""

    id: UUID
    source: str
    event_id: str
    type: FactType
    occurred_at: datetime
    received_at: datetime
    data: Mapping[str, Any]
    teller: Mapping[str, Any] | None

    @property
    def fact(self) -> Fact:
        own = (self.id, self.source, self.event_id, self.type, self.occurred_at, self.received_at, self.data)
        return Fact(*own, teller=teller_of(self.teller))


@dataclass(frozen=True, slots=True)
class _OfOrder(_ToldFact):
    """A fact about an order that a ``referral`` heard of."""

    referral: str


async def _refunds(connection: AsyncConnection, gathered: Dossier) -> Refunds:
    """Count the referrer's converted referrals and those wholly taken back, by the facts up to this one's conversion.

    A referral counts by its first order. What took it back is read as everywhere: reversals that went through, lost
    disputes, lower amounts.
    """
    asked: dict[str, object] = {**_whose(gathered), "referral": gathered.referral}
    asked["began_at"] = gathered.origin.began_at
    types = sorted({FactType.CONVERSION_RECORDED, *ABOUT_AN_ORDER})
    asked |= {"types": types, "until": until(gathered), "bound": _EARLIER_MAX}
    lived: dict[str, list[Fact]] = {}
    for row in await typed_rows.read(connection, _OfOrder, _EARLIER, asked):
        lived.setdefault(row.referral, []).append(row.fact)
    known = (first_conversion(facts, gathered.terms) for facts in lived.values())
    latest = [each for each in known if each is not None][:_CONVERTED_MAX]
    return Refunds(converted=len(latest), reversed=sum(each.is_taken_whole for each in latest))


async def _blocked(connection: AsyncConnection, gathered: Dossier) -> frozenset[str]:
    own = {f"customer:{gathered.referrer}"} if gathered.referrer else set()
    found = await blocklist.among(connection, gathered.referrer_marks | gathered.referee_marks | own)
    return frozenset(mark.partition(":")[0] for mark in found)


async def _clicks(connection: AsyncConnection, gathered: Dossier) -> frozenset[str] | None:
    said = list(gathered.of(FactType.REFERRAL_CLAIMED))
    if gathered.conversion is not None:
        said.append(gathered.conversion.record)
    bodies = await plaintext.bodies(connection, said)
    return None if bodies is None else frozenset().union(*map(web_addresses.paid_clicks, bodies.values()))


async def _sites(connection: AsyncConnection, gathered: Dossier) -> frozenset[str] | None:
    bodies = await plaintext.bodies(connection, gathered.of(FactType.REFERRAL_CLAIMED))
    return None if bodies is None else frozenset().union(*map(web_addresses.sites, bodies.values()))


def _whose(gathered: Dossier) -> dict[str, str | None]:
    return {"referrer": gathered.referrer, "program": gathered.origin.program}


_PACE: Final = text("""
SELECT count(*) FILTER (WHERE began_at > :hour) AS hour,
       count(*) FILTER (WHERE began_at <= :hour AND began_at > :before_hour) AS before_hour,
       count(*) FILTER (WHERE began_at > :day) AS day,
       count(*) FILTER (WHERE began_at <= :day AND began_at > :before_day) AS before_day,
       count(*) AS everything
FROM (
    SELECT began_at FROM referral
    WHERE referrer = :referrer AND program = :program AND began_at > :before_day AND began_at <= :began_at
      AND merged_into IS NULL
    ORDER BY began_at DESC LIMIT :bound
) AS begun
""")

_EARLIER: Final = text(f"""
WITH earlier AS MATERIALIZED (
    SELECT id, began_at FROM referral
    WHERE referrer = :referrer AND program = :program AND began_at <= :began_at AND id <> :referral
      AND merged_into IS NULL
    ORDER BY began_at DESC LIMIT :bound
)
SELECT e.id AS referral, f.*, {TELLER} FROM earlier e
CROSS JOIN LATERAL (SELECT fact_id FROM referral_fact WHERE referral_id = e.id OFFSET 0) AS rf
CROSS JOIN LATERAL (
    SELECT id, source, event_id, type, occurred_at, received_at, data, teller_id FROM fact
    WHERE id = rf.fact_id AND type = ANY(CAST(:types AS text[]))
      AND occurred_at BETWEEN e.began_at AND :until OFFSET 0
) AS f
ORDER BY e.began_at DESC, e.id, f.occurred_at, f.source, f.event_id
""")  # noqa: S608 (words of ours alone)


#: More than there ever are: enrolments that share a mark, suspensions of one referrer, programs of a company.
_MAX: Final = 200


async def barred(connection: AsyncConnection, gathered: Dossier) -> int | None:
    """Count the referrer's other enrolments, by id or by a shared mark, that are suspended now; None if unknown."""
    traces = sorted(map(enrolment_trace, identity.of_kinds(gathered.referrer_marks, ENROLMENT_KINDS)))
    found = (await connection.execute(_ENROLMENTS, {"traces": traces, "bound": _MAX})).all()
    programs = list((await connection.execute(_PROGRAMS, {"bound": _MAX})).scalars())
    who = {(row.program, row.referrer) for row in found if row.type == FactType.REFERRER_ENROLLED}
    who |= {(program, gathered.referrer) for program in programs if gathered.referrer}
    who.discard((gathered.origin.program, gathered.referrer))
    keys = sorted(f"referrer:{program}/{referrer}" for program, referrer in who)
    told = await typed_rows.read(connection, _OfEnrolment, _STANDINGS, {"keys": keys, "bound": _MAX}) if keys else ()
    said: dict[str, list[Fact]] = {}
    for row in told:
        if row.occurred_at <= gathered.now:
            said.setdefault(row.key, []).append(row.fact)
    suspended = sum(bool(suspensions(facts).taking) for facts in said.values())
    seen = (*(row.seen for row in found), *(row.seen for row in told))
    whole = len(programs) < _MAX and all(each < _MAX for each in seen)
    return suspended if suspended or whole else None


@dataclass(frozen=True, slots=True)
class _OfEnrolment(_ToldFact):
    """A fact about another enrolment, and how many facts were ``seen`` of it."""

    key: str
    seen: int


_ENROLMENTS: Final = text("""
SELECT f.type, f.data->>'program' AS program, f.data->>'referrer' AS referrer,
       count(*) OVER (PARTITION BY t.key) AS seen
FROM unnest(CAST(:traces AS text[])) AS t(key)
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = t.key ORDER BY fact_id LIMIT :bound) AS fk
CROSS JOIN LATERAL (SELECT type, data FROM fact WHERE id = fk.fact_id OFFSET 0) AS f
""")

_PROGRAMS: Final = text("SELECT DISTINCT program FROM program_version ORDER BY program LIMIT :bound")

_STANDINGS: Final = text(f"""
SELECT k.key, f.*, {TELLER}, count(*) OVER (PARTITION BY k.key) AS seen
FROM unnest(CAST(:keys AS text[])) AS k(key)
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = k.key ORDER BY fact_id LIMIT :bound) AS fk
CROSS JOIN LATERAL (
    SELECT id, source, event_id, type, occurred_at, received_at, data, teller_id FROM fact
    WHERE id = fk.fact_id OFFSET 0
) AS f
""")  # noqa: S608 (words of ours alone)


def _with_pair(dossier: Dossier, circle: Circle) -> Dossier:
    ring = circle.shortest_of(3, 4)
    return replace(dossier, reciprocal=circle.has(2), behaviour=replace(dossier.behaviour, ring=ring))


_OF_CIRCLES: Final = ("reciprocal_referral", "referral_ring")
_PAIRS: Final = _Part.of(rings.pair, _with_pair, *_OF_CIRCLES)
_WIDE_CIRCLES: Final = _Part.of(rings.beyond_a_pair, _with_pair, *_OF_CIRCLES)
_PARTS: Final = (
    _Part.of_behaviour(
        sightings.of_instruments,
        lambda shown, seen: replace(shown, reused=seen.reused, denied=seen.denied),
        *("reused_instrument", "denied_instrument"),
    ),
    _Part.of(
        plaintext.similarity,
        lambda dossier, personal: replace(dossier, personal=personal),
        *("disposable_email", "masked_email", "similar_email", "shared_email_domain", "similar_name"),
        *("blocked_country", "country_mismatch"),
    ),
    _Part.of_behaviour(_pace, lambda shown, pace: replace(shown, pace=pace), "hourly_velocity", "daily_velocity"),
    _Part.of_behaviour(_refunds, lambda shown, refunds: replace(shown, refunds=refunds), "refund_rate"),
    _Part.of_behaviour(barred, lambda shown, barred: replace(shown, barred=barred), "barred_elsewhere"),
    _Part.of_behaviour(_blocked, lambda shown, blocked: replace(shown, blocked=blocked), "blocklisted"),
    _Part.of_behaviour(sightings.crowd, lambda shown, crowd: replace(shown, crowd=crowd), "crowded_ip"),
    _Part.of_behaviour(_clicks, lambda shown, clicks: replace(shown, clicks=clicks), "paid_click"),
    _Part.of_behaviour(_sites, lambda shown, sites: replace(shown, sites=sites), "blocked_site"),
)
