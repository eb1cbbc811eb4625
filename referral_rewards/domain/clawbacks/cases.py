"""Which clawback cases the facts about a paid referral open, change and dismiss (SPEC §7).

The cases follow from the facts each time the referral is judged, so the order of arrival does not change what is
proposed in the end. A case with nothing to recover is dismissed by itself; that moves no money.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from referral_rewards.domain.clawbacks.causes import Cause
from referral_rewards.domain.clawbacks.proposals import due_back, proposal
from referral_rewards.domain.clawbacks.states import CaseState, case_id
from referral_rewards.domain.facts.orders import Order, OrderName
from referral_rewards.domain.facts.payloads import DisputeOutcome, FactType
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.disputes import Dispute, DisputeState
from referral_rewards.domain.referrals.lifecycle import Side
from referral_rewards.domain.referrals.reversals import undone

_NOTHING: Final = "by the rules it takes nothing more of this reward"
_OVER: Final[Mapping[DisputeOutcome | None, str]] = {
    None: "was lost",
    DisputeOutcome.LOST: "was lost",
    DisputeOutcome.REFUNDED: "ended with a refund",
    DisputeOutcome.PREVENTED: "was prevented by a refund",
    DisputeOutcome.WON: "the dispute was won",
    DisputeOutcome.INQUIRY_CLOSED: "the inquiry was closed and took nothing",
}


@dataclass(frozen=True, slots=True)
class PaidLeg:
    """A reward that was sent. ``may_be_paid``: it is paid, or its payment's outcome is unknown. ``step_minor`` is what
    its rail can write at least."""

    id: UUID
    role: Side
    amount_minor: int
    step_minor: int
    may_be_paid: bool


@dataclass(frozen=True, slots=True)
class LegCase:
    """A case as it stands. ``cause`` is the fact that opened it, or the decision that did. ``taken_minor`` is what was
    recovered for it, is being recovered, or was written off."""

    id: UUID
    leg: UUID
    cause: UUID
    state: CaseState
    why: str
    proposed_minor: int | None
    taken_minor: int = 0


@dataclass(frozen=True, slots=True)
class Happened:
    """What the cases of an order's rewards follow from.

    ``earned`` is what each side earned by what is left of the order, None if the rules can't tell. ``about_order`` are
    the ids of all facts about the order, ``failed`` of reversals that failed, and ``amended_again`` of amendments that
    a later one replaced.
    """

    causes: Sequence[Cause]
    disputes: Sequence[Dispute]
    earned: Mapping[Side, int] | None
    about_order: Collection[UUID]
    order: OrderName | None
    currency: str | None = None
    failed: Collection[UUID] = ()
    amended_again: Collection[UUID] = ()


def happened(
    order: Order | None,
    causes: Sequence[Cause],
    its_disputes: Sequence[Dispute],
    earned: Mapping[Side, int] | None,
    *,
    paid_for: Conversion | None,
) -> Happened:
    """Return what the cases of an order's rewards follow from, by all facts about it that are known."""
    known = sorted(order.facts if order else (), key=lambda fact: fact.precedence)
    amendments = [fact.id for fact in known if fact.type is FactType.CONVERSION_AMENDED]
    return Happened(
        causes=causes,
        disputes=its_disputes,
        earned=earned,
        about_order=frozenset(fact.id for fact in known),
        order=order.name if order else None,
        currency=paid_for.currency if paid_for else None,
        failed=undone(known),
        amended_again=frozenset(amendments[:-1]),
    )


def cases_of(leg: PaidLeg, before: Sequence[LegCase], happened: Happened) -> list[LegCase]:
    """Return the leg's cases as they should stand: those before, changed where facts ask for it, and new ones."""
    if not leg.may_be_paid:
        return [_dismissed(case, "nothing of it is paid") if case.state in _WAITING else case for case in before]
    book = _Book(leg, happened, list(before))
    book.end_disputes()
    book.lower()
    book.open_disputes()
    for cause in happened.causes:
        book.open(cause)
    return book.cases


_WAITING: Final = frozenset({CaseState.OPEN, CaseState.FROZEN})


@dataclass(slots=True)
class _Book:
    """The cases of one leg while facts are worked in."""

    leg: PaidLeg
    happened: Happened
    cases: list[LegCase] = field(default_factory=list)

    def end_disputes(self) -> None:
        """Open the frozen cases whose dispute took an amount, and dismiss those of which nothing was taken."""
        for number, case in enumerate(self.cases):
            its = next((each for each in self.happened.disputes if case.cause in _ids(each)), None)
            if case.state is not CaseState.FROZEN or its is None or its.state is DisputeState.OPEN:
                continue
            if its.state is DisputeState.NOTHING_TAKEN:
                self.cases[number] = _dismissed(case, _OVER[its.outcome])
                continue
            why = f"{case.why}, which {_OVER[its.outcome]}"
            proposed_minor = None if self._is_unread(its) else self._proposed(besides=case)
            thawed = replace(case, state=CaseState.OPEN, why=why, proposed_minor=proposed_minor)
            self.cases[number] = thawed if proposed_minor != 0 else _dismissed(thawed, _NOTHING)

    def lower(self) -> None:
        """Lower what cases about the order propose where facts that came later leave less of it due.

        What people left to the payee covers no other loss: nothing if its own failed, and never more than is due.
        """
        for number, case in enumerate(self.cases):
            if case.cause in self.happened.failed and (left_minor := _left_minor(case)):
                self.cases[number] = replace(case, proposed_minor=_covered_minor(case) - left_minor)
        self._lower_left(self.happened.amended_again)
        self._lower_open()
        self._lower_left(self.happened.about_order)

    def _lower_left(self, causes: Collection[UUID]) -> None:
        for number, case in reversed(list(enumerate(self.cases))):
            if case.cause in causes and (less_minor := min(_left_minor(case), self._too_much_minor())) > 0:
                self.cases[number] = replace(case, proposed_minor=_covered_minor(case) - less_minor)

    def _lower_open(self) -> None:
        for number, case in reversed(list(enumerate(self.cases))):
            untouched = case.state is CaseState.OPEN and not case.taken_minor
            if not untouched or case.cause not in self.happened.about_order:
                continue
            now_minor = self._proposed(besides=case)
            if now_minor is None or case.proposed_minor is None or now_minor >= case.proposed_minor:
                continue
            lowered = replace(case, proposed_minor=now_minor)
            self.cases[number] = lowered if now_minor else _dismissed(lowered, _NOTHING)

    def open_disputes(self) -> None:
        """Open a frozen case for each open dispute, and an open one for what an ended one took and no case covers."""
        for its in self.happened.disputes:
            known = [case for case in self.cases if case.cause in _ids(its)]
            if its.state is DisputeState.OPEN and not known:
                why = f"a dispute of order {self.happened.order} was opened"
                self._add(its.openings[0].id, why, CaseState.FROZEN, None)
            elif its.state in (DisputeState.TAKEN, DisputeState.REVERSED) and not self._waits_for(its):
                fresh = [fact.id for fact in reversed(its.facts) if not any(case.cause == fact.id for case in known)]
                why = f"a dispute of order {self.happened.order} {_OVER[its.outcome]}"
                if fresh:
                    self.open(Cause(fresh[0], why, told_before=True, unread=self._is_unread(its)))

    def open(self, cause: Cause) -> None:
        """Open the case of a fact, once; one that proposes nothing is dismissed by itself and stays on record."""
        if cause.whole and self.leg.role is not Side.REFERRER:
            return
        if any(case.cause == cause.fact for case in self.cases):
            return
        proposed_minor = None if cause.unread else self._proposed(whole=cause.whole)
        if proposed_minor != 0:
            self._add(cause.fact, cause.why, CaseState.OPEN, proposed_minor)
        elif not cause.told_before:
            self._add(cause.fact, f"{cause.why}: {_NOTHING}", CaseState.DISMISSED, 0)

    def _waits_for(self, its: Dispute) -> bool:
        """Whether the rules can't tell what the dispute took, and one of its cases says so already."""
        unknown = self._is_unread(its) or self._proposed() is None
        return unknown and any(case.cause in _ids(its) for case in self.cases)

    def _is_unread(self, its: Dispute) -> bool:
        return self.happened.currency is not None and bool(its.unread(self.happened.currency))

    def _add(self, cause: UUID, why: str, state: CaseState, proposed_minor: int | None) -> None:
        self.cases.append(LegCase(case_id(self.leg.id, cause), self.leg.id, cause, state, why, proposed_minor))

    def _due_minor(self) -> int | None:
        """Return how much of the leg was not earned by what is left of the order; None if the rules can't tell."""
        earned = self.happened.earned
        return None if earned is None else due_back(earned.get(self.leg.role, 0), self.leg.amount_minor)

    def _too_much_minor(self) -> int:
        """Return how much more the cases about the order cover than is due."""
        due_minor = self._due_minor()
        about_it = [case for case in self.cases if case.cause in self.happened.about_order]
        return 0 if due_minor is None else max(sum(map(_covered_minor, about_it)) - due_minor, 0)

    def _proposed(self, *, whole: bool = False, besides: LegCase | None = None) -> int | None:
        others = [case for case in self.cases if besides is None or case.id != besides.id]
        leg, waiting = self.leg, [case for case in others if case.state is CaseState.OPEN]
        # What people left to the payee for a loss of the order says nothing about a loss of another kind.
        alike = set() if whole else self.happened.about_order
        return proposal(
            leg.amount_minor if whole else self._due_minor(),
            paid_minor=leg.amount_minor,
            taken_minor=sum(case.taken_minor for case in others),
            covered_minor=sum(
                _covered_minor(case) - (0 if case.cause in alike else _left_minor(case)) for case in others
            ),
            open_minor=sum(max((case.proposed_minor or 0) - case.taken_minor, 0) for case in waiting),
            step_minor=leg.step_minor,
        )


def _covered_minor(case: LegCase) -> int:
    """Return the part of the leg that a case proposed or took, whichever is larger."""
    return max(case.proposed_minor or 0, case.taken_minor)


def _left_minor(case: LegCase) -> int:
    """Return what a case proposed and people left to the payee: they dismissed it, took less, or returned it."""
    return 0 if case.state in _WAITING else _covered_minor(case) - case.taken_minor


def _ids(its: Dispute) -> set[UUID]:
    return {fact.id for fact in its.facts}


def _dismissed(case: LegCase, why: str) -> LegCase:
    return replace(case, state=CaseState.DISMISSED, why=f"{case.why}: {why}")
