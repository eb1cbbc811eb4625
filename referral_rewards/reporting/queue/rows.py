"""Read what the entries of the queue are displayed from: one row each, in one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards import personal
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackState
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.payouts.states import WAS_PAID, PayoutState
from referral_rewards.domain.referrals.doubts import Doubt
from referral_rewards.register import typed_rows
from referral_rewards.register.clawbacks import offsets
from referral_rewards.register.locks import dump
from referral_rewards.register.payouts.endings import GIVEN_UP
from referral_rewards.register.queue import strays


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry of the queue, its referral and claim if it has them, and the one thing that it is about.

    That is a payout, a clawback case, a payout cycle, an appeal, a forgotten payment, a report, or facts that belong to
    no referral (``strays``: how many); the columns of the others are None. ``body`` is the claim without its evidence.
    """

    referral_id: str
    exception: Waits
    subject: str
    about: str | None
    since: datetime
    remind_at: datetime | None
    escalate_at: datetime | None
    customer: str | None

    program: str | None
    status: str | None
    reason: str | None
    late_facts: int | None
    referrer: str | None
    order_id: str | None
    stores: Sequence[str]
    conversion_at: datetime | None
    net_minor: int | None
    currency: str | None
    body: Mapping[str, Any] | None
    decided: bool
    payouts: Sequence[Mapping[str, Any]]

    payee: str | None
    payee_rail: str | None

    payout_state: PayoutState | None
    payout_why: str | None
    payout_sent_at: datetime | None
    payout_rail: str | None
    payout_key: str | None
    payout_given_up: bool | None

    cycle_due_on: date | None
    cycle_state: CycleState | None
    cycle_carried: Sequence[Mapping[str, Any]] | None

    case_state: CaseState | None
    room_minor: int | None
    case_currency: str | None
    waiting_minor: int | None
    overdue: bool | None
    in_review: Sequence[str] | None
    exchange_order: str | None
    exchange_store: str | None
    exchange_minor: int | None
    exchange_currency: str | None

    appeal: str | None  # opened by `rows_of`
    appeal_sealed: bytes | None
    appeal_fact: UUID | None
    appealed_at: datetime | None
    appealed_by: str | None

    facts_version: int | None
    code: str | None
    owners: int | None
    strays: int
    strays_since: datetime | None
    orders: Sequence[str] | None
    programs: Sequence[str] | None
    terms_from: datetime | None
    told_by: str | None
    told_source: str | None
    told_order: str | None
    told_store: str | None
    on_record: bool | None

    forgotten_rail: str | None
    forgotten_reference: str | None
    forgotten_payee: str | None
    forgotten_minor: int | None
    forgotten_currency: str | None


async def rows_of(connection: AsyncConnection, wanted: Sequence[tuple[str, str, str]]) -> tuple[EntryRow, ...]:
    """Return the rows with these keys (referral, exception, subject), in the order given; missing ones are left out."""
    if not wanted:
        return ()
    found = await typed_rows.read(connection, EntryRow, _ENTRIES, {"keys": dump(wanted)})
    return tuple(_with_words(connection, row) for row in found)


def _with_words(connection: AsyncConnection, row: EntryRow) -> EntryRow:
    if row.appeal_fact is None:
        return row
    told = personal.body_of(connection, row.appeal_fact, row.appeal_sealed) or {}
    return replace(row, appeal=told.get("why"))


# The largest part of a claim is its evidence, which lists do not show.
_ENTRIES: Final = statement(
    f"""
SELECT q.referral_id, q.exception, q.subject, q.about, r.late_facts,
       appeal.at AS appealed_at, appeal.by AS appealed_by, NULL AS appeal,
       appeal.sealed AS appeal_sealed, appeal.id AS appeal_fact,
       coalesce(its.updated_at, q.since) AS since, q.remind_at, q.escalate_at,
       coalesce(r.program, q.program) AS program, coalesce(r.status, q.status) AS status, r.reason,
       its.state AS payout_state, its.why AS payout_why, its.key_used_at AS payout_sent_at, its.rail AS payout_rail,
       its.provider_key AS payout_key, its.given_up AS payout_given_up, cycle.due_on AS cycle_due_on,
       cycle.state AS cycle_state, cycle.carried AS cycle_carried, coalesce(its.payee, waiting.beneficiary) AS payee,
       coalesce(its.rail, waiting.rail) AS payee_rail, its_case.*, forgotten.*, told.*, stray.*,
       coalesce(r.referrer, q.referrer) AS referrer, r.facts_version, r.referrer_code AS code,
       CASE WHEN q.exception = :unlinked_claim THEN (
           SELECT CAST(count(DISTINCT f.data->>'referrer') AS int)
           FROM fact_key fk JOIN fact f ON f.id = fk.fact_id AND f.type = 'referrer.enrolled'
           WHERE fk.key = r.code_key) END AS owners,
       CASE WHEN q.exception = :parked THEN ARRAY(SELECT DISTINCT program FROM program_version ORDER BY 1) END
           AS programs,
       CASE WHEN q.exception = :parked THEN (
           SELECT min(effective_from) FROM program_version WHERE program = q.subject) END AS terms_from,
       r.order_id, coalesce(r.stores, CAST(ARRAY[] AS text[])) AS stores, r.conversion_at, r.net_minor, r.currency,
       c.body, q.customer,
       EXISTS (SELECT 1 FROM decision d WHERE d.referral_id = r.id OFFSET 0) AS decided,
       (SELECT coalesce(json_agg(json_build_object('payout', p.id, 'state', p.state, 'why', p.why) ORDER BY p.id), '[]')
        FROM (SELECT DISTINCT payout_id FROM payouts_of(r.id)) AS o
        CROSS JOIN LATERAL (SELECT * FROM payout WHERE id = o.payout_id OFFSET 0) AS p) AS payouts
FROM json_array_elements(CAST(:keys AS json)) WITH ORDINALITY AS wanted(key, number)
CROSS JOIN LATERAL (
    SELECT * FROM queue_entry
    WHERE referral_id = key->>0 AND exception = key->>1 AND subject = key->>2 OFFSET 0
) AS q
LEFT JOIN LATERAL (SELECT * FROM referral WHERE id = q.referral_id OFFSET 0) AS r ON true
LEFT JOIN LATERAL (
    SELECT p.*, {GIVEN_UP} AS given_up FROM payout p
    WHERE (q.exception LIKE 'payout%' OR q.exception = :waiting_method) AND p.id = CAST(q.subject AS uuid) OFFSET 0
) AS its ON true
LEFT JOIN LATERAL (
    SELECT beneficiary, rail FROM leg WHERE q.exception = :waiting_method AND id = CAST(q.subject AS uuid) OFFSET 0
) AS waiting ON true
LEFT JOIN LATERAL (
    SELECT f.id, f.occurred_at AS at, f.data->>'by' AS by, p.sealed
    FROM fact f LEFT JOIN personal_data p ON p.subject_id = f.id
    WHERE q.exception = 'appeal' AND f.id = CAST(q.subject AS uuid) OFFSET 0
) AS appeal ON true
LEFT JOIN LATERAL (
    SELECT rail AS forgotten_rail, reference AS forgotten_reference, payee AS forgotten_payee,
           amount_minor AS forgotten_minor, currency AS forgotten_currency
    FROM forgotten_payment WHERE q.exception = :forgotten_payment AND id = CAST(q.subject AS uuid) OFFSET 0
) AS forgotten ON true
LEFT JOIN LATERAL (
    SELECT f.data->>'by' AS told_by, f.source AS told_source, f.data->>'order' AS told_order,
           f.data->>'store' AS told_store, EXISTS (
        SELECT 1 FROM fact_key fk JOIN fact known ON known.id = fk.fact_id AND known.type = 'conversion.recorded'
        WHERE fk.key = 'order:' || (f.data->>'order') OFFSET 0) AS on_record
    FROM fact f WHERE q.exception = ANY(:doubts) AND f.id = CAST(q.subject AS uuid) OFFSET 0
) AS told ON true
CROSS JOIN LATERAL ({strays.COUNTED}) AS stray
LEFT JOIN LATERAL (
    SELECT due_on, state, summary->'carried' AS carried
    FROM payout_cycle WHERE q.exception = 'cycle' AND id = CAST(q.subject AS uuid) OFFSET 0
) AS cycle ON true
LEFT JOIN LATERAL (
    SELECT k.state AS case_state, k.exchange_order, k.exchange_store, k.exchange_minor, k.exchange_currency,
           {offsets.UNTAKEN_MINOR} AS room_minor, l.currency AS case_currency, waits.waiting_minor, waits.overdue,
           ARRAY(SELECT b.provider_key FROM clawback b
                 WHERE b.case_id = k.id AND b.state = :in_review ORDER BY b.created_at, b.id) AS in_review
    FROM clawback_case k JOIN leg l ON l.id = k.leg_id
    CROSS JOIN LATERAL (SELECT k.id) AS c CROSS JOIN LATERAL ({offsets.OF_CASE}) AS waits
    WHERE q.exception = 'clawback' AND CONCAT(k.leg_id, '/', k.fact_id) = q.subject AND k.referral_id = r.id OFFSET 0
) AS its_case ON true
LEFT JOIN LATERAL (
    SELECT body - ARRAY['evidence', 'checks', 'contributions', 'lines'] AS body
    FROM reward_claim WHERE id = r.claim_id OFFSET 0
) AS c ON true
ORDER BY wanted.number
""",  # noqa: S608 (a constant of ours)
    was_paid=WAS_PAID,
    in_review=ClawbackState.MANUAL_REVIEW,
    waiting_method=Waits.WAITING_METHOD,
    forgotten_payment=Waits.FORGOTTEN_PAYMENT,
    doubts=tuple(Doubt),
    parked=Waits.PARKED,
    unlinked_claim=Waits.UNLINKED_CLAIM,
)
