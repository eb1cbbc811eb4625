"""Link new facts to the referrals they concern, create referrals that they mention first, and wake all of these.

This runs in the transaction that stores the facts, under the locks of their keys. Every statement starts from the few
rows of a batch and reads the large tables by index. ``OFFSET 0`` forces that index look-up: while the first large file
comes in there are no statistics, and the planner would join whole tables.
"""

from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.facts.keys import referral_of_request
from referral_rewards.domain.referrals.lifecycle import APPROVED_OR_PAID, OF_REFERRER, PAID
from referral_rewards.register import outbox
from referral_rewards.register.facts.filed import Filed, Pairs
from referral_rewards.register.locks import array
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.queue import strays


async def link(connection: AsyncConnection, filed: Filed, batch: UUID | None) -> None:
    """Link new facts to the referrals that listen, raise their ``facts_version`` and wake them."""
    begun = await _begin(connection, filed)
    begun |= await _listen(connection, filed, begun)
    meant = await _requests_meant(connection, begun)
    if meant:
        await _merge(connection, meant)
    requests = Pairs.of((each.referral, str(each.fact)) for each in meant)
    await connection.execute(
        _LINK_AND_WAKE,
        {
            "keys": filed.facts.left,
            "facts": filed.facts.right,
            "referrals": array(begun),
            "tracked": requests.left,
            "requests": requests.right,
            "batch": batch,
            "of_referrer": _OF_REFERRER,
        },
    )
    if filed.has_coupons or filed.codes_of_coupons:
        await strays.keep_orders(connection, filed.coupons.left, filed.coupons.right, array(filed.codes_of_coupons))


async def _begin(connection: AsyncConnection, filed: Filed) -> set[str]:
    """Create or extend referrals, and return the ids of all whose origin, referee or referrer may now be another."""
    begun = set(filed.begun)
    if begun:
        said = {"rows": filed.beginnings, "keys": filed.heard.left, "referrals": filed.heard.right}
        await connection.execute(_BEGIN, said)
    if filed.codes:
        begun |= set((await connection.execute(_RESOLVE_CODES, {"codes": array(filed.codes)})).scalars())
    if filed.requests:
        begun |= set((await connection.execute(_MEANT_BY, {"facts": array(filed.requests)})).scalars())
    return begun


async def _listen(connection: AsyncConnection, filed: Filed, begun: set[str]) -> set[str]:
    """Make referrals listen to their referrers and to the orders of their referees; return those with a new order."""
    if not begun and not filed.orders:
        return set()
    said = {"marks": filed.bought.left, "orders": filed.bought.right, "referrals": array(begun)}
    return set((await connection.execute(_LISTEN, said)).scalars())


class _Meant(NamedTuple):
    """A request for credit that means the referee of a tracked referral, and that is not linked to it yet."""

    referral: str
    fact: UUID
    program: str
    referrer: str


async def _requests_meant(connection: AsyncConnection, begun: set[str]) -> list[_Meant]:
    if not begun:
        return []
    return [_Meant(*row) for row in await connection.execute(_REQUESTS_MEANT, {"referrals": array(begun)})]


async def _merge(connection: AsyncConnection, meant: list[_Meant]) -> None:
    """Merge requests that turn out to mean the referee of a tracked referral into that referral."""
    own = Pairs.of({(referral_of_request(each.fact, each.program, each.referrer), str(each.fact)) for each in meant})
    await connection.execute(_MERGE_REQUESTS, {"requests": own.left, "facts": own.right})


# The fact with the least (rank, time, source, id) determines how a referral began, whatever the order of arrival. After
# a payment its origin no longer changes: it would lose its terms, and with them the watch over the payment.
# The rows come before their keys, for whoever else adds a key holds the row first.
_BEGIN: Final = statement(
    """
WITH begun AS (
    INSERT INTO referral (id, origin_rank, began_at, origin_source, origin_event, program, referrer, referrer_code,
                          code_key, channel, facts_version, judged_version, round, late_facts, claim_version)
    SELECT *, 0, 0, 1, 0, 0 FROM json_to_recordset(CAST(:rows AS json)) AS b(
        id text, origin_rank int, began_at timestamptz, origin_source text, origin_event text, program text,
        referrer text, referrer_code text, code_key text, channel text)
    ON CONFLICT (id) DO UPDATE
    SET origin_rank = excluded.origin_rank, began_at = excluded.began_at, origin_source = excluded.origin_source,
        origin_event = excluded.origin_event, program = excluded.program, referrer = excluded.referrer,
        referrer_code = excluded.referrer_code, code_key = excluded.code_key, channel = excluded.channel
    WHERE (excluded.origin_rank, excluded.began_at, excluded.origin_source, excluded.origin_event)
        < (referral.origin_rank, referral.began_at, referral.origin_source, referral.origin_event)
      AND coalesce(referral.status, '') <> ALL(:paid) AND referral.closed_at IS NULL
    RETURNING id
)
INSERT INTO referral_key (key, referral_id)
SELECT heard.* FROM (SELECT count(*) FROM begun) AS first
CROSS JOIN unnest(CAST(:keys AS text[]), CAST(:referrals AS text[])) AS heard
ON CONFLICT DO NOTHING
""",
    paid=PAID,
)

# As `origin.py` reads whose code it is: of those who had enrolled with it by the claim, those who spell it exactly so,
# else those who spell it alike; if nobody had, whoever enrolled with it first. Of several there is no referrer.
_RESOLVE_CODES: Final = statement(
    """
UPDATE referral AS r SET referrer = e.referrer
FROM (
    SELECT id, CASE WHEN count(DISTINCT referrer) = 1 THEN min(referrer) END AS referrer
    FROM (
        SELECT r.id, f.data->>'referrer' AS referrer, near.rank,
               min(near.rank) OVER (PARTITION BY r.id) AS nearest,
               row_number() OVER (PARTITION BY r.id ORDER BY near.rank, f.occurred_at, f.source, f.event_id) AS place
        FROM unnest(CAST(:codes AS text[])) AS told(key)
        JOIN referral_key rk USING (key)
        JOIN referral r ON r.id = rk.referral_id AND told.key = r.code_key
        JOIN fact_key fk USING (key)
        JOIN fact f ON f.id = fk.fact_id AND f.type = 'referrer.enrolled'
        CROSS JOIN LATERAL (SELECT CASE WHEN f.occurred_at > r.began_at THEN 2
                                        WHEN f.data->>'code' = r.referrer_code THEN 0 ELSE 1 END AS rank) AS near
    ) AS enrolled
    WHERE rank = nearest AND (rank < 2 OR place = 1)
    GROUP BY id
) AS e
WHERE r.id = e.id AND r.referrer IS DISTINCT FROM e.referrer AND r.moved_to IS NULL AND r.closed_at IS NULL
  AND coalesce(r.status, '') <> ALL(:paid)
RETURNING r.id
""",
    paid=PAID,
)

# Once its program and referrer are known, a referral listens to facts about the referrer. A conversion matched by
# identity adds its order to the keys that the referral listens to: one hop, no new identity.
_LISTEN: Final = text("""
WITH begun AS MATERIALIZED (
    SELECT unnest(CAST(:referrals AS text[])) AS id
), to_referrers AS (
    INSERT INTO referral_key (key, referral_id)
    SELECT k.key, begun.id
    FROM begun
    CROSS JOIN LATERAL (
        SELECT program, referrer FROM referral
        WHERE id = begun.id AND program IS NOT NULL AND referrer IS NOT NULL OFFSET 0
    ) AS r
    CROSS JOIN LATERAL (VALUES ('referrer:' || r.program || '/' || r.referrer), ('payee:' || r.referrer)) AS k(key)
    ON CONFLICT DO NOTHING
)
INSERT INTO referral_key (key, referral_id)
SELECT b.order_key, rk.referral_id
FROM unnest(CAST(:marks AS text[]), CAST(:orders AS text[])) AS b(mark, order_key)
CROSS JOIN LATERAL (SELECT referral_id FROM referral_key WHERE key = b.mark OFFSET 0) AS rk
UNION
SELECT 'order:' || (f.data->>'order'), begun.id
FROM begun
CROSS JOIN LATERAL (SELECT key FROM referral_key WHERE referral_id = begun.id OFFSET 0) AS rk
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = rk.key OFFSET 0) AS fk
CROSS JOIN LATERAL (SELECT data FROM fact WHERE id = fk.fact_id AND type = 'conversion.recorded' OFFSET 0) AS f
WHERE rk.key LIKE 'customer:%' OR rk.key LIKE 'email:%' OR rk.key LIKE 'phone:%'
ON CONFLICT DO NOTHING RETURNING referral_id
""")

# A tracked referral also hears requests for credit that mean its referee.
_REQUESTS_MEANT: Final = text("""
SELECT DISTINCT begun.id, f.id, f.data->>'program', f.data->>'referrer'
FROM unnest(CAST(:referrals AS text[])) AS begun(id)
CROSS JOIN LATERAL (
    SELECT program, referrer FROM referral WHERE id = begun.id AND origin_rank < 2 OFFSET 0
) AS r
CROSS JOIN LATERAL (SELECT key FROM referral_key WHERE referral_id = begun.id OFFSET 0) AS rk
CROSS JOIN LATERAL (
    SELECT fact_id FROM fact_key WHERE key = 'request:' || r.program || '/' || r.referrer || '/' || rk.key OFFSET 0
) AS fk
CROSS JOIN LATERAL (SELECT id, data FROM fact WHERE id = fk.fact_id OFFSET 0) AS f
WHERE (rk.key LIKE 'customer:%' OR rk.key LIKE 'email:%' OR rk.key LIKE 'phone:%') AND NOT EXISTS (
    SELECT 1 FROM referral_fact rf WHERE rf.referral_id = begun.id AND rf.fact_id = fk.fact_id OFFSET 0)
""")

# Tracked referrals, of the same referrer and program, whose referee a new request for credit means.
_MEANT_BY: Final = text("""
SELECT r.id
FROM fact f CROSS JOIN unnest(f.marks) AS m(key) JOIN referral_key rk USING (key)
JOIN referral r ON r.id = rk.referral_id AND r.program = f.data->>'program' AND r.referrer = f.data->>'referrer'
WHERE f.id = ANY(CAST(:facts AS uuid[])) AND f.type = 'reward.requested' AND r.origin_rank < 2
""")

# A request for credit that means the referee of a tracked referral of the same referrer becomes evidence there and is
# no referral of its own, unless it was approved before the tracked referral was known.
_MERGE_REQUESTS: Final = statement(
    """
UPDATE referral AS x SET merged_into = t.tracked
FROM (
    SELECT own.request, min(r.id) AS tracked
    FROM unnest(CAST(:requests AS text[]), CAST(:facts AS uuid[])) AS own(request, fact_id)
    JOIN fact f ON f.id = own.fact_id
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
    GROUP BY raised.id, raised.program""",
    program="raised.program",
    batch=":batch",
)

_OF_REFERRER: Final = array(sorted(OF_REFERRER))
# Links new facts to the referrals that listen, and all facts to referrals that listen to more than before. Of closed
# referrals, facts about a referrer wake only those that were denied for it. Raising facts_version takes
# the row's lock, so a step that judged without these facts notices before it acts.
_LINK_AND_WAKE: Final = text(f"""
WITH found AS (
    SELECT rk.referral_id, filed.fact_id
    FROM unnest(CAST(:keys AS text[]), CAST(:facts AS uuid[])) AS filed(key, fact_id)
    CROSS JOIN LATERAL (SELECT referral_id FROM referral_key WHERE key = filed.key OFFSET 0) AS rk
    WHERE filed.key NOT LIKE 'referrer:%' OR (
        SELECT closed_at IS NULL OR reason = ANY(CAST(:of_referrer AS text[])) FROM referral WHERE id = rk.referral_id
    )
    UNION
    SELECT begun.id, fk.fact_id
    FROM unnest(CAST(:referrals AS text[])) AS begun(id)
    CROSS JOIN LATERAL (SELECT key FROM referral_key WHERE referral_id = begun.id OFFSET 0) AS rk
    CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = rk.key OFFSET 0) AS fk
    UNION
    SELECT * FROM unnest(CAST(:tracked AS text[]), CAST(:requests AS uuid[]))
), link AS MATERIALIZED (
    SELECT referral_id, fact_id FROM found
    WHERE NOT EXISTS (
        SELECT 1 FROM referral_fact rf
        WHERE rf.referral_id = found.referral_id AND rf.fact_id = found.fact_id OFFSET 0)
), held AS MATERIALIZED (
    SELECT r.id, r.parked
    FROM (SELECT DISTINCT referral_id FROM link ORDER BY referral_id) AS its
    CROSS JOIN LATERAL (SELECT id, parked FROM referral WHERE id = its.referral_id FOR UPDATE) AS r
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
    WHERE r.id = ANY(ARRAY(SELECT id FROM held))
    RETURNING r.id, r.facts_version, r.parked, r.merged_into, r.status, r.program
), linked AS (
    INSERT INTO referral_fact (referral_id, fact_id, version)
    SELECT link.referral_id, link.fact_id, raised.facts_version FROM link JOIN raised ON raised.id = link.referral_id
), parked AS ({strays.PARK}
), unparked AS ({strays.UNPARK}
)
{_WAKE_THE_RAISED}
""")  # noqa: S608 (words of ours alone)
