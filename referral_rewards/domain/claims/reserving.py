"""What an approval reserves: a leg for each reward of the claim, and a payout for each leg that is due.

A leg whose payee must file a tax form or name a method first waits (SPEC §7). If the program pays in cycles, they plan
the payouts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid5

from referral_rewards.domain.books.deductions import Gross, Lowered, OpenOffset, Part, by_regime, each_lowered
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import TaxPosition
from referral_rewards.domain.claims.rewards import Leg
from referral_rewards.domain.payees import methods, tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import TaxForm
from referral_rewards.domain.payouts.destinations import NOWHERE, Redirected, Whereabouts
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.payouts.states import LegState, PaymentRequest, payout_id
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.lifecycle import PAID, ReferralStatus

#: By payee and currency, oldest first.
Offsets = Mapping[tuple[str, str], tuple[OpenOffset, ...]]


@dataclass(frozen=True, slots=True)
class Occasion:
    """Which approval reserves: of which claim of a referral, in which of its rounds, under which terms, and when."""

    referral: str
    claim_id: UUID
    round: int
    terms: Terms
    now: datetime


@dataclass(frozen=True, slots=True)
class Ground:
    """What a reservation depends on, read under the locks of the program, the order and the payees.

    ``legs_ever`` counts the referral's legs, cancelled ones too. ``is_rewarded`` says that a leg of the same order
    stands already. ``tax`` are the payees' positions without this referral; one that is missing could not be read.
    ``whereabouts`` say of each payee where they may be paid.
    """

    legs_ever: int
    is_rewarded: bool
    tax: Mapping[str, TaxPosition]
    forms: Mapping[str, Sequence[TaxForm]]
    offsets: Offsets
    whereabouts: Mapping[str, Whereabouts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewLeg:
    """A leg to reserve, in the state in which it begins."""

    id: UUID
    role: str
    beneficiary: str
    kind: str
    amount_minor: int
    currency: str
    rail: str
    destination: str | None
    state: LegState
    bound_to: str | None = None


@dataclass(frozen=True, slots=True)
class NewPayout:
    """A payout to plan for one leg: its frozen request, and what lowers its amount."""

    leg: NewLeg
    request: PaymentRequest
    lowered_by: Lowered


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an approval changes. ``again_at`` is when a leg that waits for a form may be released without new facts."""

    legs: tuple[NewLeg, ...]
    payouts: tuple[NewPayout, ...]
    again_at: datetime | None


def reserved(claim: RewardClaim, occasion: Occasion, ground: Ground) -> Reservation:
    """Return what the approval of a claim reserves. Each leg of the claim has a beneficiary."""
    legs = tuple(_leg(leg, occasion, ground) for leg in sorted(claim.legs, key=lambda leg: str(leg.role)))
    if not pays_at_once(occasion.terms):
        return Reservation(legs, (), None)
    legs = _with_tax_holds(legs, occasion, ground)
    due = [leg for leg in legs if leg.state is LegState.RESERVED]
    held = {leg.beneficiary for leg in legs if leg.state is LegState.TAX_HOLD}
    return Reservation(legs, _payouts(due, claim.program, occasion, ground), _again_at(held, occasion, ground))


def pays_at_once(terms: Terms) -> bool:
    """Return whether the program pays each leg by itself, as soon as it is due; else its cycles pay."""
    return terms.payouts.timing == "immediate"


def is_committed(status: ReferralStatus | None, legs: Sequence[ReservedLeg]) -> bool:
    """Return whether a payment of these legs counts as committed. What was paid counts where no leg is left."""
    return any(leg.counts for leg in legs) or (status in PAID and not legs)


def whereabouts_of(case: Case, payees_: Iterable[str], redirects: Sequence[Redirected]) -> Mapping[str, Whereabouts]:
    """Return where payees may be paid by the referral's facts, its terms and the ``redirects`` in force."""
    pays_first = case.terms.payouts.first_method == "pay"
    return {
        payee: Whereabouts(methods.of(payee, case.facts), [r for r in redirects if r.payee == payee], pays_first)
        for payee in payees_
    }


def _leg(leg: Leg, occasion: Occasion, ground: Ground) -> NewLeg:
    assert leg.beneficiary is not None
    # If a claim is approved, cancelled and approved again, each approval has its own leg in the books.
    name = uuid5(occasion.claim_id, f"{leg.role}/{ground.legs_ever}")
    its = ground.whereabouts.get(leg.beneficiary, NOWHERE)
    bound, waits = its.settled(name, leg.rail, leg.destination, occasion.now)
    return NewLeg(
        id=name,
        role=leg.role,
        beneficiary=leg.beneficiary,
        kind=leg.kind,
        amount_minor=leg.amount_minor,
        currency=leg.currency,
        rail=leg.rail,
        destination=leg.destination,
        state=LegState.WAITING_METHOD if waits else LegState.RESERVED,
        bound_to=None if waits or bound == leg.destination else bound,
    )


def _with_tax_holds(legs: Sequence[NewLeg], occasion: Occasion, ground: Ground) -> tuple[NewLeg, ...]:
    """Return the legs, each that must wait for a form on hold. A leg that may be paid counts for the next."""
    added: Counter[str] = Counter()
    decided = []
    for leg in legs:
        if leg.state is LegState.WAITING_METHOD or _may_be_paid(leg, added[leg.beneficiary], occasion, ground):
            added[leg.beneficiary] += leg.amount_minor if leg.state is LegState.RESERVED else 0
            decided.append(leg)
        else:
            decided.append(replace(leg, state=LegState.TAX_HOLD))
    return tuple(decided)


def _may_be_paid(leg: NewLeg, added_minor: int, occasion: Occasion, ground: Ground) -> bool:
    position, terms = ground.tax.get(leg.beneficiary), occasion.terms
    return tax_thresholds.may_be_paid(
        terms.tax.regime,
        leg.currency,
        tax_thresholds.year_of(occasion.now, terms.zone),
        form_on_file=position is not None and position.form_on_file,
        before_minor=None if position is None else position.year_total_minor + added_minor,
        amount_minor=leg.amount_minor,
    )


def _payouts(legs: Sequence[NewLeg], program: str, occasion: Occasion, ground: Ground) -> tuple[NewPayout, ...]:
    """Return a payout for each of these legs. What one takes of an offset is not there for the payee's next."""
    names = {leg.role: payout_id(occasion.referral, leg.role, occasion.round) for leg in legs}
    lowered = each_lowered((_gross(leg, names[leg.role], occasion, ground) for leg in legs), ground.offsets)
    return tuple(
        NewPayout(leg, _request(leg, names[leg.role], its.left_minor, program, occasion), its)
        for leg in legs
        for its in (lowered[names[leg.role]],)
    )


def _gross(leg: NewLeg, payout: UUID, occasion: Occasion, ground: Ground) -> Gross:
    part = Part(occasion.terms, leg.amount_minor)
    owed = by_regime([part], ground.forms.get(leg.beneficiary, ()), occasion.now)
    return Gross(payout, leg.beneficiary, leg.rail, leg.currency, tuple(owed))


def _request(leg: NewLeg, payout: UUID, amount_minor: int, program: str, occasion: Occasion) -> PaymentRequest:
    return PaymentRequest(
        payout_id=payout,
        payee=leg.beneficiary,
        amount_minor=amount_minor,
        currency=leg.currency,
        destination=leg.destination if leg.bound_to is None else leg.bound_to,
        program=program,
        referral=occasion.referral,
    )


def _again_at(held: set[str], occasion: Occasion, ground: Ground) -> datetime | None:
    filed = [form for payee in sorted(held) for form in ground.forms.get(payee, ())]
    return tax_forms.released_at(filed, occasion.now, occasion.terms.zone) if held else None
