"""Load everything that a reward claim is judged from, in the transaction that will act on the verdict."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.calendar import Period
from referral_rewards.domain.claims.dossier import Dossier, Rival, TaxPosition, Usage
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payouts.states import FREED
from referral_rewards.domain.referrals.inquiries import Answers
from referral_rewards.domain.referrals.lifecycle import CLOSED, ReferralStatus
from referral_rewards.domain.referrals.origin import referee_identity
from referral_rewards.register import marks
from referral_rewards.register.claims.surroundings.behaviour import observed
from referral_rewards.register.payees import rows as payees
from referral_rewards.register.referrals.cases import Case


async def gather(
    connection: AsyncConnection, case: Case, *, answers: Answers, approved_rewards: int | None = None
) -> Dossier:
    """Load the dossier of a referral in review.

    ``approved_rewards`` overrides the register's count of the referrer's rewards.
    """
    counted = await _counted(connection, case)
    gathered = Dossier(
        referral=case.row.id,
        version=case.version,
        terms=case.terms,
        origin=case.origin,
        course=case.course,
        facts=case.facts,
        now=case.now,
        referrer_marks=await _referrer_marks(connection, case),
        rivals=await rivals(connection, case),
        approved_rewards=int(counted.approved_rewards) if approved_rewards is None else approved_rewards,
        usage=await _usage(connection, case, int(counted.budget_minor)),
        tax=await _tax(connection, case),
        revalidation=answers.conversion,
        customer_record=answers.customer,
        late_facts=case.row.round > 1 and case.row.late_facts > 0,
        manual_entry_by=entered_by(case.facts),
    )
    return await observed(connection, gathered)


async def rivals(connection: AsyncConnection, case: Case) -> tuple[Rival, ...]:
    """Return the referrals with the same referee in this program, or the same order in any program."""
    order = case.course.conversion.order if case.course.conversion else None
    referee = sorted(referee_identity(case.facts, case.now))
    rows = await connection.execute(
        _RIVALS, {"id": case.row.id, "program": case.origin.program, "order": order, "marks": referee}
    )
    settled: Mapping[str, str | None] = case.row.settled_rivals or {}
    return tuple(
        Rival(
            referral=row.id,
            referrer=row.referrer,
            program=row.program,
            order=row.order_id,
            status=ReferralStatus(row.status),
            timely_claim=row.claimed_at is not None,
            rewarded=row.rewarded,
            same_referee=row.same_referee,
            claimed_at=row.claimed_at,
            core_digest=settled.get(row.id, row.core_digest),
            settled=row.id in settled,
        )
        for row in rows
    )


async def lost_to(connection: AsyncConnection, referral: str, found: Sequence[Rival]) -> str | None:
    """Return the rival whose approval settled the attribution dispute against this referral; None if none did."""
    rewarded = [rival.referral for rival in found if rival.rewarded]
    if not rewarded:
        return None
    winner = await connection.execute(_LOST_TO, {"referral": referral, "rivals": rewarded})
    return winner.scalar_one_or_none()


def fingerprint(found: Sequence[Rival]) -> str:
    """Return a hash of what a claim's judgement takes from its rivals; it changes when that changes."""
    return hashlib.sha256(json.dumps([_bearing(rival) for rival in found]).encode()).hexdigest()


def _bearing(rival: Rival) -> list[str | bool | None]:
    if rival.settled:
        return [rival.referral, "settled", rival.core_digest]
    over = rival.status in CLOSED
    return [rival.referral, rival.referrer, rival.order, over, rival.rewarded, rival.timely_claim, rival.core_digest]


def entered_by(facts: Sequence[Fact]) -> frozenset[str]:
    """Return the users who entered facts of the referral by hand."""
    return frozenset(by for fact in facts if fact.type is FactType.REWARD_REQUESTED and (by := fact.data.get("by")))


async def parties(connection: AsyncConnection, case: Case, also: str | None = None) -> frozenset[str]:
    """Return the marks of everyone who benefits from the claim, or would if it moved to the referrer ``also``."""
    referee = frozenset(mark for fact in case.facts if fact.type in _REFEREE_SPEAKS for mark in fact.marks)
    beneficiary = frozenset({f"customer:{case.origin.referrer}"}) if case.origin.referrer else frozenset()
    if also is not None:
        beneficiary |= {f"customer:{also}"} | await marks.of_referrer(connection, also)
    return referee | beneficiary | await _referrer_marks(connection, case)


_REFEREE_SPEAKS: Final = frozenset(
    {FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED, FactType.REWARD_REQUESTED, FactType.CONVERSION_RECORDED}
)


async def _referrer_marks(connection: AsyncConnection, case: Case) -> frozenset[str]:
    """Return the marks of the referrer's enrolments and of purchases by the same person.

    A referrer's id means the same person in every program, as a payee's does, so all programs count.
    """
    return await marks.of_referrer(connection, case.origin.referrer)


async def _counted(connection: AsyncConnection, case: Case) -> Any:
    """Return ``approved_rewards`` and ``budget_minor``.

    The first is the referrer's count of rewards in the program, which selects the tier; the second is the part of the
    program's budget that other referrals use, in minor units.
    """
    asked = {"program": case.origin.program, "referrer": case.origin.referrer, "referral": case.row.id}
    return (await connection.execute(_COUNTED, {**asked, "round": case.row.round})).one()


async def _usage(connection: AsyncConnection, case: Case, budget_minor: int) -> Usage:
    asked = {"program": case.origin.program, "referrer": case.origin.referrer, "referral": case.row.id}
    limit = case.terms.limits.per_referrer
    if limit is None:
        return Usage(budget_minor=budget_minor)
    legs = await connection.execute(_HELD, {**asked, "since": case.now - _longest(limit.period)})
    # The rolling period of a reward begins with its approval.
    counting = [leg for leg in legs if case.terms.end(leg.approved_at, limit.period) > case.now]
    return Usage(
        rewards=len(counting), amount_minor=sum(leg.amount_minor for leg in counting), budget_minor=budget_minor
    )


def _longest(period: Period) -> timedelta:
    """Return an upper bound for the length of the period on any calendar.

    It has a few spare days, because ends move to midnight and clocks change.
    """
    return min(timedelta(days=31 * period.months + period.days + 4) + period.exact, _LOOK_BACK_MAX)


#: No program is older; the bound also keeps dates inside the calendar's range.
_LOOK_BACK_MAX: Final = timedelta(days=120 * 366)


async def _tax(connection: AsyncConnection, case: Case) -> Mapping[str, TaxPosition]:
    """Return the tax position of every possible payee in the current year; payees whose position is unknown are left
    out."""
    possible = {case.origin.referrer} | {
        mark.removeprefix("customer:") for fact in case.facts for mark in fact.marks if mark.startswith("customer:")
    }
    asked = {payee for payee in possible if payee}
    return await payees.positions(connection, asked, case.terms, case.now, besides=case.row.id)


# The database maintains the totals; the row without a referrer is the whole program's. Within a round the count is
# frozen at the value that the first claim of the same referrer used.
_COUNTED: Final = text(
    spelled(
        """
SELECT coalesce((
           SELECT approved_rewards FROM reward_claim
           WHERE referral_id = :referral AND round = :round AND (referrer IS NULL OR referrer = :referrer)
           ORDER BY assembled_at, facts_version LIMIT 1
       ), (
           SELECT rewards FROM held_total WHERE program = :program AND referrer = :referrer AND referrer <> ''
       ), 0) AS approved_rewards,
       coalesce((SELECT amount_minor FROM held_total WHERE program = :program AND referrer = ''), 0)
       - coalesce((SELECT sum(amount_minor) FROM (SELECT * FROM leg WHERE referral_id = :referral OFFSET 0) AS own
                   WHERE program = :program AND state NOT IN :freed), 0) AS budget_minor
""",
        freed=FREED,
    )
)

_HELD: Final = text(
    spelled(
        """
SELECT approved_at, amount_minor FROM leg
WHERE program = :program AND referrer = :referrer AND role = 'referrer' AND referral_id <> :referral
  AND state NOT IN :freed AND approved_at > CAST(:since AS timestamptz)
""",
        freed=FREED,
    )
)

_RIVALS: Final = text(
    spelled(
        """
WITH same_referee AS (
    SELECT DISTINCT rk.referral_id AS id FROM referral_key rk
    WHERE rk.key = ANY(CAST(:marks AS text[]))
), candidates AS (
    SELECT id FROM same_referee UNION SELECT id FROM referral WHERE order_id = :order
)
SELECT r.id, r.referrer, r.program, r.order_id, r.status, r.claimed_at, c.core_digest,
       EXISTS (SELECT 1 FROM same_referee s WHERE s.id = r.id) AS same_referee,
       EXISTS (
           SELECT 1 FROM leg WHERE referral_id = r.id AND state NOT IN :freed
           OFFSET 0
       ) AS rewarded
FROM candidates JOIN referral r USING (id) LEFT JOIN reward_claim c ON c.id = r.claim_id
WHERE r.id <> :id AND r.merged_into IS NULL AND r.status IS NOT NULL
  AND (r.program = :program OR r.order_id = :order)
ORDER BY r.id
""",
        freed=FREED,
    )
)

_LOST_TO: Final = text("""
SELECT id FROM referral WHERE id = ANY(CAST(:rivals AS text[])) AND jsonb_exists(settled_rivals, :referral) LIMIT 1
""")
