"""Decisions on a pilot of a program: it is started, and what it came to is signed.

Which pilots a program had is read from signed decisions alone, in the order in which they were made. One runs at a
time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from referral_rewards.domain.claims.approval import Approver, check_note
from referral_rewards.domain.decisions.act_kinds import PILOT_MEASURED, MoneyAct, SubjectKind
from referral_rewards.domain.decisions.decision import Asked, Decision, Made
from referral_rewards.domain.decisions.money_acts import ROLES, ActSubject, check_details, subject_digest
from referral_rewards.domain.decisions.subject import Details
from referral_rewards.domain.errors import ActRefused, BadInput, Problem, RequestInvalid, perhaps
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import labels
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.pilots.outcome import Go, Measured, ended_as
from referral_rewards.domain.pilots.plan import Plan
from referral_rewards.domain.programs.life import named_id

_A = MoneyAct


@dataclass(frozen=True, slots=True)
class Ended:
    """How a pilot ended: what was signed, by whom and when."""

    at: datetime
    by: str
    roles: frozenset[Role]
    reason: str
    verdict: Go
    measured: Measured


@dataclass(frozen=True, slots=True)
class Pilot:
    """One pilot of a program; ``number`` counts them. ``ended`` is None until somebody signed what it came to."""

    number: int
    plan: Plan
    started_at: datetime
    started_by: str
    ended: Ended | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the register knows of what a plan names. ``owner_roles`` are None where no such user can sign in.

    ``names`` are those of users. ``version`` is the newest of the terms, ``in_cycles`` whether the program pays in
    payout cycles now, and ``stopped`` why it takes or pays no referrals, if it does not.
    """

    version: int
    in_cycles: bool
    stopped: str | None = None
    owner_roles: frozenset[Role] | None = None
    names: Sequence[str] = ()
    referrals: frozenset[str] = frozenset()
    partners: frozenset[str] = frozenset()


def pilot_id(program: str) -> UUID:
    """Return the id that decisions on the pilots of a program sign."""
    return named_id("pilot", program)


def pilots_of(made: Iterable[Decision], program: str) -> tuple[Pilot, ...]:
    """Return the pilots of a program that verified decisions tell of, oldest first."""
    its, found = pilot_id(program), list[Pilot]()
    for each in made:
        if each.claim_id != its or not (isinstance(each.kind, MoneyAct) and each.roles & ROLES[each.kind]):
            continue
        runs = bool(found) and found[-1].ended is None
        if each.kind is _A.START_PILOT and not runs:
            found.append(Pilot(len(found) + 1, Plan.of(each.details or {}), each.decided_at, each.user))
        elif each.kind is _A.END_PILOT and runs:
            last = found.pop()
            found.append(Pilot(last.number, last.plan, last.started_at, last.started_by, _ended(each)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class PilotSubject(ActSubject):
    """The pilots of a program as the subject of a decision. ``around`` is what a plan is held to."""

    pilots: tuple[Pilot, ...] = ()
    around: Surroundings = field(default_factory=lambda: Surroundings(0, in_cycles=False))

    @property
    def name(self) -> str:
        return f"pilot of {self.program}"

    @property
    def running(self) -> Pilot | None:
        """The pilot that nobody ended yet."""
        return self.pilots[-1] if self.pilots and self.pilots[-1].ended is None else None

    def check_as_shown(self, asked: Asked) -> None:
        """Return if there is a pilot to end, or none that runs beside a new one, and it is still as shown; else raise.

        Raises:
            ActRefused: `not_now` before anything else, as what was shown of a pilot changes with each payment.
        """
        if asked.kind not in self.takes:
            runs = self.running
            why = f"pilot {runs.number} of it runs; end that first" if runs else "no pilot of this program runs"
            raise ActRefused(self.name, "not_now", why)
        ActSubject.check_as_shown(self, asked)

    def check_admits(self, asked: Asked, approver: Approver) -> None:
        """Return if the act's own rules admit it, and a plan names what there is; else raise."""
        ActSubject.check_admits(self, asked, approver)
        if asked.pilot is not None:
            self._check_plan(asked.pilot)

    def _check_plan(self, plan: Plan) -> None:
        around = self.around
        if around.stopped is not None:
            raise ActRefused(self.name, "not_now", around.stopped)
        if plan.version != around.version:
            why = f"version {plan.version} was found ready, but version {around.version} was published since; try again"
            raise ActRefused(self.name, "stale", why)
        if problems := [*_of_owner(plan.owner, around), *_of_names(plan, around), *_of_length(plan, around)]:
            raise BadInput(problems)


def subject(
    program: str,
    currency: str,
    history: Sequence[Made],
    around: Surroundings,
    measured: Measured | None,
) -> PilotSubject:
    """Return the pilots of a program as the subject of a decision. ``history`` are all decisions on them.

    ``measured`` is what the pilot that runs comes to now: it is part of what is decided on.
    """
    found = pilots_of([each.decision for each in history], program)
    runs = bool(found) and found[-1].ended is None
    return PilotSubject(
        SubjectKind.PILOT,
        pilot_id(program),
        None,
        program,
        currency,
        _digest(program, found, measured if runs else None),
        frozenset({_A.END_PILOT if runs else _A.START_PILOT}),
        history=tuple(history),
        pilots=found,
        around=around,
    )


def check_asked(asked: Asked) -> Details | None:
    """Return the details that are signed with a decision on a pilot, once all that was entered is in order.

    Raises:
        RequestInvalid: naming what is missing, or does not belong to this act.
    """
    assert isinstance(asked.kind, MoneyAct), f"{asked.kind} is no decision on a pilot"
    check_details(asked.kind, asked.reason, asked.amount_minor, asked.reference)
    check_note(asked.note)
    if asked.kind is _A.START_PILOT:
        assert asked.pilot is not None, "a pilot starts with its plan"
        return asked.pilot.details()
    assert asked.measured is not None, "a pilot ends with what was measured"
    as_measured = asked.reason == PILOT_MEASURED
    if as_measured and asked.measured.verdict is Go.UNDECIDED:
        raise RequestInvalid(
            "The pilot is not measured yet. To end it now, choose another reason: it then ends with a no.", "reason"
        )
    return {**asked.measured.details(), "verdict": ended_as(asked.measured, as_measured=as_measured).value}


#: Who may own a pilot: whoever may sign what it comes to.
OWNERS: Final = ROLES[_A.END_PILOT]


def _ended(made: Decision) -> Ended:
    details = made.details or {}
    return Ended(
        made.decided_at, made.user, made.roles, made.reason, Go(details["verdict"]), Measured.of(details)
    )  # fmt: skip


def _of_owner(owner: str, around: Surroundings) -> list[Problem]:
    if around.owner_roles is None:
        return [Problem("owner", f"{owner!r} is no user who can sign in{perhaps(owner, around.names)}")]
    if not around.owner_roles & OWNERS:
        roles = listed(labels("role", sorted(OWNERS)), "or")
        return [Problem("owner", f"{owner} can't sign what the pilot comes to; an owner has the role {roles}")]
    return []


def _of_names(plan: Plan, around: Surroundings) -> list[Problem]:
    named: Mapping[str, tuple[Iterable[str], frozenset[str]]] = {
        "referrals": (plan.sample.referrals, around.referrals),
        "partners": (plan.sample.partners, around.partners),
    }
    return [
        Problem(where, f"the program has no {where.removesuffix('s')} {name!r}")
        for where, (names, known) in named.items()
        for name in names
        if name not in known
    ]


def _of_length(plan: Plan, around: Surroundings) -> list[Problem]:
    if plan.lasts is None and not around.in_cycles:
        return [
            Problem("lasts", "the program pays at once and has no payout cycle; say how long it lasts, such as P30D")
        ]
    return []


def _digest(program: str, pilots: Sequence[Pilot], measured: Measured | None) -> str:
    """Return the digest of what a decision is made on: the pilots so far, and what the last one comes to."""
    so_far: list[Any] = [
        [each.started_at, each.plan.details(), each.ended and [each.ended.at, each.ended.verdict]] for each in pilots
    ]
    return subject_digest({"program": program, "pilots": so_far, "measured": measured and measured.details()})
