"""Link new facts to the referrals they concern, create referrals that they mention first, and wake all of these.

This runs in the transaction that stores the facts, under the locks of their keys. Every statement starts from the few
rows of a batch and reads the large tables by index. ``OFFSET 0`` forces that index look-up: while the first large file
comes in there are no statistics, and the planner would join whole tables.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.identity import IDENTITY_KINDS, of_kinds
from referral_rewards.domain.facts.keys import Beginning, Filing, referral_of_request
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.lifecycle import APPROVED_OR_PAID, PAID
from referral_rewards.register import outbox
from referral_rewards.register.locks import array, dump
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.queue import projection as queue


async def link(connection: AsyncConnection, fresh: Sequence[tuple[Event, Filing]], batch: UUID | None) -> set[str]:
    """Link new facts to the referrals that listen, raise their ``facts_version``, and return these referrals' ids."""
    begun = await _begin(connection, fresh)
    if any(event.type is FactType.REWARD_REQUESTED for event, _ in fresh):
        begun |= await _column(connection, _MEANT_BY, facts=array(str(event.fact_id) for event, _ in fresh))
    begun |= await _listen_to_orders(connection, fresh, begun)
    if told := {event.public["order"] for event, _ in fresh if event.type is FactType.CONVERSION_RECORDED}:
        await queue.confirmed(connection, told)
    filed = dump([(key, str(event.fact_id)) for event, filing in fresh for key in filing.keys])
    links = (await connection.execute(_LINKS, {"filed": filed, "referrals": array(begun)})).all()
    if requests := {link.fact_id for link in links if link.by_request}:
        await _merge(connection, requests)
    if not links:
        return set()
    return await _column(
        connection,
        _RAISE_AND_WAKE,
        referrals=array(link.referral_id for link in links),
        facts=array(str(link.fact_id) for link in links),
        batch=batch,
    )


async def _begin(connection: AsyncConnection, fresh: Sequence[tuple[Event, Filing]]) -> set[str]:
    """Create or extend referrals, and return the ids of all that now listen to more keys than before."""
    beginnings = _first_beginnings(filing.beginning for _, filing in fresh)
    begun = {beginning.referral for beginning in beginnings}
    if beginnings:
        await connection.execute(_BEGIN_REFERRALS, {"rows": dump([_columns(beginning) for beginning in beginnings])})
        heard = {(key, filing.beginning.referral) for _, filing in fresh if filing.beginning for key in filing.listens}
        await connection.execute(_LISTEN, {"pairs": dump(sorted(heard))})
    codes = {key for _, filing in fresh for key in filing.keys | filing.listens if key.startswith("code:")}
    if codes:
        begun |= await _column(connection, _RESOLVE_CODES, codes=array(codes))
    if begun:
        await connection.execute(_LISTEN_TO_REFERRER, {"referrals": array(begun)})
    return begun


async def _listen_to_orders(
    connection: AsyncConnection, fresh: Sequence[tuple[Event, Filing]], begun: set[str]
) -> set[str]:
    """Make referrals listen to the orders of their referee's conversions; return those with a new order."""
    bought = [
        (mark, f"order:{event.public['order']}")
        for event, filing in fresh
        if event.type is FactType.CONVERSION_RECORDED
        for mark in of_kinds(filing.keys, IDENTITY_KINDS)
    ]
    if not bought and not begun:
        return set()
    return await _column(connection, _LISTEN_TO_ORDERS, bought=dump(bought), referrals=array(begun))


async def _merge(connection: AsyncConnection, requests: Iterable[UUID]) -> None:
    """Merge requests that turn out to mean the referee of a tracked referral into that referral."""
    said = await connection.execute(_REQUESTS, {"facts": array(map(str, requests))})
    own = [(referral_of_request(row.id, row.program, row.referrer), str(row.id)) for row in said]
    await connection.execute(_MERGE_REQUESTS, {"requests": dump(own)})


async def _column(connection: AsyncConnection, statement: TextClause, **parameters: Any) -> set[str]:
    """Return the first column of a statement's rows."""
    return {row[0] for row in await connection.execute(statement, parameters)}


def _first_beginnings(beginnings: Iterable[Beginning | None]) -> list[Beginning]:
    """Return one beginning for each referral, the one that takes precedence, sorted by referral."""
    first: dict[str, Beginning] = {}
    for beginning in beginnings:
        if beginning is None:
            continue
        other = first.get(beginning.referral)
        if other is None or _precedence(beginning) < _precedence(other):
            first[beginning.referral] = beginning
    return [first[referral] for referral in sorted(first)]


def _precedence(beginning: Beginning) -> tuple[int, datetime, str, str]:
    return (beginning.rank, beginning.at, beginning.source, beginning.event)


def _columns(beginning: Beginning) -> dict[str, Any]:
    return {
        "id": beginning.referral,
        "origin_rank": beginning.rank,
        "began_at": beginning.at.isoformat(),
        "origin_source": beginning.source,
        "origin_event": beginning.event,
        "program": beginning.program,
        "referrer": beginning.referrer,
        "referrer_code": beginning.referrer_code,
        "channel": beginning.channel,
    }


# The fact with the least (rank, time, source, id) determines how a referral began, whatever the order of arrival. After
# a payment its origin no longer changes: it would lose its terms, and with them the watch over the payment.
_BEGIN_REFERRALS: Final = statement(
    """
INSERT INTO referral (id, origin_rank, began_at, origin_source, origin_event, program, referrer, referrer_code, channel,
                      facts_version, judged_version, round, late_facts, claim_version)
SELECT *, 0, 0, 1, 0, 0 FROM json_to_recordset(CAST(:rows AS json)) AS b(
    id text, origin_rank int, began_at timestamptz, origin_source text, origin_event text, program text, referrer text,
    referrer_code text, channel text)
ON CONFLICT (id) DO UPDATE
SET origin_rank = excluded.origin_rank, began_at = excluded.began_at, origin_source = excluded.origin_source,
    origin_event = excluded.origin_event, program = excluded.program, referrer = excluded.referrer,
    referrer_code = excluded.referrer_code, channel = excluded.channel
WHERE (excluded.origin_rank, excluded.began_at, excluded.origin_source, excluded.origin_event)
    < (referral.origin_rank, referral.began_at, referral.origin_source, referral.origin_event)
  AND coalesce(referral.status, '') <> ALL(:paid) AND referral.closed_at IS NULL
""",
    paid=PAID,
)

_LISTEN: Final = text("""
INSERT INTO referral_key (key, referral_id)
SELECT pair->>0, pair->>1 FROM json_array_elements(CAST(:pairs AS json)) AS pair
ON CONFLICT DO NOTHING
""")

# A claim by code belongs to the referrer who enrolled with that code first.
_RESOLVE_CODES: Final = statement(
    """
UPDATE referral AS r SET referrer = e.referrer
FROM (
    SELECT DISTINCT ON (r.id) r.id, f.data->>'referrer' AS referrer
    FROM unnest(CAST(:codes AS text[])) AS told(key)
    JOIN referral_key rk USING (key)
    JOIN referral r ON r.id = rk.referral_id AND told.key = 'code:' || r.program || '/' || r.referrer_code
    JOIN fact_key fk USING (key)
    JOIN fact f ON f.id = fk.fact_id AND f.type = 'referrer.enrolled'
    ORDER BY r.id, f.occurred_at, f.source, f.event_id
) AS e
WHERE r.id = e.id AND r.referrer IS DISTINCT FROM e.referrer AND r.moved_to IS NULL AND r.closed_at IS NULL
  AND coalesce(r.status, '') <> ALL(:paid)
RETURNING r.id
""",
    paid=PAID,
)

# Once its program and referrer are known, a referral listens to facts about the referrer.
_LISTEN_TO_REFERRER: Final = text("""
INSERT INTO referral_key (key, referral_id)
SELECT k.key, r.id
FROM referral r CROSS JOIN LATERAL (
    VALUES ('referrer:' || r.program || '/' || r.referrer), ('payee:' || r.referrer)
) AS k(key)
WHERE r.id = ANY(CAST(:referrals AS text[])) AND r.program IS NOT NULL AND r.referrer IS NOT NULL
ON CONFLICT DO NOTHING
""")

# A conversion matched by identity adds its order to the keys that the referral listens to: one hop, no new identity.
_LISTEN_TO_ORDERS: Final = text("""
INSERT INTO referral_key (key, referral_id)
SELECT pair->>1, rk.referral_id
FROM json_array_elements(CAST(:bought AS json)) AS pair
CROSS JOIN LATERAL (SELECT referral_id FROM referral_key WHERE key = pair->>0 OFFSET 0) AS rk
UNION
SELECT 'order:' || (f.data->>'order'), begun.id
FROM unnest(CAST(:referrals AS text[])) AS begun(id)
CROSS JOIN LATERAL (SELECT key FROM referral_key WHERE referral_id = begun.id OFFSET 0) AS rk
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = rk.key OFFSET 0) AS fk
CROSS JOIN LATERAL (SELECT data FROM fact WHERE id = fk.fact_id AND type = 'conversion.recorded' OFFSET 0) AS f
WHERE rk.key LIKE 'customer:%' OR rk.key LIKE 'email:%' OR rk.key LIKE 'phone:%'
ON CONFLICT DO NOTHING RETURNING referral_id
""")

# Links new facts to the referrals that listen, and all facts to referrals that listen to more than before. A tracked
# referral also hears requests for credit that mean its referee. Facts about a referrer wake no closed referral.
_LINKS: Final = text("""
SELECT referral_id, fact_id, bool_or(by_request) AS by_request
FROM (
    SELECT rk.referral_id, CAST(pair->>1 AS uuid) AS fact_id, false AS by_request
    FROM json_array_elements(CAST(:filed AS json)) AS pair
    CROSS JOIN LATERAL (SELECT referral_id FROM referral_key WHERE key = pair->>0 OFFSET 0) AS rk
    WHERE pair->>0 NOT LIKE 'referrer:%' OR (SELECT closed_at FROM referral WHERE id = rk.referral_id) IS NULL
    UNION ALL
    SELECT begun.id, fk.fact_id, false
    FROM unnest(CAST(:referrals AS text[])) AS begun(id)
    CROSS JOIN LATERAL (SELECT key FROM referral_key WHERE referral_id = begun.id OFFSET 0) AS rk
    CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = rk.key OFFSET 0) AS fk
    UNION ALL
    SELECT r.id, fk.fact_id, true
    FROM referral r
    CROSS JOIN LATERAL (SELECT key FROM referral_key WHERE referral_id = r.id OFFSET 0) AS rk
    CROSS JOIN LATERAL (
        SELECT fact_id FROM fact_key WHERE key = 'request:' || r.program || '/' || r.referrer || '/' || rk.key OFFSET 0
    ) AS fk
    WHERE r.id = ANY(CAST(:referrals AS text[])) AND r.origin_rank < 2
) AS found
WHERE NOT EXISTS (
    SELECT 1 FROM referral_fact rf
    WHERE rf.referral_id = found.referral_id AND rf.fact_id = found.fact_id OFFSET 0)
GROUP BY referral_id, fact_id ORDER BY referral_id
""")

# Tracked referrals, of the same referrer and program, whose referee a new request for credit means.
_MEANT_BY: Final = text("""
SELECT r.id
FROM fact f CROSS JOIN unnest(f.marks) AS m(key) JOIN referral_key rk USING (key)
JOIN referral r ON r.id = rk.referral_id AND r.program = f.data->>'program' AND r.referrer = f.data->>'referrer'
WHERE f.id = ANY(CAST(:facts AS uuid[])) AND f.type = 'reward.requested' AND r.origin_rank < 2
""")

_REQUESTS: Final = text("""
SELECT id, data->>'program' AS program, data->>'referrer' AS referrer FROM fact WHERE id = ANY(CAST(:facts AS uuid[]))
""")

# A request for credit that means the referee of a tracked referral of the same referrer becomes evidence there and is
# no referral of its own, unless it was approved before the tracked referral was known.
_MERGE_REQUESTS: Final = statement(
    """
UPDATE referral AS x SET merged_into = t.tracked
FROM (
    SELECT pair->>0 AS request, min(r.id) AS tracked
    FROM json_array_elements(CAST(:requests AS json)) AS pair JOIN fact f ON f.id = CAST(pair->>1 AS uuid)
    CROSS JOIN unnest(f.marks) AS m(key) JOIN referral_key rk USING (key)
    JOIN referral r ON r.id = rk.referral_id AND r.program = f.data->>'program' AND r.referrer = f.data->>'referrer'
    WHERE r.origin_rank < 2
    GROUP BY 1
) AS t
WHERE x.id = t.request AND x.merged_into IS DISTINCT FROM t.tracked
  AND coalesce(x.status, '') <> ALL(:approved_or_paid)
""",
    approved_or_paid=APPROVED_OR_PAID,
)

_WAKE_THE_RAISED: Final = outbox.wakeups(
    WakeupKind.FACT,
    "raised.id",
    "(array_agg(link.fact_id))[1]",
    """FROM raised JOIN link ON link.referral_id = raised.id
    WHERE raised.parked IS NULL AND (raised.merged_into IS NULL OR raised.status IS NOT NULL)
    GROUP BY raised.id""",
    batch=":batch",
)

# Raising facts_version takes the row's lock, so a step that judged without these facts notices before it acts.
_RAISE_AND_WAKE: Final = text(f"""
WITH link AS (
    SELECT * FROM unnest(CAST(:referrals AS text[]), CAST(:facts AS uuid[])) AS l(referral_id, fact_id)
), held AS MATERIALIZED (
    SELECT id FROM referral WHERE id IN (SELECT referral_id FROM link) ORDER BY id FOR UPDATE
), raised AS (
    UPDATE referral AS r
    SET facts_version = r.facts_version + 1, told_at = now(),
        parked = CASE
            WHEN r.closed_at IS NOT NULL THEN r.parked
            WHEN r.program IS NULL THEN 'referral_unknown'
            WHEN NOT EXISTS (
                SELECT 1 FROM program_version v WHERE v.program = r.program AND v.effective_from <= r.began_at
            ) THEN 'no_terms_in_force'
        END
    FROM held WHERE r.id = held.id
    RETURNING r.id, r.facts_version, r.parked, r.merged_into, r.status
), linked AS (
    INSERT INTO referral_fact (referral_id, fact_id, version)
    SELECT link.referral_id, link.fact_id, raised.facts_version FROM link JOIN raised ON raised.id = link.referral_id
), woken AS (
    {_WAKE_THE_RAISED}
)
SELECT id FROM raised
""")  # noqa: S608 (words of ours alone)
