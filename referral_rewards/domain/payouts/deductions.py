"""How much of a payee's legs is sent: their total, less the tax to withhold, less what the payee owes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import TaxForm
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


@dataclass(frozen=True, slots=True)
class OpenOffset:
    """A clawback that the payee's next payouts pay back, and what is left of it in minor units."""

    id: str
    open_minor: int


@dataclass(frozen=True, slots=True)
class Deducted:
    """What is left to send, zero or more, and what lowered it: withheld tax by its regime, offsets by their id. All
    amounts are in minor units; none that was deducted is zero."""

    left_minor: int
    withheld: tuple[tuple[str, int], ...]
    offsets: tuple[tuple[str, int], ...]


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


def deducted(gross: Iterable[Withheld], offsets: Iterable[OpenOffset], step_minor: int) -> Deducted:
    """Return what is sent of the totals ``gross`` of one payee's legs. Tax is withheld first; offsets, in their order,
    take from the rest. ``step_minor`` is the smallest amount that the rail can send."""
    left_minor, tax, taken = 0, [], []
    for regime, gross_minor, percent in gross:
        withheld_minor = tax_thresholds.withheld(gross_minor, percent, step_minor)
        if withheld_minor > 0:
            tax.append((regime, withheld_minor))
        left_minor += gross_minor - withheld_minor
    for offset in offsets:
        taken_minor = takes_of_offset(offset.open_minor, left_minor, step_minor)
        if taken_minor > 0:
            taken.append((offset.id, taken_minor))
            left_minor -= taken_minor
    return Deducted(left_minor, tuple(tax), tuple(taken))


def still_open(offsets: Iterable[OpenOffset], its: Deducted) -> tuple[OpenOffset, ...]:
    """Return what a payout leaves of the offsets for the same payee's next one."""
    taken = dict(its.offsets)
    left = (replace(each, open_minor=each.open_minor - taken.get(each.id, 0)) for each in offsets)
    return tuple(each for each in left if each.open_minor > 0)


def takes_of_offset(open_minor: int, due_minor: int, step_minor: int = 1) -> int:
    """Return how much of an open offset to deduct from a payout of ``due_minor``, all in minor units.

    The remaining payout must be a multiple of the rail's step; it may be zero.
    """
    left = max(due_minor - open_minor, 0)
    return due_minor - -(-left // step_minor) * step_minor
