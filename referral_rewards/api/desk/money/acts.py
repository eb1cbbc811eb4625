"""Decisions about money at the desk, in two steps: the page shows exactly what will be recorded, then records it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Visit
from referral_rewards.api.desk.words import FOLLOWS, first_upper
from referral_rewards.api.problems import status_of
from referral_rewards.api.recording import recorded
from referral_rewards.domain import money
from referral_rewards.domain.calendar import at_wall_clock
from referral_rewards.domain.claims.approval import NOTE_LENGTH_MAX, check_note
from referral_rewards.domain.decisions.act_kinds import TAKES_TIME
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import (
    NEEDS_AMOUNT,
    NEEDS_REFERENCE,
    ActSubject,
    MoneyAct,
    SubjectKind,
    check_details,
    may_act,
)
from referral_rewards.domain.decisions.money_acts import (
    REASONS as CODES,
)
from referral_rewards.domain.decisions.program_acts import ProgramSubject
from referral_rewards.domain.decisions.subject import Subject
from referral_rewards.domain.errors import (
    ActRefused,
    BadInput,
    NotAllowed,
    Problem,
    ReferralRewardsError,
    RequestInvalid,
)
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.people.authority import Scope
from referral_rewards.register.recording import subjects

#: The room of the desk in which each kind of subject has its page.
ROOMS: Final[Mapping[SubjectKind, str]] = {
    SubjectKind.PAYOUT: "payouts",
    SubjectKind.REWARD: "clawbacks/rewards",
    SubjectKind.CLAWBACK_CASE: "clawbacks",
    SubjectKind.CYCLE: "cycles",
    SubjectKind.RAIL: "rails",
    SubjectKind.FORGOTTEN_PAYMENT: "forgotten",
    SubjectKind.PROGRAM: "programs",
    SubjectKind.PILOT: "pilots",
}


@dataclass(frozen=True, slots=True)
class Typed:
    """The form's fields so far; they are kept whatever the response is."""

    kind: str = ""
    reason: str = ""
    note: str = ""
    digest: str = ""
    amount: str = ""
    reference: str = ""
    at: str = ""

    @classmethod
    def of(cls, form: FormData) -> "Typed":
        fields = ("kind", "reason", "note", "digest", "amount", "reference", "at")
        return cls(**{name: str(form.get(name) or "").replace("\r\n", "\n").replace("\0", "") for name in fields})

    def asked(self, subject: UUID | str, currency: str, zone: ZoneInfo) -> Asked:
        """Return what would be recorded, without fields that belong to other acts. A time is one of the ``zone``.

        Raises:
            BadInput: with every field that is missing or wrong.
        """
        if self.kind not in set(MoneyAct):
            raise RequestInvalid("Choose a decision.", "kind")
        act = MoneyAct(self.kind)
        problems = [] if self.reason in CODES[act] else [Problem("reason", "Choose a reason.")]
        amount_minor = None
        if act in NEEDS_AMOUNT:
            try:
                amount_minor = _minor(self.amount.strip(), currency)
            except ValueError as error:
                problems.append(Problem("amount", str(error)))
        reference = self.reference.strip() if act in NEEDS_REFERENCE else None
        at = None
        if act in TAKES_TIME and self.at.strip():
            try:
                at = _instant(self.at.strip(), zone)
            except ValueError:
                problems.append(Problem("at", "Enter a date and time such as 2026-07-01 18:00."))
        try:
            check_note(self.note)
        except BadInput as error:
            problems += error.problems
        try:
            # The amount was looked at already, and the reason too.
            check_details(act, CODES[act][0], amount_minor or (1 if act in NEEDS_AMOUNT else None), reference)
        except BadInput as error:
            problems += error.problems
        if problems:
            raise BadInput(problems)
        return Asked(
            str(subject),
            act,
            self.reason,
            self.note,
            self.digest,
            amount_minor=amount_minor,
            reference=reference,
            currency=currency if act is MoneyAct.ADD_BUDGET else None,
            at=at,
        )


@dataclass(frozen=True, slots=True)
class Said:
    """The messages above the form when it is shown again: fields that are wrong, or why nothing was recorded."""

    status: HTTPStatus = HTTPStatus.OK
    problems: Mapping[str, str] = field(default_factory=dict)
    refusal: ReferralRewardsError | None = None
    recorded: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """An act that is possible on the subject now, and the reason if this person may not make it. ``most_minor`` is the
    largest amount that it may be over."""

    act: MoneyAct
    title: str
    follows: str
    refusal: str | None
    most_minor: int | None


async def decide(
    parts: Parts,
    visit: Visit,
    form: FormData,
    kind: SubjectKind,
    subject: UUID | str,
    shown: Callable[[Typed, Said], Awaitable[Response]],
) -> Response:
    """Decide on a subject in two steps (`in_two_steps`). ``shown`` is its page."""
    async with parts.database.reading() as connection:
        matter = await subjects.shown(connection, kind, subject, parts.keys)

    def asked_for(typed: Typed) -> Asked:
        return typed.asked(subject, matter.currency, _zone_of(matter))

    def confirm(typed: Typed, asked: Asked) -> Response:
        act = MoneyAct(asked.kind)
        return page(
            "act_confirm.html",
            visit,
            typed=typed,
            asked=asked,
            matter=matter,
            room=ROOMS[kind],
            currency=matter.currency,
            title=first_upper(label("decision", act)),
            follows=FOLLOWS[act],
            reason=first_upper(label("decision_reason", asked.reason)),
        )

    there = f"/{ROOMS[kind]}/{quote(str(subject), safe='')}?"
    return await in_two_steps(parts, visit, form, matter, there, asked_for, confirm, shown)


async def in_two_steps(
    parts: Parts,
    visit: Visit,
    form: FormData,
    subject: Subject,
    there: str,
    asked_for: Callable[[Typed], Asked],
    confirm: Callable[[Typed, Asked], Response],
    shown: Callable[[Typed, Said], Awaitable[Response]],
) -> Response:
    """The first step shows what exactly would be recorded (``confirm``), the second records it; ``edit`` goes back to
    the form.

    ``shown`` is the subject's page, with what was typed and what is said of it. Its address is ``there``, as far as a
    further parameter can follow.
    """
    typed, step = Typed.of(form), form.get("step")
    if step == "edit":
        return await shown(typed, Said())
    try:
        asked = asked_for(typed)
        visit.user.need_scope(Scope.CLAIMS_DECIDE)
        if step == "record":
            decision, _ = await recorded(parts, asked, visit.user)
            return RedirectResponse(f"{there}recorded={decision.seq}", HTTPStatus.SEE_OTHER)
        subject.check_as_shown(asked)
        subject.check_admits(asked, visit.user.approver)
    except BadInput as refusal:
        by_field = {problem.where: problem.what for problem in refusal.problems}
        return await shown(typed, Said(status_of(type(refusal)), problems=by_field))
    except (ActRefused, NotAllowed) as refusal:
        return await shown(typed, Said(status_of(type(refusal)), refusal=refusal))
    return confirm(typed, asked)


async def form_of(parts: Parts, visit: Visit, kind: SubjectKind, subject: UUID | str, typed: Typed, said: Said) -> Any:
    """Return what a subject's page needs to show its form."""
    async with parts.database.reading() as connection:
        matter = await subjects.shown(connection, kind, subject, parts.keys)
    choices = [_choice(visit, matter, act) for act in MoneyAct if act in matter.takes]
    able = [choice.act for choice in choices if choice.refusal is None]
    refusal = said.refusal
    return {
        "choices": choices,
        "able": able,
        "action": f"/{ROOMS[kind]}/{quote(str(subject), safe='')}",
        "digest": matter.digest,
        "typed": typed,
        "problems": said.problems,
        "refusal": refusal.why if isinstance(refusal, ActRefused) else str(refusal) if refusal else None,
        "recorded": said.recorded,
        "needs_amount": [act for act in able if act in NEEDS_AMOUNT],
        "needs_reference": [act for act in able if act in NEEDS_REFERENCE],
        "takes_time": [act for act in able if act in TAKES_TIME],
        "of_bank": MoneyAct.CONFIRM_PAYOUT in able,
        "of_payout": MoneyAct.ASSIGN_PAYMENT in able,
        "currency": matter.currency,
        "codes": CODES,
        "note_length": NOTE_LENGTH_MAX,
    }


def _choice(visit: Visit, matter: Any, act: MoneyAct) -> Choice:
    refusal = None
    try:
        visit.user.need_scope(Scope.CLAIMS_DECIDE)
        may_act(visit.user.approver, act, matter, None, ())
    except ActRefused as error:
        refusal = error.why
    except NotAllowed as error:
        refusal = str(error)
    return Choice(act, first_upper(label("decision", act)), FOLLOWS[act], refusal, matter.most(act))


def _zone_of(matter: ActSubject) -> ZoneInfo:
    return matter.zone if isinstance(matter, ProgramSubject) else ZoneInfo("UTC")


def _instant(written: str, zone: ZoneInfo) -> datetime:
    """Return the instant of a date and time as a browser or a person writes it, on the clocks of the zone.

    Raises:
        ValueError: if it is none.
    """
    local = datetime.fromisoformat(written)
    if local.tzinfo is not None:
        return local.astimezone(UTC)
    return at_wall_clock(local.date(), local.time(), zone)


def _minor(amount: str, currency: str) -> int:
    value = money.parse_decimal(amount)
    if not money.fits(value, currency):
        raise ValueError(f"{currency} has {money.exponent(currency)} decimal places.")
    if value <= 0:
        raise ValueError("Enter an amount above zero.")
    return money.to_minor(value, currency)
