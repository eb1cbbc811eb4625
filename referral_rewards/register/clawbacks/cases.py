"""Open and update clawback cases: load the referral's sent legs and cases, decide, save what changed.

What the cases should be is decided in `domain.clawbacks.cases`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.clawbacks.cases import LegCase, PaidLeg, cases_of, happened
from referral_rewards.domain.clawbacks.causes import causes_of
from referral_rewards.domain.clawbacks.proposals import conversion_of, earned
from referral_rewards.domain.clawbacks.states import UNDECIDED, CaseState
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName, named, order_named
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, step_minor
from referral_rewards.domain.payouts.states import AT_REST, FREED, WAS_PAID, LegState, PayoutState
from referral_rewards.domain.referrals.case import Case, other_conversion
from referral_rewards.domain.referrals.disputes import disputes
from referral_rewards.domain.referrals.lifecycle import Side
from referral_rewards.domain.referrals.referral import LinkedFact
from referral_rewards.register import outgoing_events
from referral_rewards.register.clawbacks import forgotten


@dataclass(frozen=True, slots=True)
class _SentLeg:
    """A leg that was sent, or has a case. ``former``: it was paid for an order in whose place the referral was reopened
    for another. What it was paid for is named by its key, and by its claim on the facts up to ``claim_version``."""

    id: UUID
    role: Side
    amount_minor: int
    currency: str
    rail: str
    state: LegState
    former: bool
    order_key: str
    stores: tuple[str, ...]
    referrer: str
    claim_version: int | None
    approved_rewards: int | None
    payout_state: PayoutState | None
    first_sent_at: datetime | None

    def paid(self) -> PaidLeg:
        step = step_minor(self.rail, self.currency) if self.rail in CATALOGUE else 1
        return PaidLeg(self.id, self.role, self.amount_minor, step, self._may_be_paid)

    @property
    def _may_be_paid(self) -> bool:
        """Whether the leg is paid, or the outcome of its payment is unknown."""
        if self.state in WAS_PAID:
            return True
        state = self.payout_state or PayoutState.CANCELLED
        return self.first_sent_at is not None and (state not in AT_REST or state is PayoutState.MANUAL_REVIEW)


@dataclass(frozen=True, slots=True)
class _PaidFor:
    """An order, the facts that came after the claim that was paid for it, and what that claim says. ``referrer`` is
    whose reward it was; ``approved_rewards`` selected its tier."""

    order: OrderName | None
    referrer: str | None
    approved_rewards: int
    news: Sequence[Fact]


_LEGS_READ: Final = TypeAdapter(tuple[_SentLeg, ...])
_CASES_READ: Final = TypeAdapter(tuple[LegCase, ...])


async def keep(
    connection: AsyncConnection,
    case: Case,
    approved_rewards: int,
    news: Sequence[Fact],
    linked: Sequence[LinkedFact],
) -> bool:
    """Open the cases that new facts cause, and update the others. Return whether one waits for the end of a dispute.

    ``approved_rewards`` is the count that selected the tier of the paid claim. Of the facts ``linked`` to the referral,
    those about a former order affect what was paid for that one. The caller holds the referral's row.
    """
    row = case.row
    found = (await connection.execute(_LOAD, {"referral": row.id})).one()
    legs = _LEGS_READ.validate_python(found.legs)
    before = _CASES_READ.validate_python(found.cases)
    present = _PaidFor(row.order, row.referrer, approved_rewards, news)
    after = _cases(case, present, [leg for leg in legs if not leg.former], before)
    # A former leg that was taken back whole is over, but for a case that still waits.
    for leg in legs:
        if leg.former and (leg.state is not LegState.CLAWED_BACK or _waits(leg, before)):
            after += _cases(case, _former(case, leg, linked), [leg], before)
    await _save(connection, case, before, after)
    if any(each.state in UNDECIDED for each in after):
        await _name_exchange(connection, case)
    if {each.id for each in after if each.state in UNDECIDED} - {each.id for each in before}:
        await forgotten.have_asked(connection, row.id)
    return any(each.state is CaseState.FROZEN for each in after)


def _waits(leg: _SentLeg, cases: Sequence[LegCase]) -> bool:
    return any(each.leg == leg.id and each.state in UNDECIDED for each in cases)


def _former(case: Case, leg: _SentLeg, linked: Sequence[LinkedFact]) -> _PaidFor:
    """Return what a former leg was paid for. All facts since its claim are its news: a fact opens its case once, and
    the referral's own claim has become another since."""
    order = None if leg.order_key == f"referral:{case.row.id}" else named(leg.order_key, leg.stores)
    since = leg.claim_version if leg.claim_version is not None else case.row.facts_version
    news = [each.fact for each in linked if each.version > since and each.fact.occurred_at <= case.now]
    in_turn = sorted(news, key=lambda fact: fact.precedence)
    return _PaidFor(order, leg.referrer or None, leg.approved_rewards or 0, in_turn)


def _cases(case: Case, paid: _PaidFor, legs: Sequence[_SentLeg], before: Sequence[LegCase]) -> list[LegCase]:
    """Return the cases of the legs that were paid for an order, as they should stand."""
    known = [each for each in before if each.leg in {leg.id for leg in legs}]
    if not legs:
        return known
    dossier = _dossier(case, paid.approved_rewards)
    order = order_named(dossier.seen, paid.order)
    paid_for = conversion_of(dossier, paid.order)
    its_disputes = disputes(order.told if order else ()) if paid_for is None else paid_for.disputes
    causes = causes_of(paid.news, its_disputes, order=order, referrer=paid.referrer, paid_for=paid_for)
    if not (causes or its_disputes or any(each.state in UNDECIDED for each in known)):
        return known
    so_far = happened(order, causes, its_disputes, earned(dossier, paid_for), paid_for=paid_for)
    after: list[LegCase] = []
    for leg in legs:
        after += cases_of(leg.paid(), [each for each in known if each.leg == leg.id], so_far)
    return after


async def _save(connection: AsyncConnection, case: Case, before: Sequence[LegCase], after: Sequence[LegCase]) -> None:
    known = {each.id: each for each in before}
    for each in after:
        if each == known.get(each.id):
            continue
        asked = {
            "id": each.id,
            "leg": each.leg,
            "fact": each.cause,
            "referral": case.row.id,
            "at": case.now,
            "why": each.why,
            "proposed_minor": each.proposed_minor,
            "state": each.state,
            "settled_at": None if each.state in UNDECIDED else case.now,
        }
        await connection.execute(_SAVE, asked)
        if each.id not in known and each.state in UNDECIDED:
            occasion = f"case:{each.id}"
            await outgoing_events.announce(
                connection, "clawback.opened", referral=case.row.id, occasion=occasion, at=case.now
            )


async def _name_exchange(connection: AsyncConnection, case: Case) -> None:
    """Let the undecided cases say which conversion would qualify in place of the one that was paid for."""
    other = other_conversion(case)
    named = {
        "referral": case.row.id,
        "order": other.name.id if other else None,
        "store": other.name.store if other else None,
        "minor": other.net_minor if other else None,
        "currency": other.currency if other else None,
    }
    await connection.execute(_EXCHANGE, named)


def _dossier(case: Case, approved_rewards: int) -> Dossier:
    """Build the dossier to recalculate the reward for what is left of the order, with the paid claim's counts."""
    return Dossier(
        referral=case.row.id,
        version=case.version,
        terms=case.terms,
        origin=case.origin,
        course=case.course,
        facts=case.facts,
        now=case.now,
        approved_rewards=approved_rewards,
    )


# Each case with the amount recovered or being recovered for it; amounts that could not be recovered do not count. The
# legs are those that were sent, or that have a case, former ones too.
_LOAD: Final = statement(
    """
WITH its AS (
    SELECT c.id, c.leg_id AS leg, c.fact_id AS cause, c.state, c.why, c.proposed_minor, c.opened_at,
           coalesce((SELECT sum(taken_by(b)) FROM clawback b WHERE b.case_id = c.id), 0) - coalesce(
               (SELECT sum(p.amount_minor) FROM payout p
                WHERE p.returns = c.id AND p.state = :settled AND NOT p.dropped), 0) AS taken_minor
    FROM clawback_case c WHERE c.referral_id = :referral
), sent AS (
    SELECT l.id, l.role, l.amount_minor, l.currency, l.rail, l.state, l.former, l.order_key, l.stores,
           l.referrer,
           r.facts_version AS claim_version, r.approved_rewards, p.state AS payout_state, p.first_sent_at
    FROM leg l LEFT JOIN reward_claim r ON r.id = l.claim_id
    LEFT JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live LEFT JOIN payout p ON p.id = pl.payout_id
    WHERE l.referral_id = :referral
      AND (l.state <> :cancelled AND p.first_sent_at IS NOT NULL OR l.id IN (SELECT leg FROM its))
)
SELECT (SELECT coalesce(jsonb_agg(to_jsonb(its) - 'opened_at' ORDER BY opened_at, id), '[]') FROM its) AS cases,
       (SELECT coalesce(jsonb_agg(to_jsonb(sent) ORDER BY former, role, id), '[]') FROM sent) AS legs
""",
    cancelled=LegState.CANCELLED,
    settled=PayoutState.SETTLED,
)

#: The orders that were paid for before the referral was reopened for another, if a reward for them stands or has a case
#: that waits.
FORMER: Final = spelled(
    """(
    SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(l.order_key, l.stores[1])), '[]') FROM leg l
    WHERE l.referral_id = :referral AND l.former AND (NOT l.state IN :freed OR EXISTS (
        SELECT 1 FROM clawback_case c WHERE c.leg_id = l.id AND c.state IN :undecided
    ))
)""",
    freed=FREED,
    undecided=UNDECIDED,
)

_EXCHANGE: Final = statement(
    """
UPDATE clawback_case SET exchange_order = :order, exchange_store = :store, exchange_minor = CAST(:minor AS bigint),
       exchange_currency = :currency
WHERE referral_id = :referral AND state = ANY(:undecided)
  AND (exchange_order, exchange_store, exchange_minor)
      IS DISTINCT FROM (CAST(:order AS text), CAST(:store AS text), CAST(:minor AS bigint))
""",
    undecided=UNDECIDED,
)

_SAVE: Final = text("""
INSERT INTO clawback_case (leg_id, fact_id, id, referral_id, opened_at, why, proposed_minor, state, settled_at)
VALUES (:leg, :fact, :id, :referral, :at, :why, :proposed_minor, :state, :settled_at)
ON CONFLICT (leg_id, fact_id) DO UPDATE
SET why = excluded.why, proposed_minor = excluded.proposed_minor, state = excluded.state,
    settled_at = CASE WHEN clawback_case.state = excluded.state THEN clawback_case.settled_at
                      ELSE excluded.settled_at END
""")
