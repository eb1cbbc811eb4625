"""A page for one decision on a subject that an address names by its fields, in two steps like any other decision."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Response
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk.money.acts import Said, Typed, in_two_steps
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Visit
from referral_rewards.api.desk.words import FOLLOWS, first_upper
from referral_rewards.domain.claims.approval import NOTE_LENGTH_MAX, check_note
from referral_rewards.domain.decisions.act_kinds import REASONS, MoneyAct
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import ActSubject
from referral_rewards.domain.decisions.redirects import PayeeSubject
from referral_rewards.domain.errors import ActRefused, BadInput, NotAllowed, Problem
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.people.authority import Scope

Subject = PayeeSubject | ActSubject


@dataclass(frozen=True, slots=True)
class OneAct:
    """The act of a page, and what it is about: a payee on a ``rail``, or in a ``program``. ``path`` is the page's.

    ``about`` says what would be recorded, in one line of words and values.
    """

    act: MoneyAct
    path: str
    payee: str
    about: str
    rail: str | None = None
    program: str | None = None

    @property
    def address(self) -> str:
        named = {"payee": self.payee, "rail": self.rail, "program": self.program}
        return f"{self.path}?{urlencode({name: value for name, value in named.items() if value is not None})}"

    @property
    def title(self) -> str:
        return first_upper(label("decision", self.act))

    def asked(self, typed: Typed) -> Asked:
        """Return what would be recorded.

        Raises:
            BadInput: with every field that is missing or wrong.
        """
        problems = [] if typed.reason in REASONS[self.act] else [Problem("reason", "Choose a reason.")]
        try:
            check_note(typed.note)
        except BadInput as error:
            problems += error.problems
        if problems:
            raise BadInput(problems)
        return self.as_asked(typed.reason, typed.note, typed.digest)

    def as_asked(self, reason: str, note: str, digest: str) -> Asked:
        """Return the act with these words."""
        return Asked(self.payee, self.act, reason, note, digest, rail=self.rail, program=self.program)


async def decide(
    parts: Parts,
    visit: Visit,
    form: FormData,
    its: OneAct,
    subject: Subject,
    shown: Callable[[Typed, Said], Awaitable[Response]],
) -> Response:
    """Decide so in two steps (`acts.in_two_steps`). ``shown`` is the page."""

    def confirm(typed: Typed, asked: Asked) -> Response:
        reason = first_upper(label("decision_reason", asked.reason))
        return page("one_act_confirm.html", visit, its=its, typed=typed, follows=FOLLOWS[its.act], reason=reason)

    return await in_two_steps(parts, visit, form, subject, f"{its.address}&", its.asked, confirm, shown)


def form_of(visit: Visit, its: OneAct, subject: Subject, typed: Typed, said: Said) -> Mapping[str, Any]:
    """Return what a page needs to show its form; ``blocked`` says why this person can't decide now."""
    refusal = said.refusal
    return {
        "its": its,
        "digest": subject.digest,
        "blocked": _blocked(visit, its, subject),
        "follows": FOLLOWS[its.act],
        "codes": REASONS[its.act],
        "note_length": NOTE_LENGTH_MAX,
        "typed": typed,
        "problems": said.problems,
        "refusal": refusal.why if isinstance(refusal, ActRefused) else str(refusal) if refusal else None,
        "recorded": said.recorded,
    }


def _blocked(visit: Visit, its: OneAct, subject: Subject) -> str | None:
    try:
        visit.user.need_scope(Scope.CLAIMS_DECIDE)
        subject.check_admits(its.as_asked(REASONS[its.act][0], _NOTE, subject.digest), visit.user.approver)
    except ActRefused as error:
        return error.why
    except NotAllowed as error:
        return str(error)
    return None


_NOTE: Final = "not recorded"
