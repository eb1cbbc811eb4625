"""Load everything that a reward claim is judged from, in the transaction that will act on the verdict."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.calendar import Period
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Dossier, Rival, Usage
from referral_rewards.domain.claims.rewards import approved_destinations
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName, named
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payouts.states import FREED
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.inquiries import Answers
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, Side
from referral_rewards.domain.referrals.origin import referee_identity
from referral_rewards.register import marks, programs
from referral_rewards.register.claims.surroundings.behaviour import observed
from referral_rewards.register.payees import rows as payees
from referral_rewards.register.sight import SIGHT


async def gather(
    connection: AsyncConnection,
    case: Case,
    *,
    answers: Answers,
    approved_rewards: int | None = None,
    approved: RewardClaim | None = None,
) -> Dossier:
    """Load the dossier of a referral in review.

    ``approved_rewards`` overrides the register's count of the referrer's rewards. ``approved`` is the claim as it was
    approved: the destinations that it names stand.
    """
    payees_ = _possible_payees(case)
    found = (await connection.execute(_GATHERED, _asked(case, payees_))).one()
    gathered = Dossier(
        referral=case.row.id,
        version=case.version,
        terms=case.terms,
        origin=case.origin,
        course=case.course,
        facts=case.facts,
        now=case.now,
        program=case.program,
        newest=case.newest,
        referrer_marks=frozenset(found.referrer_marks),
        rivals=_rivals_of(case, _RIVAL_ROWS.validate_python(found.rivals)),
        approved_rewards=int(found.approved_rewards) if approved_rewards is None else approved_rewards,
        usage=_usage(case, _HELD_REWARDS.validate_python(found.held), int(found.held_minor), int(found.reserved_minor)),
        tax=await payees.positions(
            connection,
            payees_,
            case.terms,
            case.now,
            besides=case.row.id,
            known=(payees.filed(payees_, found.forms or ()), programs.zones_of(found.zones or {})),
        ),
        revalidation=answers.conversion,
        customer_record=answers.customer,
        late_facts=case.row.round > 1 and case.row.late_facts > 0,
        is_decided=case.row.round > 1 or approved is not None,
        acts=case.acts,
        manual_entry_by=entered_by(case.facts),
        approved_destinations=None if approved is None else approved_destinations(approved.legs),
        standing=frozenset(map(Side, found.standing)),
    )
    if gathered.linked_by_hand is not None:
        gathered = replace(gathered, matched_elsewhere=await _matched_elsewhere(connection, gathered))
    return await observed(connection, gathered)


async def _matched_elsewhere(connection: AsyncConnection, gathered: Dossier) -> tuple[str, ...]:
    """Return the other referrals whose referee may have made the conversion that people linked to this one."""
    assert gathered.conversion is not None
    marks = sorted(mark for record in gathered.conversion.records for mark in record.identity)
    found = await connection.execute(_MATCHED, {"marks": marks, "id": gathered.referral})
    return tuple(found.scalars())


async def rivals(connection: AsyncConnection, case: Case) -> tuple[Rival, ...]:
    """Return the referrals with the same referee in this program, or the same order in any program."""
    return _rivals_of(case, await connection.execute(_RIVALS, _whose_rivals(case)))


def _whose_rivals(case: Case) -> dict[str, Any]:
    order = case.course.conversion.order if case.course.conversion else None
    referee = sorted(referee_identity(case.facts, case.now))
    return {"id": case.row.id, "program": case.origin.program, "order": order, "marks": referee}


def _rivals_of(case: Case, rows: Iterable["_RivalRow | Row[Any]"]) -> tuple[Rival, ...]:
    settled = case.row.settled_rivals or {}
    q = case.course.conversion
    met = [
        row
        for row in rows
        if row.meets_by_referee or (q is not None and q.which.may_be(_order_of(row.order_id, row.stores)))
    ]
    return tuple(
        Rival(
            referral=row.id,
            referrer=row.referrer,
            program=row.program,
            order=row.order_id,
            store=row.stores[0] if row.stores else None,
            status=ReferralStatus(row.status),
            timely_claim=row.claimed_at is not None,
            rewarded=row.rewarded,
            same_referee=row.same_referee,
            only_mailbox=row.only_mailbox,
            claimed_at=row.claimed_at,
            began_at=row.began_at,
            core_digest=settled.get(row.id, row.core_digest),
            settled=row.id in settled,
            won=row.won,
        )
        for row in met
    )


def _order_of(order: str | None, stores: Sequence[str]) -> OrderName | None:
    return None if order is None else named(order, stores)


@dataclass(frozen=True, slots=True)
class _RivalRow:
    id: str
    referrer: str | None
    program: str
    order_id: str | None
    stores: tuple[str, ...]
    status: str
    claimed_at: datetime | None
    began_at: datetime | None
    core_digest: str | None
    meets_by_referee: bool
    same_referee: bool
    only_mailbox: bool
    rewarded: bool
    won: bool


_RIVAL_ROWS: Final = TypeAdapter(tuple[_RivalRow, ...])


def entered_by(facts: Sequence[Fact]) -> frozenset[str]:
    """Return the users who entered facts of the referral by hand."""
    return frozenset(by for fact in facts if fact.type is FactType.REWARD_REQUESTED and (by := fact.data.get("by")))


async def parties(connection: AsyncConnection, case: Case) -> frozenset[str]:
    """Return the marks of everyone who benefits from the claim."""
    referee = frozenset(mark for fact in case.facts if fact.type in _REFEREE_SPEAKS for mark in fact.marks)
    beneficiary = frozenset({f"customer:{case.origin.referrer}"}) if case.origin.referrer else frozenset()
    return referee | beneficiary | await _referrer_marks(connection, case)


_REFEREE_SPEAKS: Final = frozenset(
    {FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED, FactType.REWARD_REQUESTED, FactType.CONVERSION_RECORDED}
)


async def _referrer_marks(connection: AsyncConnection, case: Case) -> frozenset[str]:
    """Return the marks of the referrer's enrolments and of purchases by the same person.

    A referrer's id means the same person in every program, as a payee's does, so all programs count.
    """
    return await marks.of_referrer(connection, case.origin.referrer)


@dataclass(frozen=True, slots=True)
class _HeldReward:
    approved_at: datetime
    amount_minor: int


_HELD_REWARDS: Final = TypeAdapter(tuple[_HeldReward, ...])


def _usage(case: Case, held: Sequence[_HeldReward], held_minor: int, reserved_minor: int) -> Usage:
    budget_minor = held_minor - reserved_minor
    limit = case.terms.limits.per_referrer
    if limit is None:
        return Usage(budget_minor=budget_minor, reserved_minor=reserved_minor)
    # The rolling period of a reward begins with its approval.
    counting = [leg for leg in held if case.terms.end(leg.approved_at, limit.period) > case.now]
    return Usage(
        rewards=len(counting),
        amount_minor=sum(leg.amount_minor for leg in counting),
        budget_minor=budget_minor,
        reserved_minor=reserved_minor,
    )


def _asked(case: Case, possible: Collection[str]) -> dict[str, Any]:
    """Return what `_GATHERED` asks about."""
    limit = case.terms.limits.per_referrer
    return {
        **_whose_rivals(case),
        "referrer": case.origin.referrer,
        "referral": case.row.id,
        "round": case.row.round,
        "kinds": list(identity.IDENTITY_KINDS),
        "since": None if limit is None else case.now - _longest(limit.period),
        "payees": sorted(possible),
        "taxed": payees.taxed(case.terms, case.now),
    }


def _longest(period: Period) -> timedelta:
    """Return an upper bound for the length of the period on any calendar.

    It has a few spare days, because ends move to midnight and clocks change.
    """
    return min(timedelta(days=31 * period.months + period.days + 4) + period.exact, _LOOK_BACK_MAX)


#: No program is older; the bound also keeps dates inside the calendar's range.
_LOOK_BACK_MAX: Final = timedelta(days=120 * 366)


def _possible_payees(case: Case) -> frozenset[str]:
    """Return everybody whom the claim may pay: the referrer, and the customers of the facts."""
    possible = {case.origin.referrer} | {
        mark.removeprefix("customer:") for fact in case.facts for mark in fact.marks if mark.startswith("customer:")
    }
    return frozenset(payee for payee in possible if payee)


# The database maintains the totals; the row without a referrer is the whole program's. Within a round the count is
# frozen at the value that the first claim of the same referrer used.
# ``held_minor`` is the part of the program's budget that is used, ``reserved_minor`` what this referral uses of it.
_COUNTED: Final = spelled(
    """
coalesce((
           SELECT approved_rewards FROM reward_claim
           WHERE referral_id = :referral AND round = :round AND (referrer IS NULL OR referrer = :referrer)
           ORDER BY assembled_at, facts_version LIMIT 1
       ), (
           SELECT rewards FROM held_total WHERE program = :program AND referrer = :referrer AND referrer <> ''
       ), 0) AS approved_rewards,
       coalesce((SELECT amount_minor FROM held_total WHERE program = :program AND referrer = ''), 0)
           AS held_minor,
       coalesce((SELECT sum(amount_minor) FROM (SELECT * FROM leg WHERE referral_id = :referral OFFSET 0) AS own
                   WHERE program = :program AND state NOT IN :freed AND NOT former), 0) AS reserved_minor,
       ARRAY(SELECT role FROM leg WHERE referral_id = :referral AND state NOT IN :freed AND former) AS standing
""",
    freed=FREED,
)

_HELD: Final = spelled(
    """
SELECT approved_at, amount_minor FROM leg
WHERE program = :program AND referrer = :referrer AND role = 'referrer' AND (referral_id <> :referral OR former)
  AND state NOT IN :freed AND approved_at > CAST(:since AS timestamptz)
""",
    freed=FREED,
)

_RIVALS_OF: Final = spelled(
    """
WITH same_referee AS (
    SELECT rk.referral_id AS id, bool_and(rk.key LIKE 'email:%') AS only_mailbox FROM referral_key rk
    WHERE rk.key = ANY(CAST(:marks AS text[]))
    GROUP BY rk.referral_id
), candidates AS (
    SELECT id FROM same_referee UNION SELECT id FROM referral WHERE order_id = :order
)
SELECT r.id, r.referrer, r.program, r.order_id, r.stores, r.status, r.claimed_at, r.began_at, c.core_digest,
       EXISTS (SELECT 1 FROM same_referee s WHERE s.id = r.id) AS same_referee,
       r.program = :program AND EXISTS (SELECT 1 FROM same_referee s WHERE s.id = r.id) AS meets_by_referee,
       coalesce((SELECT s.only_mailbox FROM same_referee s WHERE s.id = r.id), false) AS only_mailbox,
       EXISTS (
           SELECT 1 FROM leg WHERE referral_id = r.id AND state NOT IN :freed
           OFFSET 0
       ) AS rewarded,
       coalesce(jsonb_exists(r.settled_rivals, :id), false) AS won
FROM candidates JOIN referral r USING (id) LEFT JOIN reward_claim c ON c.id = r.claim_id
WHERE r.id <> :id AND r.merged_into IS NULL AND r.status IS NOT NULL
  AND (r.program = :program OR r.order_id = :order)
ORDER BY r.id
""",
    freed=FREED,
)
_RIVALS: Final = text(_RIVALS_OF)

_MATCHED: Final = text("""
SELECT DISTINCT r.id
FROM unnest(CAST(:marks AS text[])) AS mark
CROSS JOIN LATERAL (SELECT referral_id FROM referral_key WHERE key = mark OFFSET 0) AS rk
JOIN referral r ON r.id = rk.referral_id
WHERE r.id <> :id AND r.merged_into IS NULL AND r.program IS NOT NULL ORDER BY r.id
""")

# A part that the terms do not need is not read: the rewards that count for a referrer's cap without a ``since``, forms
# and time zones if nothing is taxed. A referrer's id means the same person in every program, as a payee's does.
_GATHERED: Final = text(f"""
SELECT {SIGHT}, {_COUNTED},
       ARRAY({marks.OF_REFERRER}) AS referrer_marks,
       (SELECT coalesce(jsonb_agg(to_jsonb(v) ORDER BY v.id), '[]') FROM ({_RIVALS_OF}) AS v) AS rivals,
       (SELECT coalesce(jsonb_agg(to_jsonb(h)), '[]') FROM ({_HELD}) AS h) AS held,
       CASE WHEN :taxed THEN (SELECT jsonb_agg(to_jsonb(t)) FROM ({payees.FORMS}) AS t) END AS forms,
       CASE WHEN :taxed THEN (SELECT jsonb_object_agg(z.program, z.timezone) FROM ({programs.ZONES}) AS z) END AS zones
""")  # noqa: S608 (words of ours alone)
