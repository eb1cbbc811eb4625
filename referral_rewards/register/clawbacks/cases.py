"""Open and update clawback cases: each is caused by a fact after a payment and proposes an amount to a person.

Cases follow from the facts each time the referral is judged, so the order of arrival does not matter. A case with
nothing to recover is dismissed automatically; that moves no money.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.clawbacks.proposals import due_back, earned, proposal
from referral_rewards.domain.clawbacks.states import GIVEN_UP, UNDECIDED, CaseState, case_id
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, step_minor
from referral_rewards.domain.payouts.states import AT_REST, WAS_PAID, LegState, PayoutState
from referral_rewards.domain.referrals.disputes import Dispute, DisputeState, disputes
from referral_rewards.register import outgoing_events
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals.cases import Case

_NOTHING: Final = "by the rules it takes nothing more of this reward"


@dataclass(frozen=True, slots=True)
class _Ground:
    """The reason for a case: the fact, its explanation, and whether the ``whole`` leg is proposed."""

    fact: UUID
    why: str
    whole: bool = False
    frozen: bool = False


async def keep(connection: AsyncConnection, case: Case, news: Sequence[Fact]) -> None:
    """Open the cases that new facts cause, and update existing cases by the state of their disputes.

    The caller holds the referral's row.
    """
    row = case.row
    its_disputes = disputes((fact for fact in case.facts if fact.occurred_at <= case.now), row.order_id)
    grounds = [ground for fact in news if (ground := _ground(fact, row, its_disputes)) is not None]
    # An earlier dispute that is reported late can change which dispute a closing ended.
    running = (each.opened for each in its_disputes if each.state is DisputeState.OPEN and each.opened not in news)
    grounds += [ground for fact in running if (ground := _ground(fact, row, its_disputes)) is not None]
    if grounds:
        legs = [leg for leg in (await connection.execute(_SENT_LEGS, {"referral": row.id})).all() if _may_be_paid(leg)]
        dossier = await _dossier(connection, case)
        for leg in legs:
            for ground in grounds:
                if not ground.whole or leg.role == Side.REFERRER:
                    await _open(connection, case, dossier, leg, ground, its_disputes)
    await _move_on(connection, case, its_disputes)


def _ground(fact: Fact, row: Any, its_disputes: Sequence[Dispute]) -> _Ground | None:
    """Return the reason for a case if the fact is one; else None."""
    if fact.type is FactType.ATTRIBUTION_CHANGED and fact.data["to_referrer"] != row.referrer:
        return _Ground(fact.id, f"the reward was asked to be moved to {fact.data['to_referrer']}", whole=True)
    if fact.order is None or fact.order != row.order_id:
        return None
    if fact.type is FactType.CONVERSION_REVERSED:
        return _Ground(fact.id, f"the conversion of order {fact.order} was reversed")
    if fact.type is not FactType.DISPUTE_OPENED:
        return None
    its = next(each for each in its_disputes if each.opened.id == fact.id)
    # A dispute that is over has a case through its reversal, or needs none.
    over = its.state in (DisputeState.WON, DisputeState.REVERSED)
    return None if over else _Ground(fact.id, f"a dispute of order {fact.order} was opened", frozen=True)


async def _open(
    connection: AsyncConnection,
    case: Case,
    dossier: Dossier,
    leg: Any,
    ground: _Ground,
    its_disputes: Sequence[Dispute],
) -> None:
    others = (await connection.execute(_OF_LEG, {"leg": leg.id})).all()
    lost = next((each for each in its_disputes if each.reversal and each.reversal.id == ground.fact), None)
    if lost is not None and any(other.fact_id == lost.opened.id for other in others):
        return  # The dispute's own case covers it.
    proposed_minor = None if ground.frozen else _proposed(case, dossier, leg, others, whole=ground.whole)
    state, why = CaseState.FROZEN if ground.frozen else CaseState.OPEN, ground.why
    if proposed_minor == 0:
        state, why = CaseState.DISMISSED, f"{why}: {_NOTHING}"
    asked = {
        "id": case_id(leg.id, ground.fact),
        "leg": leg.id,
        "fact": ground.fact,
        "referral": case.row.id,
        "at": case.now,
        "why": why,
        "proposed_minor": proposed_minor,
        "state": state,
        "settled_at": case.now if state is CaseState.DISMISSED else None,
    }
    opened = (await connection.execute(_INSERT, asked)).scalar_one_or_none()
    if opened is not None and state is not CaseState.DISMISSED:
        occasion = f"case:{opened}"
        await outgoing_events.announce(
            connection, "clawback.opened", referral=case.row.id, occasion=occasion, at=case.now
        )


async def _move_on(connection: AsyncConnection, case: Case, its_disputes: Sequence[Dispute]) -> None:
    """Reopen cases whose dispute ended, and dismiss cases of legs that were never paid or whose payment came back."""
    waiting = (await connection.execute(_WAITING, {"referral": case.row.id})).all()
    dossier = None
    for row in waiting:
        leg = (await connection.execute(_LEG, {"leg": row.leg_id})).one()
        if not _may_be_paid(leg):
            await _dismiss(connection, case, row, "nothing of it is paid")
            continue
        dispute = next((each for each in its_disputes if each.opened.id == row.fact_id), None)
        if row.state != CaseState.FROZEN or dispute is None:
            continue
        if dispute.state is DisputeState.WON:
            await _dismiss(connection, case, row, "the dispute was won")
        elif dispute.state is DisputeState.REVERSED:
            dossier = dossier or await _dossier(connection, case)
            others = (await connection.execute(_OF_LEG, {"leg": row.leg_id})).all()
            rest = [other for other in others if other.id != row.id]
            proposed_minor = _proposed(case, dossier, leg, rest, whole=False)
            why = f"{row.why}, which was lost"
            if proposed_minor == 0:
                await _dismiss(connection, case, row, "it was lost, but nothing more is to be had back")
            else:
                await connection.execute(_THAW, {"id": row.id, "why": why, "proposed_minor": proposed_minor})


def _proposed(case: Case, dossier: Dossier, leg: Any, others: Sequence[Any], *, whole: bool) -> int | None:
    if whole:
        due_minor: int | None = leg.amount_minor
    else:
        left = earned(dossier, case.row.order_id)
        due_minor = None if left is None else due_back(left.get(Side(leg.role), 0), leg.amount_minor)
    return proposal(
        due_minor,
        paid_minor=leg.amount_minor,
        taken_minor=sum(other.taken_minor for other in others),
        covered_minor=sum(max(other.proposed_minor or 0, other.taken_minor) for other in others),
        open_minor=sum(
            max((other.proposed_minor or 0) - other.taken_minor, 0) for other in others if other.state == CaseState.OPEN
        ),
        step_minor=step_minor(leg.rail, leg.currency) if leg.rail in CATALOGUE else 1,
    )


async def _dismiss(connection: AsyncConnection, case: Case, row: Any, why: str) -> None:
    asked = {"id": row.id, "why": f"{row.why}: {why}", "at": case.now}
    await connection.execute(_DISMISS, asked)


async def _dossier(connection: AsyncConnection, case: Case) -> Dossier:
    """Build the dossier to recalculate the reward for what is left of the order, with the paid claim's counts."""
    _, as_stored = await claims.current(connection, case.row.claim_id)
    return Dossier(
        referral=case.row.id,
        version=case.version,
        terms=case.terms,
        origin=case.origin,
        course=case.course,
        facts=case.facts,
        now=case.now,
        approved_rewards=as_stored.approved_rewards,
    )


def _may_be_paid(leg: Any) -> bool:
    """Return whether the leg is paid, or the outcome of its payment is unknown."""
    if leg.state in WAS_PAID:
        return True
    state = PayoutState(leg.payout_state) if leg.payout_state else PayoutState.CANCELLED
    return leg.first_sent_at is not None and (state not in AT_REST or state is PayoutState.MANUAL_REVIEW)


_LEG_COLUMNS: Final = """
SELECT l.*, p.state AS payout_state, p.first_sent_at
FROM leg l LEFT JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live LEFT JOIN payout p ON p.id = pl.payout_id
"""

_SENT_LEGS: Final = statement(
    _LEG_COLUMNS
    + "WHERE l.referral_id = :referral AND l.state <> :cancelled AND p.first_sent_at IS NOT NULL ORDER BY l.role",
    cancelled=LegState.CANCELLED,
)

_LEG: Final = text(_LEG_COLUMNS + "WHERE l.id = :leg")

# Each case with the amount recovered or being recovered for it; amounts that could not be recovered do not count.
_OF_LEG: Final = statement(
    """
SELECT c.*, CAST(coalesce((
    SELECT sum(CASE WHEN b.state = ANY(:given_up) THEN b.recovered_minor ELSE b.amount_minor END)
    FROM clawback b WHERE b.case_id = c.id
), 0) AS bigint) AS taken_minor
FROM clawback_case c WHERE c.leg_id = :leg ORDER BY c.opened_at, c.id
""",
    given_up=GIVEN_UP,
)

_WAITING: Final = statement(
    """
SELECT * FROM clawback_case WHERE referral_id = :referral AND state = ANY(:undecided) ORDER BY opened_at, id
""",
    undecided=UNDECIDED,
)

_INSERT: Final = text("""
INSERT INTO clawback_case (leg_id, fact_id, id, referral_id, opened_at, why, proposed_minor, state, settled_at)
VALUES (:leg, :fact, :id, :referral, :at, :why, :proposed_minor, :state, :settled_at)
ON CONFLICT DO NOTHING RETURNING id
""")

_THAW: Final = statement(
    """
UPDATE clawback_case SET state = :open, why = :why, proposed_minor = :proposed_minor
WHERE id = :id AND state = :frozen
""",
    open=CaseState.OPEN,
    frozen=CaseState.FROZEN,
)

_DISMISS: Final = statement(
    """
UPDATE clawback_case SET state = :dismissed, why = :why, settled_at = :at
WHERE id = :id AND state = ANY(:undecided)
""",
    dismissed=CaseState.DISMISSED,
    undecided=UNDECIDED,
)
