"""What a payout cycle pays: due legs grouped by payee, rail and currency, and what is carried forward, with the reason.

A cycle's id comes from its program and day, a payout's id from its cycle, payee, rail and currency. Gathering again
after a crash gives the same ids, and the database accepts each only once.
"""

import calendar as months_of_the_year
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from referral_rewards.domain.calendar import at_wall_clock
from referral_rewards.domain.decisions.money_acts import subject_digest
from referral_rewards.domain.payouts.states import PaymentRequest
from referral_rewards.domain.programs.sections import PayoutCycle

_CYCLE_NAMESPACE: Final = UUID("0d3f8a0c-91b7-5d6e-8f6b-3c1f52e6d2a4")
#: All legs of a payout are judged again in one transaction, right before it is sent.
LEGS_MAX: Final = 200


class CarriedFor(StrEnum):
    """Why a due leg is not in a cycle, and is carried forward to the next."""

    BELOW_MINIMUM = "below_minimum"
    TOO_MANY = "too_many"  # legs of one payout
    ANOTHER_DESTINATION = "another_destination"  # than that of the payee's earlier legs on the rail
    TAX_HOLD = "tax_hold"
    WAITING_METHOD = "waiting_method"


@dataclass(frozen=True, slots=True)
class DueLeg:
    """A reserved leg that no payout pays yet."""

    id: UUID
    payee: str
    rail: str
    currency: str
    destination: str | None
    amount_minor: int
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class Minimum:
    """The least that is paid to one payee in a cycle; it does not apply to other currencies."""

    amount_minor: int
    currency: str

    def missed_by(self, amount_minor: int, currency: str) -> bool:
        """Whether the amount is too small to be paid."""
        return currency == self.currency and amount_minor < self.amount_minor


@dataclass(frozen=True, slots=True)
class PlannedPayout:
    """The legs that one provider call would pay, oldest approvals first."""

    payee: str
    rail: str
    currency: str
    destination: str | None
    legs: tuple[DueLeg, ...]

    @property
    def amount_minor(self) -> int:
        return sum(leg.amount_minor for leg in self.legs)


@dataclass(frozen=True, slots=True)
class Carried:
    """A leg that waits for the next cycle, and why."""

    leg: DueLeg
    why: CarriedFor


@dataclass(frozen=True, slots=True)
class Grouping:
    """The due legs of some payees: grouped into payouts by payee, rail and currency, or carried forward."""

    payouts: tuple[PlannedPayout, ...]
    carried: tuple[Carried, ...]


def cycle_id(program: str, due_on: date) -> UUID:
    """Return the id of a program's cycle of that day."""
    return uuid5(_CYCLE_NAMESPACE, f"{program}\x00{due_on.isoformat()}")


def cycle_program_id(program: str) -> UUID:
    """Return the id that a wake-up for a program's schedule names."""
    return uuid5(_CYCLE_NAMESPACE, program)


def cycle_payout_id(cycle: UUID, payee: str, rail: str, currency: str) -> UUID:
    """Return the id of the payout that a cycle makes to a payee over a rail in a currency."""
    return uuid5(cycle, f"{payee}\x00{rail}\x00{currency}")


def cycle_request(
    payout: UUID, payee: str, amount_minor: int, currency: str, destination: str | None, program: str
) -> PaymentRequest:
    """Return the request to the rail for a cycle's payout, which belongs to no single referral."""
    return PaymentRequest(
        payout_id=payout,
        payee=payee,
        amount_minor=amount_minor,
        currency=currency,
        destination=destination,
        program=program,
        referral="",
    )


def grouped(
    legs: Iterable[DueLeg],
    minimum: Minimum | None,
    *,
    exempt: frozenset[str] = frozenset(),
    legs_max: int = LEGS_MAX,
) -> Grouping:
    """Group due legs in any order; they must include all legs of each payee.

    One payout goes to one destination: that of the leg approved first. The minimum applies to a payee's total in a
    currency over all rails, unless they are ``exempt``.
    """
    payouts: list[PlannedPayout] = []
    carried: list[Carried] = []
    for (payee, currency), owed in _by(legs, "payee", "currency").items():
        planned: list[PlannedPayout] = []
        left: list[Carried] = []
        for (rail,), over_rail in _by(owed, "rail").items():
            destination = over_rail[0].destination
            there = [leg for leg in over_rail if leg.destination == destination]
            planned.append(PlannedPayout(payee, rail, currency, destination, tuple(there[:legs_max])))
            left += [Carried(leg, CarriedFor.TOO_MANY) for leg in there[legs_max:]]
            elsewhere = (leg for leg in over_rail if leg.destination != destination)
            left += [Carried(leg, CarriedFor.ANOTHER_DESTINATION) for leg in elsewhere]
        least = None if payee in exempt else minimum
        if least is not None and least.missed_by(sum(each.amount_minor for each in planned), currency):
            left += [Carried(leg, CarriedFor.BELOW_MINIMUM) for each in planned for leg in each.legs]
            planned = []
        payouts += planned
        carried += sorted(left, key=lambda each: _order(each.leg))
    return Grouping(tuple(payouts), tuple(carried))


def line_of(payout: UUID, payee: str, rail: str, currency: str, legs: Iterable[tuple[UUID, int]]) -> str:
    """Return the digest of a payout on a cycle's list, with its legs as (id, amount), in any order."""
    return subject_digest(
        {
            "payout": payout,
            "payee": payee,
            "rail": rail,
            "currency": currency,
            "legs": sorted([str(leg), amount_minor] for leg, amount_minor in legs),
        }
    )


class ListDigest:
    """SHA-256 over a cycle's list of any length, added payout by payout in the order of their ids."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, line: str) -> None:
        """Add the line of a payout (`line_of`)."""
        self._hash.update(line.encode())

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _by(legs: Iterable[DueLeg], *names: str) -> Mapping[tuple[str, ...], list[DueLeg]]:
    groups: dict[tuple[str, ...], list[DueLeg]] = {}
    for leg in sorted(legs, key=_order):
        groups.setdefault(tuple(getattr(leg, name) for name in names), []).append(leg)
    return dict(sorted(groups.items()))


def _order(leg: DueLeg) -> tuple[datetime, UUID]:
    return leg.approved_at, leg.id


#: The wall-clock time at which a cycle opens on its day: before the working day, and after the hours in which clocks
#: change, so that it is neither skipped nor repeated.
OPENS: Final = time(6)


def opens_at(due_on: date, zone: ZoneInfo) -> datetime:
    """Return the instant (UTC) at which the cycle of that day opens."""
    return at_wall_clock(due_on, OPENS, zone)


def latest_due(timing: PayoutCycle, zone: ZoneInfo, now: datetime) -> date:
    """Return the last day on which a cycle has opened by ``now``."""
    today = now.astimezone(zone).date()
    due = _on_or_before(timing, today)
    return due if opens_at(due, zone) <= now else _on_or_before(timing, due - timedelta(days=1))


def next_due(timing: PayoutCycle, zone: ZoneInfo, now: datetime) -> date:
    """Return the first day on which a cycle opens after ``now``."""
    after = latest_due(timing, zone, now)
    if timing.cycle == "weekly":
        return after + timedelta(days=7)
    following = after.replace(day=1) + timedelta(days=31)
    return day_of_month(timing.day, following.year, following.month)


def day_of_month(day: int, year: int, month: int) -> date:
    """Return that day of the month, or its last day in a shorter month."""
    return date(year, month, min(day, months_of_the_year.monthrange(year, month)[1]))


def _on_or_before(timing: PayoutCycle, day: date) -> date:
    if timing.cycle == "weekly":
        return day - timedelta(days=(day.isoweekday() - timing.day) % 7)
    this = day_of_month(timing.day, day.year, day.month)
    if this <= day:
        return this
    before = day.replace(day=1) - timedelta(days=1)
    return day_of_month(timing.day, before.year, before.month)
