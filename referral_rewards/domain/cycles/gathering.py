"""How a batch of payees is gathered: which due legs are paid, and the totals of those that are carried forward."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain.cycles.grouping import (
    Carried,
    CarriedFor,
    DueLeg,
    Grouping,
    Minimum,
    PlannedPayout,
    cycle_payout_id,
    cycle_request,
    grouped,
)
from referral_rewards.domain.payouts.payout import Leg
from referral_rewards.domain.payouts.states import LegState, PaymentRequest

#: A batch has at most so many legs, unless its first payee alone has more.
LEGS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Waiting:
    """A payee, and how many legs are due to them."""

    beneficiary: str
    legs: int


def next_payees(waiting: Iterable[Waiting]) -> list[str]:
    """Return the payees of the next batch: until their legs reach the limit, and at least one payee."""
    payees, legs = [], 0
    for each in waiting:
        payees.append(each.beneficiary)
        legs += each.legs
        if legs >= LEGS_AT_ONCE:
            break
    return payees


def due_leg(leg: Leg) -> DueLeg:
    """Return a leg as one that is due."""
    return DueLeg(
        id=leg.id,
        payee=leg.beneficiary,
        rail=leg.rail,
        currency=leg.currency,
        destination=leg.pays_to,
        amount_minor=leg.amount_minor,
        approved_at=leg.approved_at,
    )


def gathered(
    legs: Sequence[Leg], held: Collection[UUID], minimum: Minimum | None, exempt: frozenset[str] = frozenset()
) -> Grouping:
    """Group due legs like `grouped`; those in ``held`` wait for a tax form and are carried forward, and so are those
    that wait for a payment method."""
    waits = {leg.id: CarriedFor.TAX_HOLD for leg in legs if leg.id in held}
    waits |= {leg.id: CarriedFor.WAITING_METHOD for leg in legs if leg.state == LegState.WAITING_METHOD}
    made = grouped((due_leg(leg) for leg in legs if leg.id not in waits), minimum, exempt=exempt)
    waiting = tuple(Carried(due_leg(leg), waits[leg.id]) for leg in legs if leg.id in waits)
    return Grouping(made.payouts, (*made.carried, *waiting))


def carried_totals(carried: Iterable[Carried], before: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Return the totals carried forward by reason and currency, in the form of a cycle's summary.

    ``before`` are such totals of earlier batches, which are added.
    """
    total = {(each["why"], each["currency"]): (each["legs"], each["amount_minor"]) for each in before}
    for each in carried:
        legs, amount_minor = total.get((each.why, each.leg.currency), (0, 0))
        total[each.why, each.leg.currency] = (legs + 1, amount_minor + each.leg.amount_minor)
    return [
        {"why": why, "currency": currency, "legs": legs, "amount_minor": amount_minor}
        for (why, currency), (legs, amount_minor) in sorted(total.items())
    ]


def payout_of(cycle: UUID, planned: PlannedPayout) -> UUID:
    """Return the id of the payout that a cycle makes of a plan."""
    return cycle_payout_id(cycle, planned.payee, planned.rail, planned.currency)


def request_of(payout: UUID, planned: PlannedPayout, amount_minor: int, program: str) -> PaymentRequest:
    """Return the request to the rail for a planned payout, of which ``amount_minor`` is left to send."""
    return cycle_request(payout, planned.payee, amount_minor, planned.currency, planned.destination, program)
