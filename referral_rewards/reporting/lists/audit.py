"""The audit log: who did what, and what moved money, as one list.

What people did stands in the log itself. What moved money is read from the history of payouts and from the books, so
that it can't differ from them and nothing is written twice. Each kind of entry has an index by time: a page reads at
most one page of each kind, however long the past is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.labels.vocabularies import VOCABULARIES, label
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.lists.sheets import Sheet, amount
from referral_rewards.reporting.shape import COUNTED_MAX, Count, Instant, Shape, instant

#: Who is named where no person acted: the payout worker, or a rule.
SYSTEM: Final = "system"
ORDERS: Final = ("newest", "oldest")
PEOPLE_MAX: Final = 200
#: What is left out unless it is asked for.
SIGN_INS: Final = "session"


class Event(Shape):
    """One act: who did it (`nobody`: someone who was not signed in; `system`: no person), what (noun.verb), and to
    what. What moved money has an amount. ``entry`` is its place in the log."""

    entry: str
    at: Instant
    actor: str
    act: str
    subject: str
    amount_minor: int | None = None
    currency: str | None = None
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted(Asked):
    """Filters of the audit log; None means any. ``act`` is a kind of entry, or a noun for all of its kinds.
    ``sign_ins``: also signing in and out."""

    actor: str | None = None
    act: str | None = None
    subject: str | None = None
    sign_ins: bool = False


async def page(connection: AsyncConnection, wanted: Wanted) -> list[Event]:
    """Return a page of the log, the newest entry first unless another order is asked for.

    Raises:
        RequestInvalid: for a kind of entry, an order or a place that there is not.
    """
    statement, asked = _statement(wanted)
    return [Event.model_validate(row) for row in await connection.execute(text(statement), asked)] if statement else []


async def totals(connection: AsyncConnection, wanted: Wanted) -> Totals:
    """Return how many entries match, up to a thousand. Their amounts are not added up: one reward is approved, sent and
    settled, and would count three times.

    Raises:
        RequestInvalid: as `page`.
    """
    statement, asked = _statement(replace(wanted, after=None, limit=COUNTED_MAX + 1))
    counting = f"SELECT count(*) FROM ({statement}) AS found"  # noqa: S608 (SQL of ours)
    counted = (await connection.execute(text(counting), asked)).scalar_one() if statement else 0
    return Totals(count=Count.of(counted), by_currency=())


async def people(connection: AsyncConnection) -> tuple[str, ...]:
    """Return who is named in the log, by name, at most so many as a form suggests."""
    return (*(await connection.execute(_PEOPLE, {"limit": PEOPLE_MAX})).scalars(), SYSTEM)


def kinds_of(act: str | None, *, sign_ins: bool = False) -> tuple[str, ...]:
    """Return the kinds of entries that are meant by a kind or a noun; without one all, sign-ins only where asked for.

    Raises:
        RequestInvalid: if there are none.
    """
    if not act:
        return tuple(kind for kind in KINDS if sign_ins or _noun(kind) != SIGN_INS)
    found = tuple(kind for kind in KINDS if act in (kind, _noun(kind)))
    if not found:
        raise RequestInvalid(none_of(act, [*dict.fromkeys(map(_noun, KINDS)), *KINDS]), "act")
    return found


def _noun(kind: str) -> str:
    return kind.partition(".")[0]


#: Every kind of entry, noun by noun.
KINDS: Final = tuple(sorted(VOCABULARIES["audit"]))
#: The steps of a payout that are entries, as its history has them: act and state.
_STEPS: Final = {
    "payout.planned": ("planned", "approved"),
    "payout.sent": ("moved", "sending"),
    "payout.settled": ("moved", "settled"),
    "payout.returned": ("moved", "returned"),
    "payout.refused": ("moved", "refused"),
    "payout.unknown": ("moved", "unknown"),
    "payout.in_review": ("moved", "manual_review"),
    "payout.cancelled": ("moved", "cancelled"),
}
#: The transactions of the books that are entries, by how their keys begin. Settlements stand among the steps.
_BOOKED: Final = {
    "reward.approved": "accrued",
    "reward.cancelled": "released",
    "clawback.claimed_back": "claimed_back",
    "clawback.claim_dropped": "claim_dropped",
    "clawback.recovered": "recovered",
    "clawback.written_off": "written_off",
    "clawback.return_ordered": "owed_again",
    "clawback.return_cancelled": "owed_no_more",
}


class _Place(NamedTuple):
    """Where a page ended: the entry's time, the letter of its source, and its id there."""

    at: datetime
    source: str
    id: str


@dataclass(frozen=True, slots=True)
class _Source:
    """Where entries are read from, under a letter by which those of one instant are ordered.

    ``kinds`` are those that are read here, each with the codes by which ``of_kind`` finds it; ``about`` holds an entry
    against a subject. ``columns`` may use what is joined by ``rest``.
    """

    letter: str
    kinds: dict[str, tuple[str, str]]
    table: str
    at: str
    id_type: str
    of_kind: str
    about: str
    columns: str
    rest: str = ""


_NOT_HERE: Final = frozenset({*_STEPS, *_BOOKED})
_SOURCES: Final = (
    _Source(
        letter="a",
        kinds={kind: ("", "") for kind in KINDS if kind not in _NOT_HERE},
        table="audit_event",
        at="at",
        id_type="bigint",
        of_kind="act = k.kind",
        about="subject = :subject",
        columns="e.actor, e.subject, CAST(NULL AS bigint) AS amount_minor, CAST(NULL AS text) AS currency, e.details",
    ),
    _Source(
        letter="b",
        kinds={kind: (code, "") for kind, code in _BOOKED.items()},
        table="ledger_transaction",
        at="posted_at",
        id_type="uuid",
        of_kind="split_part(key, ':', 1) = k.code",
        about="referral_id = :subject",
        columns=f"'{SYSTEM}' AS actor, e.referral_id AS subject, its.amount_minor, its.currency,"
        " jsonb_strip_nulls(jsonb_build_object('payee', its.payee, 'program', e.program)) AS details",
        rest="""CROSS JOIN LATERAL (
            SELECT CAST(sum(p.amount_minor) FILTER (WHERE p.amount_minor > 0) AS bigint) AS amount_minor,
                   min(p.currency) AS currency,
                   min(substr(p.account, strpos(p.account, ':') + 1))
                       FILTER (WHERE p.account ~ '^(payable|recoverable)') AS payee
            FROM posting p WHERE p.transaction_id = e.id
        ) AS its""",
    ),
    _Source(
        letter="c",
        kinds=dict(_STEPS),
        table="payout_step",
        at="at",
        id_type="bigint",
        of_kind="act = k.code AND state = k.state",
        about="payout_id IN (SELECT payout_id FROM payouts_of(:subject) UNION SELECT CAST(:payout AS uuid))",
        columns=f"'{SYSTEM}' AS actor, CAST(e.payout_id AS text) AS subject, p.amount_minor, p.currency,"
        " jsonb_strip_nulls(jsonb_build_object('payee', p.payee, 'rail', p.rail, 'referral', p.referral_id,"
        " 'program', p.body->>'program')) AS details",
        rest="JOIN payout p ON p.id = e.payout_id",
    ),
)


def _statement(wanted: Wanted) -> tuple[str, dict[str, object]]:
    """Return the statement for a page and its parameters; an empty one where no entry can match.

    Raises:
        RequestInvalid: for a kind of entry, an order or a place that there is not.
    """
    if wanted.sort and wanted.sort not in ORDERS:
        raise RequestInvalid(none_of(wanted.sort, ORDERS), "sort")
    kinds = kinds_of(wanted.act, sign_ins=wanted.sign_ins)
    place = _place_of(wanted.after) if wanted.after else None
    by = "DESC" if wanted.sort != "oldest" else "ASC"
    branches = [
        _branch(source, its, wanted, place)
        for source in _SOURCES
        if (its := [kind for kind in kinds if kind in source.kinds]) and _may_hold(source, wanted)
    ]
    order = f'ORDER BY at {by}, source {by}, place COLLATE "C" {by} LIMIT {wanted.limit}'
    given = {
        "actor": wanted.actor,
        "subject": wanted.subject,
        "payout": _uuid_in(wanted.subject),
        "begins": wanted.begins_at,
        "ends": wanted.ends_at,
        "at": place.at if place else None,
        "id": place.id if place else None,
    }
    statement = f"SELECT * FROM ({' UNION ALL '.join(branches)}) AS entries {order}" if branches else ""  # noqa: S608
    return statement, {name: value for name, value in given.items() if f":{name}" in statement}


def _may_hold(source: _Source, wanted: Wanted) -> bool:
    """Whether entries of the one who is asked for can stand there: nobody but the system is named beside the log."""
    return source.letter == "a" or wanted.actor in (None, SYSTEM)


def _branch(source: _Source, kinds: list[str], wanted: Wanted, place: _Place | None) -> str:
    """Return the SQL for the entries of a source: so many of each kind, by its index, and of those so many."""
    by = "DESC" if wanted.sort != "oldest" else "ASC"
    values = ", ".join(f"('{kind}', '{source.kinds[kind][0]}', '{source.kinds[kind][1]}')" for kind in kinds)
    where = " AND ".join([source.of_kind, *_conditions(source, wanted, place)])
    number = "lpad(CAST(e.id AS text), 19, '0')" if source.id_type == "bigint" else "CAST(e.id AS text)"
    return f"""(
    SELECT '{source.letter}' AS source, {number} AS place, '{source.letter}' || e.id AS entry, e.{source.at} AS at,
           e.kind AS act, {source.columns}
    FROM (
        SELECT found.*, k.kind FROM (VALUES {values}) AS k(kind, code, state)
        CROSS JOIN LATERAL (
            SELECT * FROM {source.table} WHERE {where} ORDER BY {source.at} {by}, id {by} LIMIT {wanted.limit}
        ) AS found
        ORDER BY found.{source.at} {by}, found.id {by} LIMIT {wanted.limit}
    ) AS e {source.rest}
    )"""  # noqa: S608 (SQL of ours)


def _conditions(source: _Source, wanted: Wanted, place: _Place | None) -> Iterator[str]:
    if wanted.actor is not None and source.letter == "a":
        yield "actor = :actor"
    if wanted.subject is not None:
        yield source.about
    if wanted.days.start is not None:
        yield f"{source.at} >= :begins"
    if wanted.days.end is not None:
        yield f"{source.at} < :ends"
    if place is not None:
        yield _beyond(source, place, down=wanted.sort != "oldest")


def _beyond(source: _Source, place: _Place, *, down: bool) -> str:
    """Return the condition that an entry stands behind a place; entries of one instant go by their sources' letters."""
    beyond = "<" if down else ">"
    if source.letter == place.source:
        return f"({source.at}, id) {beyond} (:at, CAST(:id AS {source.id_type}))"
    earlier = source.letter < place.source
    return f"{source.at} {beyond}{'=' if earlier is down else ''} :at"


def place_after(event: Event) -> str:
    """Return the `after` of the page that follows an entry."""
    return f"{instant(event.at)}~{event.entry}"


def _place_of(given: str) -> _Place:
    at, _, entry = given.partition("~")
    try:
        moment = datetime.fromisoformat(at)
        letter, number = entry[:1], entry[1:]
        (id_type,) = (source.id_type for source in _SOURCES if source.letter == letter)
        known = str(UUID(number)) if id_type == "uuid" else str(int(number[:18]))
        if moment.utcoffset() is None:
            raise ValueError(given)
    except ValueError:
        raise RequestInvalid("is no place in the log; begin at its first page", "after") from None
    return _Place(moment, letter, known)


def _uuid_in(subject: str | None) -> str | None:
    """Return a subject that may be a payout."""
    try:
        return str(UUID(subject)) if subject else None
    except ValueError:
        return None


# Every name once, each found from the one before it.
_PEOPLE: Final = text("""
WITH RECURSIVE named AS (
    SELECT min(actor) AS actor FROM audit_event
    UNION ALL
    SELECT (SELECT min(e.actor) FROM audit_event e WHERE e.actor > named.actor) FROM named WHERE named.actor IS NOT NULL
)
SELECT actor FROM named WHERE actor IS NOT NULL LIMIT :limit
""")

AUDIT: Final[Sheet[Wanted, Event]] = Sheet(
    name="audit",
    page=page,
    totals=totals,
    place=place_after,
    columns={
        "at": lambda event: event.at,
        "person": lambda event: event.actor,
        "what": lambda event: label("audit", event.act),
        "act": lambda event: event.act,
        "object": lambda event: event.subject,
        "amount": lambda event: amount(event.amount_minor, event.currency),
        "currency": lambda event: event.currency,
        "details": lambda event: "; ".join(f"{name}: {value}" for name, value in event.details.items()),
    },
)
