"""The page of a pilot: what was promised, what was measured, go or no-go; and the form that starts or ends one."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self
from urllib.parse import quote

from fastapi import APIRouter, Response
from starlette.datastructures import FormData

from referral_rewards.api import piloting
from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.money.acts import Said, Typed, in_two_steps
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.api.desk.words import FOLLOWS, first_upper
from referral_rewards.api.problems import status_of
from referral_rewards.domain.claims.approval import NOTE_LENGTH_MAX, check_note
from referral_rewards.domain.decisions.act_kinds import PILOT_MEASURED, REASONS, MoneyAct
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import ROLES
from referral_rewards.domain.errors import BadInput, NotAllowed, NotReady, Problem, RequestInvalid
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.pilots.outcome import Go, SixParts
from referral_rewards.domain.pilots.plan import Plan, planned
from referral_rewards.domain.readiness.gaps import Area, gaps
from referral_rewards.register.pilots import subject as register
from referral_rewards.reporting.pilots.standing import PilotsOfProgram
from referral_rewards.reporting.programs.preflight import readiness

router = APIRouter(prefix="/pilots")

_A = MoneyAct
_NO_PLAN: Final = Plan(owner="-", version=0)
#: More are a file's.
_REWARDS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class TypedPlan:
    """The fields of a plan as they were typed."""

    owner: str = ""
    lasts: str = ""
    first: str = ""
    referrals: str = ""
    partners: str = ""
    threshold: str = ""

    @classmethod
    def of(cls, form: FormData) -> Self:
        return cls(**{each.name: str(form.get(each.name) or "").replace("\0", "") for each in fields(cls)})

    def plan(self, version: int) -> Plan:
        """Return the plan.

        Raises:
            BadInput: with every field that is wrong.
        """
        first = self.first.strip()
        if first and not (first.isascii() and first.isdecimal()):
            raise RequestInvalid("Enter a number of claims.", "first")
        return planned(
            owner=self.owner,
            version=version,
            lasts=self.lasts,
            first=int(first[:9]) if first else None,
            referrals=self.referrals.replace(",", " ").split(),
            partners=self.partners.replace(",", " ").split(),
            threshold=self.threshold,
        )

    def shown(self) -> list[tuple[str, str]]:
        """The fields with their values, for a form that carries them."""
        return [(each.name, getattr(self, each.name)) for each in fields(self)]


@router.get("/{program}")
async def show_pilot(program: str, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """The newest pilot of a program; ``recorded`` is the number of the decision that was just made."""
    found = await piloting.shown(parts, program)
    return await _page(parts, visit, found, Typed(), TypedPlan(owner=visit.user.name), Said(recorded=recorded))


@router.get("/{program}/{number}")
async def show_earlier(program: str, number: int, visit: Reader, parts: Its) -> Response:
    """A pilot by its number."""
    found = await piloting.shown(parts, program, number)
    return await _page(parts, visit, found, Typed(), TypedPlan(owner=visit.user.name), Said())


@router.post("/{program}")
async def decide(program: str, visit: Reader, form: SentForm, parts: Its) -> Response:
    """Starts a pilot, or ends the one that runs, in two steps."""
    found, plan = await piloting.shown(parts, program), TypedPlan.of(form)

    async def shown(typed: Typed, said: Said, missing: tuple[Problem, ...] = ()) -> Response:
        return await _page(parts, visit, found, typed, plan, said, missing)

    version = found.version
    if form.get("kind") == _A.START_PILOT and form.get("step") != "edit":
        try:
            visit.user.need_scope(Scope.CLAIMS_DECIDE)
            version = await piloting.ready_version(parts, program, visit.user)
        except NotReady as refusal:
            return await shown(Typed.of(form), Said(status_of(NotReady)), refusal.gaps)
        except NotAllowed as refusal:
            return await shown(Typed.of(form), Said(status_of(NotAllowed), refusal=refusal))

    def asked_for(typed: Typed) -> Asked:
        return _asked(found, typed, plan, version)

    def confirm(typed: Typed, asked: Asked) -> Response:
        return page(
            "pilot_confirm.html",
            visit,
            typed=typed,
            asked=asked,
            plan=plan,
            program=program,
            title=first_upper(label("decision", asked.kind)),
            follows=FOLLOWS[_A(asked.kind)],
            reason=first_upper(label("decision_reason", asked.reason)),
            becomes=_becomes(asked),
            zone=found.timezone,
        )

    async with parts.database.reading() as connection:
        its = found.pilot.measured if found.pilot is not None and found.pilot.ended is None else None
        subject = await register.shown(connection, program, found.as_of, parts.keys, its, _plan_of(plan, version))
    return await in_two_steps(
        parts, visit, form, subject, f"/pilots/{quote(program, safe='')}?", asked_for, confirm, shown
    )


def _asked(found: PilotsOfProgram, typed: Typed, plan: TypedPlan, version: int) -> Asked:
    """Return what would be recorded.

    Raises:
        BadInput: with every field that is missing or wrong.
    """
    if typed.kind not in (_A.START_PILOT, _A.END_PILOT):
        raise RequestInvalid("Choose a decision.", "kind")
    act = _A(typed.kind)
    problems = [] if typed.reason in REASONS[act] else [Problem("reason", "Choose a reason.")]
    try:
        check_note(typed.note)
    except BadInput as error:
        problems += error.problems
    if act is _A.END_PILOT:
        if problems:
            raise BadInput(problems)
        return piloting.asked_to_end(found, typed.reason, typed.note, typed.digest)
    its = _NO_PLAN
    try:
        its = plan.plan(version)
    except BadInput as error:
        problems += error.problems
    if problems:
        raise BadInput(problems)
    return Asked(found.program, act, typed.reason, typed.note, typed.digest, pilot=its)


def _plan_of(plan: TypedPlan, version: int) -> Plan | None:
    try:
        return plan.plan(version)
    except BadInput:
        return None  # `_asked` says what is wrong with it


def _becomes(asked: Asked) -> str | None:
    """What is signed at the end; None at a start."""
    if asked.measured is None:
        return None
    go = asked.reason == PILOT_MEASURED and asked.measured.verdict is Go.GO
    return label("go", Go.GO if go else Go.NO_GO)


async def _page(
    parts: Parts,
    visit: Visit,
    found: PilotsOfProgram,
    typed: Typed,
    plan: TypedPlan,
    said: Said,
    missing: tuple[Problem, ...] = (),
) -> Response:
    its, lacks = found.pilot, found.takes[0] is _A.START_PILOT and await _lacks(parts, found.program)
    shown = None if its is None else its.model_copy(update={"rewards": its.rewards[:_REWARDS_MAX]})
    return page(
        "pilot.html",
        visit,
        status=said.status,
        here="/programs",
        zone=found.timezone,
        found=found,
        pilot=shown,
        parts=list(SixParts),
        gaps=missing,
        form=_form(visit, found, typed, plan, said, lacks=lacks),
    )


async def _lacks(parts: Parts, program: str) -> bool:
    """Whether something is missing that a pilot needs, as far as nobody outside has to be asked."""
    state = await readiness(parts.database, program, {}, parts.keys)
    return any(each.area is not Area.BILLING for each in gaps(state))


def _form(
    visit: Visit, found: PilotsOfProgram, typed: Typed, plan: TypedPlan, said: Said, *, lacks: bool
) -> Mapping[str, Any]:
    """What the page needs to show its form; ``blocked`` says why this person can't decide."""
    act = found.takes[0]
    reasons, refused = REASONS[act], _blocked(visit, act)
    if found.pilot is not None and found.pilot.ended is None and found.pilot.verdict is Go.UNDECIDED:
        reasons = tuple(each for each in reasons if each != PILOT_MEASURED)
    return {
        "act": act,
        "title": first_upper(label("decision", act)),
        "follows": FOLLOWS[act],
        "blocked": refused or ("The program is not ready for a pilot." if lacks else None),
        "lacks": lacks and refused is None,
        "digest": found.digest,
        "codes": reasons,
        "typed": replace(typed, kind=act),
        "plan": plan,
        "problems": said.problems,
        "refusal": getattr(said.refusal, "why", None) or (str(said.refusal) if said.refusal else None),
        "recorded": said.recorded,
        "note_length": NOTE_LENGTH_MAX,
    }


def _blocked(visit: Visit, act: MoneyAct) -> str | None:
    if not visit.user.roles & ROLES[act]:
        roles = listed(labels("role", sorted(ROLES[act])), "or")
        return f"To {label('decision', act)} you need the role {roles}."
    return None
