"""Maintain the queue: what waits for a person, as rows that a search can read without scanning the register.

The queue is a projection. A referral's entries follow from its row, claim, payouts and facts. They are rewritten
whenever one of these changes, in the same transaction and under the referral's row lock (`upkeep`), so that they always
agree.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.clawbacks.room import OFFSET_WAITS_DAYS
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackState
from referral_rewards.domain.cycles.states import WAITS as CYCLE_WAITS
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.waiting import Patience, patience
from referral_rewards.domain.payouts.destinations import NEEDING_A_METHOD
from referral_rewards.domain.payouts.rail_catalogue import BY_HAND
from referral_rewards.domain.payouts.states import FOR_A_PERSON, FOR_HANDS, NOT_SAID, LegState, PayoutState
from referral_rewards.domain.referrals.lifecycle import WITH_APPROVERS, WITHOUT_CONVERSION, ReferralStatus
from referral_rewards.register import programs, typed_rows
from referral_rewards.register.queue.rails import FORGOTTEN_ENTRY, IS_FORGOTTEN


@dataclass(frozen=True, slots=True)
class Due:
    """Since when a claim waits for its approvers, and until when it may."""

    since: datetime
    until: Patience


async def keep(connection: AsyncConnection, referral: str, due: Due | None = None) -> None:
    """Rewrite the queue entries of a referral. The caller holds its row and has written everything else.

    ``due`` spares reading the terms, if the caller knows it; it counts only for an entry of the same ``since``.
    """
    until = due and due.until
    asked = {"referral": referral, "since": due and due.since}
    dated = {"remind_at": until and until.remind_at, "escalate_at": until and until.escalate_at}
    for entry in await connection.execute(_KEEP, {**asked, **dated}):
        if entry.undated:
            await _date(connection, typed_rows.of(_Undated, entry))


async def keep_cycle(connection: AsyncConnection, cycle: UUID) -> None:
    """Rewrite the queue entry of a payout cycle. The caller holds its row and has written it."""
    await connection.execute(_KEEP_CYCLE, {"cycle": cycle})


async def date(connection: AsyncConnection, limit: int = 500) -> int:
    """Set the due dates of entries that have none, and return how many there were.

    They need the program's calendar, which SQL does not have. So a migration leaves them to the sweep, in batches.
    """
    undated = await typed_rows.read(connection, _Undated, _UNDATED, {"limit": limit})
    for entry in undated:
        await _date(connection, entry)
    return len(undated)


class _Undated(NamedTuple):
    referral_id: str
    program: str
    since: datetime
    version: int


async def _date(connection: AsyncConnection, entry: _Undated) -> None:
    terms = dict(await programs.versions(connection, entry.program))[entry.version]
    until = patience(entry.since, terms)
    dated: dict[str, str | datetime] = {
        "referral": entry.referral_id,
        "since": entry.since,
        "remind_at": until.remind_at,
        "escalate_at": until.escalate_at,
    }
    await connection.execute(_DATE, dated)


#: Nobody has a claim before them yet. Once somebody has, its flag says that the referrer is unknown.
_BEFORE_REVIEW: Final = WITHOUT_CONVERSION | {ReferralStatus.IN_RETURN_PERIOD}

#: The payouts that pay the referral, or were to.
_PAYOUTS: Final = """
        SELECT id FROM payout WHERE referral_id = :referral
        UNION
        SELECT pl.payout_id FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id
        WHERE l.referral_id = :referral
"""

#: Whether the referral is the one under which a payout `p` has its entry.
_ITS_FIRST: Final = """
:referral = coalesce(p.referral_id, (
          SELECT min(l.referral_id) FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
          WHERE pl.payout_id = p.id AND (pl.live OR NOT EXISTS (
              SELECT 1 FROM payout_leg WHERE payout_id = p.id AND live OFFSET 0))))
"""

# The row holds what a search filters by; what is only displayed is read from the referral at that time.
#
# A claim that waits for an earlier referral of the same referrer and referee has none: nobody has to decide on it.
#
# Settling a payout, or taking that back, says of a forgotten payment under its reference whether it still waits.
#
# An offset that waits has its entry dated ahead, as a payout of unknown outcome has.
#
# A payout has one entry, under the first of the referrals that it pays or, if cancelled, was to pay. Its reason is read
# when it is displayed, because it may change. A payout of unknown outcome waits for a person after one hour: its entry
# is dated an hour ahead, where no search looks, so that nothing has to be written when the hour is over.
_KEEP: Final = text(
    spelled(
        f"""
WITH found AS MATERIALIZED (
    SELECT r.id, 'approval' AS exception, '' AS subject, CAST(NULL AS text) AS about, CAST(NULL AS text) AS reported,
           coalesce(r.waiting_since, (SELECT max(at) FROM referral_step s WHERE s.referral_id = r.id
                                      AND s.status = :awaiting_approval)) AS since
    FROM referral r WHERE r.id = :referral AND r.status IN :with_approvers
      AND NOT (r.status = :awaiting_approval AND EXISTS (
          SELECT 1 FROM reward_claim c WHERE c.id = r.claim_id AND c.body->>'waits_for' IS NOT NULL OFFSET 0))
    UNION ALL
    SELECT r.id, 'late_fact', '', r.late_facts || ' late', NULL, r.closed_at
    FROM referral r WHERE r.id = :referral AND r.late_facts > 0 AND r.closed_at IS NOT NULL
    UNION ALL
    SELECT r.id, 'appeal', CAST(f.id AS text), NULL, NULL, f.received_at
    FROM referral r
    CROSS JOIN LATERAL (SELECT fact_id, version FROM referral_fact WHERE referral_id = r.id OFFSET 0) AS rf
    CROSS JOIN LATERAL (SELECT * FROM fact WHERE id = rf.fact_id AND type = 'referral.appealed' OFFSET 0) AS f
    WHERE r.id = :referral AND r.closed_at IS NOT NULL AND rf.version > coalesce(r.answered_version, 0)
    UNION ALL
    -- A case on which people have decided waits again once its offsets have waited for long.
    SELECT c.referral_id, 'clawback', c.leg_id || '/' || c.fact_id, c.why, NULL,
           CASE WHEN c.state = :open OR its.in_review THEN c.opened_at
                ELSE its.waits_since + interval '{OFFSET_WAITS_DAYS} days' END
    FROM clawback_case c
    CROSS JOIN LATERAL (
        SELECT coalesce(bool_or(b.state = :in_review), false) AS in_review,
               min(b.updated_at) FILTER (WHERE b.state = :offsetting) AS waits_since
        FROM clawback b WHERE b.case_id = c.id OFFSET 0
    ) AS its
    WHERE c.referral_id = :referral AND (c.state = :open OR its.in_review OR its.waits_since IS NOT NULL)
      -- Nothing is to be taken back before people have said whether a payment by hand was carried out.
      AND NOT EXISTS (
          SELECT 1 FROM payout_leg pl JOIN payout p ON p.id = pl.payout_id
          WHERE pl.leg_id = c.leg_id AND pl.live AND p.rail IN :by_hand AND p.state IN :not_said OFFSET 0)
    UNION ALL
    SELECT CAST(:referral AS text) COLLATE "C", 'payout_' || p.state, CAST(p.id AS text), NULL, NULL,
           p.updated_at + CASE p.state WHEN :unknown THEN interval '1 hour' ELSE interval '0' END
    FROM ({_PAYOUTS}) AS its JOIN payout p USING (id)
    WHERE (p.state IN :for_a_person
           OR (p.state IN :for_hands AND p.rail IN :by_hand AND p.amount_minor > 0))
      AND {_ITS_FIRST}
    UNION ALL
    -- Nobody has to decide while the payee has no method on the rail: they are asked for one.
    SELECT l.referral_id, :waiting_method, CAST(l.id AS text), NULL, NULL, greatest(l.approved_at, m.received_at)
    FROM leg l
    CROSS JOIN LATERAL (
        SELECT f.type, f.received_at
        FROM (SELECT fact_id FROM fact_key WHERE key = 'payee:' || l.beneficiary OFFSET 0) AS fk
        CROSS JOIN LATERAL (
            SELECT * FROM fact WHERE id = fk.fact_id AND type IN ('payee.method_set', 'payee.method_removed')
              AND data->>'rail' = l.rail OFFSET 0) AS f
        ORDER BY f.occurred_at DESC, f.source DESC, f.event_id DESC LIMIT 1 OFFSET 0
    ) AS m
    WHERE l.referral_id = :referral AND l.state = :waiting_method AND m.type = 'payee.method_set'
    UNION ALL
    -- Nor does a payout that keeps what it pays follow its payee to another account: a return, or one released again.
    SELECT :referral, :waiting_method, CAST(p.id AS text), NULL, NULL, greatest(p.updated_at, m.received_at)
    FROM ({_PAYOUTS}) AS its JOIN payout p USING (id)
    CROSS JOIN LATERAL (
        SELECT f.id, f.type, f.data->>'reference' AS reference, f.received_at
        FROM (SELECT fact_id FROM fact_key WHERE key = 'payee:' || p.payee OFFSET 0) AS fk
        CROSS JOIN LATERAL (
            SELECT * FROM fact WHERE id = fk.fact_id AND type IN ('payee.method_set', 'payee.method_removed')
              AND data->>'rail' = p.rail OFFSET 0) AS f
        ORDER BY f.occurred_at DESC, f.source DESC, f.event_id DESC LIMIT 1 OFFSET 0
    ) AS m
    WHERE p.state = :approved AND p.key_used_at IS NULL AND p.rail IN :needing
      AND (p.first_sent_at IS NOT NULL OR p.returns IS NOT NULL)
      AND (m.type = 'payee.method_removed'
           OR NOT coalesce(p.body->>'destination', '') IN (coalesce(m.reference, ''), 'method:' || m.id))
      AND {_ITS_FIRST}
    UNION ALL
    -- What it is about is read when it is displayed, because other facts may change it.
    SELECT r.id, d.doubt, d.fact, NULL, f.data->>'order',
           CASE d.doubt WHEN 'reported' THEN f.occurred_at ELSE greatest(r.closed_at, f.received_at) END
    FROM referral r
    CROSS JOIN LATERAL (
        SELECT key AS doubt, jsonb_array_elements_text(value) AS fact FROM jsonb_each(r.doubts) OFFSET 0) AS d
    CROSS JOIN LATERAL (SELECT * FROM fact WHERE id = CAST(d.fact AS uuid) OFFSET 0) AS f
    CROSS JOIN LATERAL (
        SELECT version FROM referral_fact WHERE referral_id = r.id AND fact_id = f.id OFFSET 0) AS rf
    WHERE r.id = :referral AND (r.closed_at IS NULL OR rf.version > coalesce(r.answered_version, 0))
    UNION ALL
    SELECT r.id, 'unlinked_claim', '', NULL, NULL, r.began_at
    FROM referral r
    WHERE r.id = :referral AND r.status IN :before_review AND r.referrer IS NULL AND r.referrer_code IS NOT NULL
    UNION ALL
    SELECT r.id, 'parked', '', NULL, NULL, r.told_at
    FROM referral r WHERE r.id = :referral AND r.parked = 'referral_unknown' AND r.merged_into IS NULL
), waiting AS MATERIALIZED (
    -- A person set it aside, and nothing was told of its referral since; a report is one fact, and stays aside.
    SELECT found.* FROM found
    WHERE NOT EXISTS (
        SELECT 1 FROM set_aside s JOIN referral r ON r.id = s.referral_id
        WHERE s.referral_id = :referral AND s.exception = found.exception AND s.subject = found.subject
          AND (s.seen >= r.facts_version OR s.exception = 'reported') OFFSET 0)
), gone AS (
    DELETE FROM queue_entry q WHERE q.referral_id = :referral
      AND NOT EXISTS (SELECT 1 FROM waiting w WHERE w.exception = q.exception AND w.subject = q.subject)
), forgotten AS MATERIALIZED (
    SELECT CAST(f.id AS text) AS subject, f.payee, f.found_at, {IS_FORGOTTEN} AS waits
    FROM forgotten_payment f
    JOIN LATERAL (
        SELECT 1 FROM payout p WHERE p.provider_reference = f.reference AND p.rail = f.rail
          AND (p.referral_id = :referral OR EXISTS (
              SELECT 1 FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
              WHERE pl.payout_id = p.id AND l.referral_id = :referral OFFSET 0))
        LIMIT 1
    ) AS its ON true
), adopted AS (
    DELETE FROM queue_entry q USING forgotten f
    WHERE q.referral_id = '' AND q.exception = 'forgotten_payment' AND q.subject = f.subject AND NOT f.waits
), forgotten_again AS (
    {FORGOTTEN_ENTRY} FROM forgotten WHERE waits
    ON CONFLICT (referral_id, exception, subject) DO NOTHING
)
INSERT INTO queue_entry AS q (referral_id, exception, subject, program, status, reason, about, referrer, customer,
                              order_id, recommendation, flags, routes, amount_minor, currency, since, remind_at,
                              escalate_at)
SELECT w.id, w.exception, w.subject, coalesce(r.program, ''), coalesce(r.status, ''), r.reason, w.about, r.referrer,
       (SELECT min(substr(k.key, 10)) FROM referral_key k WHERE k.referral_id = r.id AND k.key LIKE 'customer:%'),
       coalesce(w.reported, r.order_id), c.body->>'recommendation',
       ARRAY(SELECT DISTINCT raised->>'flag' FROM jsonb_array_elements(c.body->'flags') AS raised ORDER BY 1),
       ARRAY(SELECT jsonb_array_elements_text(c.body->'requirement'->'routes') ORDER BY 1),
       legs.amount_minor, legs.currency, w.since, dated.remind_at, dated.escalate_at
FROM waiting w JOIN referral r ON r.id = :referral LEFT JOIN reward_claim c ON c.id = r.claim_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(CAST(leg->>'amount_minor' AS bigint)), 0) AS amount_minor, min(leg->>'currency') AS currency
    FROM jsonb_array_elements(c.body->'legs') AS leg
) AS legs
LEFT JOIN (
    SELECT CAST(:since AS timestamptz) AS since, CAST(:remind_at AS timestamptz) AS remind_at,
           CAST(:escalate_at AS timestamptz) AS escalate_at
) AS dated ON w.exception = 'approval' AND r.status = :awaiting_approval AND dated.since = w.since
ON CONFLICT (referral_id, exception, subject) DO UPDATE
SET program = excluded.program, status = excluded.status, reason = excluded.reason, about = excluded.about,
    referrer = excluded.referrer, customer = excluded.customer, order_id = excluded.order_id,
    recommendation = excluded.recommendation, flags = excluded.flags, routes = excluded.routes,
    amount_minor = excluded.amount_minor, currency = excluded.currency, since = excluded.since,
    remind_at = excluded.remind_at, escalate_at = excluded.escalate_at
WHERE (q.program, q.status, q.reason, q.about, q.referrer, q.customer, q.order_id, q.recommendation, q.flags, q.routes,
       q.amount_minor, q.currency, q.since)
    IS DISTINCT FROM
      (excluded.program, excluded.status, excluded.reason, excluded.about, excluded.referrer, excluded.customer,
       excluded.order_id, excluded.recommendation, excluded.flags, excluded.routes, excluded.amount_minor,
       excluded.currency, excluded.since)
RETURNING q.referral_id, q.program, q.since, (SELECT version FROM referral WHERE id = q.referral_id) AS version,
          q.exception = 'approval' AND q.status = :awaiting_approval AND q.remind_at IS NULL AS undated
""",  # noqa: S608 (constants of ours)
        awaiting_approval=ReferralStatus.AWAITING_APPROVAL,
        with_approvers=WITH_APPROVERS,
        open=CaseState.OPEN,
        in_review=ClawbackState.MANUAL_REVIEW,
        offsetting=ClawbackState.OFFSETTING,
        unknown=PayoutState.UNKNOWN,
        for_hands=FOR_HANDS,
        for_a_person=FOR_A_PERSON,
        by_hand=BY_HAND,
        not_said=NOT_SAID,
        waiting_method=LegState.WAITING_METHOD,
        approved=PayoutState.APPROVED,
        needing=NEEDING_A_METHOD,
        before_review=_BEFORE_REVIEW,
    )
)

_KEEP_CYCLE: Final = statement(
    """
WITH waiting AS MATERIALIZED (
    SELECT CAST(id AS text) AS subject, program, state,
           CASE state WHEN :frozen THEN frozen_at ELSE updated_at END AS since
    FROM payout_cycle WHERE id = :cycle AND state = ANY(:waits)
), gone AS (
    DELETE FROM queue_entry WHERE referral_id = '' AND exception = 'cycle' AND subject = CAST(:cycle AS text)
      AND NOT EXISTS (SELECT 1 FROM waiting)
)
INSERT INTO queue_entry (referral_id, exception, subject, program, status, routes, amount_minor, since)
SELECT '', 'cycle', subject, program, state, '{finance}', 0, since FROM waiting
ON CONFLICT (referral_id, exception, subject) DO UPDATE SET status = excluded.status, since = excluded.since
WHERE queue_entry.status <> excluded.status
""",
    frozen=CycleState.FROZEN,
    waits=CYCLE_WAITS,
)

_UNDATED: Final = text(
    spelled(
        """
SELECT q.referral_id, q.program, q.since, r.version
FROM queue_entry q JOIN referral r ON r.id = q.referral_id
WHERE q.exception = 'approval' AND q.status = :awaiting_approval AND q.remind_at IS NULL
LIMIT :limit FOR UPDATE OF q SKIP LOCKED
""",
        awaiting_approval=ReferralStatus.AWAITING_APPROVAL,
    )
)

_DATE: Final = text("""
UPDATE queue_entry SET remind_at = :remind_at, escalate_at = :escalate_at
WHERE referral_id = :referral AND exception = 'approval' AND since = :since
""")
