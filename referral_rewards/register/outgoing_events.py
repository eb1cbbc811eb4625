"""Events for webhook endpoints: which endpoint receives which, one stored message for each, and what its body says.

A body holds ids, codes and amounts, no personal data. The event itself is as of when it happened; the state of the
referral's money is as of delivery.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.register.locks import dump


async def connect(connection: AsyncConnection, endpoints: Mapping[str, Sequence[str]]) -> None:
    """Replace the configured endpoints: each name with the event types that it receives from now on.

    Messages already planned for an endpoint that is removed are still tried until they expire.
    """
    await connection.execute(
        _CONNECT, {"endpoints": dump([[name, list(events)] for name, events in endpoints.items()])}
    )


async def announce(connection: AsyncConnection, event: str, *, referral: str, occasion: str, at: datetime) -> None:
    """Plan the messages for an event, in the transaction that causes it. Repeating the call changes nothing."""
    await connection.execute(_ANNOUNCE, {"event": event, "referral": referral, "occasion": occasion, "at": at})


def announced_after(writes: str) -> TextClause:
    """Return the statement that does ``writes``, named queries separated by commas, and plans an event's messages.

    Its parameters are those of ``writes``, and ``event``, ``referral``, ``occasion`` and ``at``. The same event again
    plans no further message.
    """
    return statement(f"WITH {writes}, {_EVENT} {_TELL}", waiting=NoticeState.WAITING)


_CONNECT: Final = text("""
WITH wanted AS (
    SELECT pair->>0 AS name, ARRAY(SELECT json_array_elements_text(pair->1)) AS events
    FROM json_array_elements(CAST(:endpoints AS json)) AS pair
), gone AS (
    DELETE FROM webhook_endpoint WHERE name NOT IN (SELECT name FROM wanted)
)
INSERT INTO webhook_endpoint (name, events) SELECT name, events FROM wanted
ON CONFLICT (name) DO UPDATE SET events = excluded.events
""")

#: One message for each endpoint that subscribes to the event's type. The program is looked up on delivery.
_TELL: Final = """
INSERT INTO notice (id, referral_id, program, template, audience, recipient, channel, occasion, planned_at, state,
                    attempts, due_at)
SELECT CAST(md5(concat_ws(chr(10), e.name, event.type, event.occasion)) AS uuid), event.referral_id, '', event.type,
       'webhook', e.name, 'webhook', event.occasion, event.at, :waiting, 0, event.at
FROM event CROSS JOIN webhook_endpoint e
WHERE EXISTS (SELECT 1 FROM unnest(e.events) AS asked
              WHERE asked = event.type OR right(asked, 1) = '*' AND starts_with(event.type, left(asked, -1)))
ON CONFLICT DO NOTHING
"""

_EVENT: Final = """
event AS (
    SELECT CAST(:event AS text) AS type, CAST(:occasion AS text) AS occasion, CAST(:referral AS text) AS referral_id,
           CAST(:at AS timestamptz) AS at
    WHERE EXISTS (SELECT 1 FROM referral WHERE id = :referral)  -- what is decided on a cycle is no referral's event
)"""

_STEP_EVENT: Final = """event AS (
    SELECT 'referral.' || status AS type, 'step:' || id AS occasion, referral_id, at FROM step
)"""

#: Parts of a WITH that add a step to a referral's history and plan its messages. Their parameters are ``referral``,
#: ``at`` and what the step says: ``status``, ``reason`` and ``facts_version``.
STEP: Final = spelled(
    f"""step AS (
    INSERT INTO referral_step (referral_id, at, status, reason, facts_version)
    VALUES (:referral, :at, :status, :reason, :facts_version) RETURNING id, referral_id, at, status
), {_STEP_EVENT}, told AS ({_TELL})""",  # noqa: S608 (words of ours alone)
    waiting=NoticeState.WAITING,
)

_ANNOUNCE: Final = statement(f"WITH {_EVENT} {_TELL}", waiting=NoticeState.WAITING)


def steps_of(rows: str, status: str) -> str:
    """Return parts of a WITH that note a step ``:at`` a time for each row of ``rows``, as `STEP` does.

    ``rows`` names an earlier part with the columns id, reason and facts_version of referrals; ``status`` is their next.
    """
    return spelled(
        f"""step AS (
    INSERT INTO referral_step (referral_id, at, status, reason, facts_version)
    SELECT id, :at, '{status}', reason, facts_version FROM {rows} RETURNING id, referral_id, at, status
), {_STEP_EVENT}, told AS ({_TELL})""",  # noqa: S608 (words of ours alone)
        waiting=NoticeState.WAITING,
    )


class Told(Protocol):
    """A message to a webhook endpoint: of which referral, and what brought it about."""

    @property
    def referral_id(self) -> str: ...
    @property
    def occasion(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def planned_at(self) -> datetime: ...


async def event_of(connection: AsyncConnection, notice: Told) -> dict[str, Any]:
    """Return the event of a webhook message in the form of Standard Webhooks: type, timestamp, data."""
    kind, _, name = notice.occasion.partition(":")
    row = (await connection.execute(_REFERRAL, {"referral": notice.referral_id})).one()
    data = {
        "referral": notice.referral_id,
        "program": row.program,
        "version": row.version,
        "referrer": row.referrer,
        "order": row.order_id,
        "store": row.stores[0] if row.stores else None,
        "reward": [dict(each) for each in row.legs or ()],
    }
    match kind:
        case "step":
            step = (await connection.execute(_STEP_TOLD, {"id": int(name)})).one()
            data |= {"status": step.status, "reason": step.reason}
        case "decision":
            made = (await connection.execute(_DECISION, {"id": UUID(name)})).one()
            data |= {"decision": name, "kind": made.kind, "reason": made.reason, "by": made.username}
            data["digest"] = made.digest
        case "claim":
            data |= {"status": row.status, "digest": name, "routes": _routes(row.routes)}
            data["waiting_since"] = _instant(row.waiting_since)
    return {"type": notice.template, "timestamp": _instant(notice.planned_at), "data": data}


def _routes(routes: Sequence[str] | None) -> list[str]:
    return list(routes or ())


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_REFERRAL: Final = text("""
SELECT r.program, r.version, r.referrer, r.order_id, r.stores, r.status, r.waiting_since,
       c.body->'requirement'->'routes' AS routes,
       (SELECT jsonb_agg(jsonb_build_object('role', leg->'role', 'beneficiary', leg->'beneficiary', 'kind', leg->'kind',
                                            'amount_minor', leg->'amount_minor', 'currency', leg->'currency'))
        FROM jsonb_array_elements(c.body->'legs') AS leg) AS legs
FROM referral r LEFT JOIN reward_claim c ON c.id = r.claim_id WHERE r.id = :referral
""")

_STEP_TOLD: Final = text("SELECT status, reason FROM referral_step WHERE id = :id")
_DECISION: Final = text("SELECT kind, reason, username, digest FROM decision WHERE id = :id")
