"""What a payout is lowered by: tax is withheld from the total of its legs first, offsets take from the rest."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from referral_rewards.domain.books.ledger import Deduction, DeductionKind
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import TaxForm
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.domain.programs.terms import Terms


class Part(NamedTuple):
    """A leg as the tax rules see it: the frozen terms of its referral, and its amount in minor units."""

    terms: Terms
    amount_minor: int


class Withheld(NamedTuple):
    """The gross total of the legs under one tax regime, in minor units, and the percentage withheld from it."""

    regime: str
    gross_minor: int
    percent: Decimal


class OpenOffset(NamedTuple):
    """An offset for what a payee owes, and what is open of it in minor units: neither recovered nor kept from a payout
    under way."""

    id: UUID
    open_minor: int


class Gross(NamedTuple):
    """A payout before its deductions: the totals of its legs by tax regime."""

    id: UUID
    payee: str
    rail: str
    currency: str
    owed: tuple[Withheld, ...]


class Lowered(NamedTuple):
    """What is left of a payout to send, in minor units, zero or more, and the deductions that lower it to that."""

    left_minor: int
    deductions: tuple[Deduction, ...]


def by_regime(parts: Iterable[Part], forms: Sequence[TaxForm], at: datetime) -> list[Withheld]:
    """Return the totals of one payee's legs by tax regime, with the percentage that their forms require at ``at``."""
    gross: Counter[str] = Counter()
    percents: dict[str, Decimal] = {}
    for terms, amount_minor in parts:
        regime = terms.tax.regime
        if regime == tax_thresholds.NO_REGIME:
            percent = Decimal(0)
        else:
            percent = tax_forms.on_file(forms, regime, at, terms.zone).withholding_percent
        # If two versions of the terms have different time zones, the form may be in force in only one of them.
        percents[regime] = max(percent, percents.get(regime, percent))
        gross[regime] += amount_minor
    return [Withheld(regime, minor, percents[regime]) for regime, minor in sorted(gross.items())]


def lowered(owed: Iterable[Withheld], offsets: Iterable[OpenOffset], step_minor: int) -> Lowered:
    """Return what is left of a payout, and what lowers it.

    ``owed`` are the totals of its legs, ``offsets`` those of its payee in its currency, oldest first, and
    ``step_minor`` is the smallest amount that its rail can send.
    """
    left_minor, made = 0, []
    for regime, gross_minor, percent in owed:
        withheld_minor = tax_thresholds.withheld(gross_minor, percent, step_minor)
        made.append(Deduction(DeductionKind.WITHHOLDING, regime, withheld_minor))
        left_minor += gross_minor - withheld_minor
    for offset in offsets:
        taken_minor = takes_of_offset(offset.open_minor, left_minor, step_minor)
        made.append(Deduction(DeductionKind.OFFSET, str(offset.id), taken_minor))
        left_minor -= taken_minor
    return Lowered(left_minor, tuple(each for each in made if each.amount_minor > 0))


def each_lowered(
    payouts: Iterable[Gross], offsets: Mapping[tuple[str, str], Sequence[OpenOffset]]
) -> Mapping[UUID, Lowered]:
    """Return the same for several payouts, by id. ``offsets`` are by payee and currency.

    An offset that the first payout of a payee takes is not open any more for the next.
    """
    left, found = dict(offsets), {}
    for payout in payouts:
        whose = (payout.payee, payout.currency)
        step_minor = rail_catalogue.step_minor(payout.rail, payout.currency)
        found[payout.id] = lowered(payout.owed, left.get(whose, ()), step_minor)
        left[whose] = _still_open(left.get(whose, ()), found[payout.id].deductions)
    return found


def _still_open(offsets: Iterable[OpenOffset], taken: Iterable[Deduction]) -> tuple[OpenOffset, ...]:
    by_offset = {each.source: each.amount_minor for each in taken if each.kind is DeductionKind.OFFSET}
    left = (OpenOffset(each.id, each.open_minor - by_offset.get(str(each.id), 0)) for each in offsets)
    return tuple(each for each in left if each.open_minor > 0)


def takes_of_offset(open_minor: int, due_minor: int, step_minor: int = 1) -> int:
    """Return how much of an open offset to deduct from a payout of ``due_minor``, all in minor units.

    The remaining payout must be a multiple of the rail's step; it may be zero.
    """
    left = max(due_minor - open_minor, 0)
    return due_minor - -(-left // step_minor) * step_minor
