"""Rewards: who gets how much, line by line (SPEC §5 Amounts).

A leg's amount is always the sum of its calculation lines: each rule and each limit is one line, and a limit's line is
negative. A leg whose total is zero is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from referral_rewards.domain import money
from referral_rewards.domain.claims.adjustments import in_force
from referral_rewards.domain.claims.calculation import SEVERITY, CalculationLine, Room, Sheet
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import InputMissing
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payees import methods
from referral_rewards.domain.payees.methods import destination
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.domain.programs.terms import Partner, RewardKind, RewardRule, Tier
from referral_rewards.domain.referrals.lifecycle import Side

__all__ = [
    "CalculationLine",
    "Leg",
    "Promise",
    "Reckoning",
    "Room",
    "Side",
    "approved_destinations",
    "beneficiary",
    "destination",
    "partner_rate",
    "payment_method",
    "promised",
    "reckon",
    "same_currency",
]


class Leg(BaseModel):
    """One reward to one beneficiary. ``destination`` is the provider's reference, never personal data."""

    model_config = ConfigDict(frozen=True)

    role: Side
    beneficiary: str | None
    kind: RewardKind
    amount_minor: PositiveInt
    currency: str
    rail: str
    destination: str | None = None


class Promise(BaseModel):
    """A leg that the terms promise: what was calculated for it, and the most to which a person may set it.

    ``most_minor`` is what its own caps, the referrer's cap and the program's budget leave; None if nothing limits it.
    """

    model_config = ConfigDict(frozen=True)

    role: Side
    kind: RewardKind
    rail: str
    calculated_minor: NonNegativeInt
    most_minor: NonNegativeInt | None


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The legs, their calculation, the effect of the limits, and what the terms promise."""

    legs: tuple[Leg, ...] = ()
    lines: tuple[CalculationLine, ...] = ()
    partner: str | None = None
    cap: Room = Room.ALL
    budget: Room = Room.ALL
    promises: tuple[Promise, ...] = ()

    @property
    def raised(self) -> bool:
        """Whether a leg is more than what was calculated for it."""
        calculated = {each.role: each.calculated_minor for each in self.promises}
        return any(leg.amount_minor > calculated[leg.role] for leg in self.legs)


def reckon(dossier: Dossier) -> Reckoning:
    """Calculate the legs of a dossier, and put the amounts in force that people set in place of those calculated.

    If the conversion is not in the program's currency, flat amounts stay and percentages are left out.

    Raises:
        InputMissing: if the use of the limits so far is unknown: an amount would be a guess.
    """
    partner = partner_rate(dossier)
    sheets = [sheet for sheet in _promised(dossier, partner) if sheet.role not in dossier.standing]
    cap, budget = _limited(dossier, sheets)
    calculated = {sheet.role: sheet.amount_minor for sheet in sheets}
    if adjusted := in_force(dossier.adjustments):
        for sheet in sheets:
            if sheet.role in adjusted:
                sheet.set_to(adjusted[sheet.role])
        again = _limited(dossier, sheets)
        cap, budget = max(cap, again[0], key=SEVERITY.index), max(budget, again[1], key=SEVERITY.index)
    legs = tuple(_leg(dossier, sheet) for sheet in sheets if sheet.amount_minor)
    lines = tuple(line for sheet in sheets for line in sheet.lines)
    promises = tuple(_promise(dossier, sheet, sheets, calculated[sheet.role]) for sheet in sheets)
    return Reckoning(legs, lines, partner.partner if partner else None, cap, budget, promises)


def _promise(dossier: Dossier, sheet: Sheet, sheets: list[Sheet], calculated_minor: int) -> Promise:
    others = sum(each.amount_minor for each in sheets if each is not sheet)
    limits = [*(limit for limit, _ in sheet.own_limits), *_left(dossier, sheet.role, others)]
    return Promise(
        role=sheet.role,
        kind=sheet.kind,
        rail=sheet.rail,
        calculated_minor=calculated_minor,
        most_minor=max(min(limits), 0) if limits else None,
    )


def _left(dossier: Dossier, role: Side, others_minor: int) -> Iterator[int]:
    """Yield what each limit that is shared with others leaves to a leg, if the claim's other legs stay as they are."""
    limits, usage, terms = dossier.terms.limits, dossier.usage, dossier.terms
    if usage is None:
        return
    if role is Side.REFERRER and (own := limits.per_referrer) is not None:
        if own.rewards is not None:
            yield from [] if usage.rewards < own.rewards else [0]
        elif own.amount is not None:
            yield terms.minor(own.amount) - usage.amount_minor
    if limits.budget is not None:
        yield terms.minor(limits.budget) - usage.budget_minor - others_minor


def promised(dossier: Dossier) -> dict[Side, int]:
    """Return what the terms promise each side for the dossier's conversion, before any limit shared with others."""
    return {sheet.role: sheet.amount_minor for sheet in _promised(dossier, partner_rate(dossier))}


def same_currency(dossier: Dossier) -> bool:
    """Whether the conversion is in the program's currency; one without an amount has none and fits every program."""
    q = dossier.conversion
    return q is None or q.currency is None or q.currency == dossier.terms.currency


def partner_rate(dossier: Dossier) -> Partner | None:
    """Return the partner's rate valid on the conversion's day in the program's zone; the end date is exclusive."""
    q = dossier.conversion
    if q is None:
        return None
    enrolments = dossier.of_referrer(FactType.REFERRER_ENROLLED)
    named = [fact.data.get("partner") for fact in enrolments if fact.occurred_at <= q.occurred_at]
    day = q.occurred_at.astimezone(dossier.terms.zone).date()
    for rate in dossier.terms.partners:
        if named and rate.partner == named[-1] and _valid(rate, day):
            return rate
    return None


def beneficiary(dossier: Dossier, role: Side) -> str | None:
    """Return the referrer's id, or the referee's customer id from the earliest claim, else invitation, else order."""
    if role is Side.REFERRER:
        return dossier.referrer
    said = [*dossier.of(FactType.REFERRAL_CLAIMED), *dossier.of(FactType.REFERRAL_SENT, FactType.REWARD_REQUESTED)]
    people = [fact.data.get("referee") for fact in said]
    if dossier.conversion is not None:
        people.append(dossier.conversion.record.data.get("customer"))
    return next((customer for person in people if person and (customer := person.get("customer"))), None)


def payment_method(dossier: Dossier, payee: str | None, rail: str) -> Fact | None:
    """Return the method that the payee last set for the rail, or None if there is none or it was removed since."""
    return methods.of(payee, dossier.seen).on(rail, dossier.now)


def _valid(rate: Partner, day: date) -> bool:
    return rate.valid_from <= day and (rate.valid_until is None or day < rate.valid_until)


def _promised(dossier: Dossier, partner: Partner | None) -> list[Sheet]:
    """Return what the terms promise each side, before any limit shared with others."""
    terms, sheets = dossier.terms, []
    for role, rule in ((Side.REFERRER, terms.rewards.referrer), (Side.REFEREE, terms.rewards.referee)):
        if rule is None:
            continue
        sheet = Sheet(role, rule.kind, terms.currency, terms.payouts.rails[rule.kind])
        if partner is not None and role is Side.REFERRER:
            _price(dossier, sheet, partner, f"partner {partner.partner}: ")
        else:
            by_amount = any(tier.from_amount is not None for tier in rule.tiers or ())
            _price(dossier, sheet, _tier(dossier, rule) or rule, "", by_amount=by_amount)
        if terms.limits.per_reward is not None:
            sheet.cap(terms.minor(terms.limits.per_reward), "maximum per reward")
        sheets.append(sheet)
    return sheets


def _price(
    dossier: Dossier, sheet: Sheet, rule: RewardRule | Tier | Partner, prefix: str, *, by_amount: bool = False
) -> None:
    """Put a rule's amount into the sheet; ``by_amount``: the order's amount chose the rule among several."""
    terms, q = dossier.terms, dossier.conversion
    if not same_currency(dossier) and (rule.percent is not None or by_amount):
        sheet.add(f"{prefix}left out, because the order is in {q.currency if q else 'another currency'}", 0)
    elif rule.percent is not None:
        net_minor = q.net_minor if q is not None else None
        share = money.percent_of(net_minor or 0, rule.percent)
        sheet.add(f"{prefix}{rule.percent} % of {money.display(net_minor, terms.currency)}{_reached(rule)}", share)
    else:
        sheet.add(f"{prefix}flat amount{_reached(rule)}", terms.minor(rule.amount or Decimal(0)))
    if rule.cap is not None:
        sheet.cap(terms.minor(rule.cap), f"{prefix}maximum")


def _reached(rule: RewardRule | Tier | Partner) -> str:
    """Return the start of a tier, for people."""
    if isinstance(rule, Tier) and rule.from_rewarded is not None:
        return f", from the {_ordinal(rule.from_rewarded + 1)} reward"
    return f", for amounts from {rule.from_amount}" if isinstance(rule, Tier) else ""


def _ordinal(number: int) -> str:
    """``first``, ``2nd``, ``11th``."""
    if number == 1:
        return "first"
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _tier(dossier: Dossier, rule: RewardRule) -> Tier | None:
    """Return the highest tier reached: by the referrer's approved rewards so far, or by the net amount."""
    q = dossier.conversion
    net_minor = (q.net_minor if q is not None else None) or 0
    reached = [
        tier
        for tier in rule.tiers or ()
        if (
            dossier.approved_rewards >= tier.from_rewarded
            if tier.from_rewarded is not None
            else net_minor >= dossier.terms.minor(tier.from_amount or Decimal(0))
        )
    ]
    return reached[-1] if reached else None


def _limited(dossier: Dossier, sheets: list[Sheet]) -> tuple[Room, Room]:
    """Cut the sheets to the referrer's cap, then to the program's budget (the referrer's leg first)."""
    limits, usage, terms = dossier.terms.limits, dossier.usage, dossier.terms
    cap = budget = Room.ALL
    total_minor = dossier.budget_minor
    if usage is None and (limits.per_referrer is not None or total_minor is not None):
        raise InputMissing("The use of the limits so far could not be read.")
    if usage is None:
        return cap, budget
    if (own := limits.per_referrer) is not None:
        for sheet in (s for s in sheets if s.role is Side.REFERRER and s.amount_minor):
            if own.rewards is not None and usage.rewards >= own.rewards:
                cap = sheet.limit(0, f"referrer's cap of {own.rewards} rewards per {own.period.in_words}, remaining")
            elif own.amount is not None:
                cap = sheet.limit(
                    terms.minor(own.amount) - usage.amount_minor, f"referrer's cap per {own.period.in_words}, remaining"
                )
    if cap is Room.NONE and any(sheet.amount_minor for sheet in sheets):
        cap = Room.PART  # The other side's leg remains.
    if total_minor is not None:
        left = max(total_minor - usage.budget_minor, usage.reserved_minor, 0)
        cut = sum(sheet.amount_minor for sheet in sheets) > left
        for sheet in sheets:
            sheet.limit(left, "program budget, remaining")
            left -= sheet.amount_minor
        if cut:
            budget = Room.PART if any(sheet.amount_minor for sheet in sheets) else Room.NONE
    return cap, budget


def _leg(dossier: Dossier, sheet: Sheet) -> Leg:
    payee, rail = beneficiary(dossier, sheet.role), dossier.terms.payouts.rails[sheet.kind]
    return Leg(
        role=sheet.role,
        beneficiary=payee,
        kind=sheet.kind,
        amount_minor=sheet.amount_minor,
        currency=sheet.currency,
        rail=rail,
        destination=_destination(dossier, sheet.role, payee, rail),
    )


def _destination(dossier: Dossier, role: Side, payee: str | None, rail: str) -> str | None:
    """Return the destination that the approval signed, if the claim is approved; else the payee's present one."""
    approved = dossier.approved_destinations or {}
    if (role, payee, rail) in approved:
        return approved[role, payee, rail]
    method = payment_method(dossier, payee, rail) if rail_catalogue.takes_reference(rail) else None
    return destination(method) if method is not None else None


def approved_destinations(legs: Sequence[Leg]) -> Mapping[tuple[str, str | None, str], str | None]:
    """Return the destinations of an approved claim's legs, for `Dossier.approved_destinations`."""
    return {(leg.role, leg.beneficiary, leg.rail): leg.destination for leg in legs}
