"""Decisions on a program: pausing, resuming and ending it, and adding to its budget (SPEC §10).

What they say is read from signed decisions alone, in the order in which they were made. An end is final. An addition
takes two signatures on the same amount: one by finance and one by the program owner, of two people.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from referral_rewards.domain.claims.approval import Approver, check_note
from referral_rewards.domain.decisions.act_kinds import TAKES_TIME, SubjectKind
from referral_rewards.domain.decisions.decision import Asked, Decision, Made
from referral_rewards.domain.decisions.money_acts import ROLES, ActSubject, MoneyAct, check_details, subject_digest
from referral_rewards.domain.decisions.subject import Details
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.programs.life import RUNNING, Added, Life, Turn, program_id
from referral_rewards.domain.programs.terms import Role, Terms

_A = MoneyAct
_UTC: Final = ZoneInfo("UTC")
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
#: Later is a slip of the pen.
_AHEAD_MAX: Final = timedelta(days=10 * 366)
_ROLES_OF_AN_ADDITION: Final = frozenset({Role.FINANCE, Role.PROGRAM_OWNER})


def life_of(made: Iterable[Decision], program: str) -> Life:
    """Return what the verified decisions on a program say; ``made`` is in the order in which they were made."""
    its, life, signed = program_id(program), RUNNING, list[Decision]()
    for each in made:
        act = each.kind
        if each.claim_id != its or not (isinstance(act, MoneyAct) and each.roles & ROLES[act]):
            continue
        if act in (_A.PAUSE_PROGRAM, _A.RESUME_PROGRAM):
            life = replace(life, turns=(*life.turns, Turn(_holds_from(each), paused=act is _A.PAUSE_PROGRAM)))
        elif act is _A.END_PROGRAM:
            life = life if life.ended_at is not None else replace(life, ended_at=_holds_from(each))
        elif act is _A.ADD_BUDGET:
            signed.append(each)
            if _is_signed_by_both([other for other in signed if _same_addition(other, each)]):
                signed = [other for other in signed if not _same_addition(other, each)]
                life = replace(life, added=(*life.added, _addition(each)))
    return life


def half_signed(made: Iterable[Made], digest: str) -> tuple[Made, ...]:
    """Return the additions to the budget on this digest, which lack a second signature as long as it is the current."""
    return tuple(each for each in made if each.decision.kind is _A.ADD_BUDGET and each.decision.digest == digest)


def lacks(half: Iterable[Made]) -> tuple[Role, ...]:
    """Return the roles that an addition lacks, or, if the one who signed it holds both, those of whom another may."""
    held = {role for each in half for role in each.decision.roles}
    return tuple(sorted(_ROLES_OF_AN_ADDITION - held or _ROLES_OF_AN_ADDITION))


@dataclass(frozen=True, slots=True)
class ProgramSubject(ActSubject):
    """A program as the subject of a decision, at the time ``now``. Times of its people are in its ``zone``.

    ``budget_minor`` is its present budget in minor units; None if it has none.
    """

    life: Life = RUNNING
    budget_minor: int | None = None
    zone: ZoneInfo = _UTC
    now: datetime = _LONG_AGO

    @property
    def name(self) -> str:
        return f"program {self.program}"

    def check_admits(self, asked: Asked, approver: Approver) -> None:
        """Return if the act's own rules admit it, from the time on that it names; else raise."""
        ActSubject.check_admits(self, asked, approver)
        if asked.at is not None and asked.at < self.now:
            raise RequestInvalid("is past: an act on a program never holds before its decision", "at")
        if asked.at is not None and asked.at > self.now + _AHEAD_MAX:
            raise RequestInvalid("is more than ten years ahead", "at")
        if asked.currency is not None and asked.currency != self.currency:
            raise RequestInvalid(f"is {asked.currency}, but the program's budget is in {self.currency}", "currency")


def subject(
    program: str, newest: Terms, history: Sequence[Made], now: datetime, asked: Asked | None = None
) -> ProgramSubject:
    """Return the program as the subject of a decision. ``newest`` are its terms in force, ``history`` all decisions.

    Whoever signed the addition that is ``asked`` for does not sign it again.
    """
    life = life_of([each.decision for each in history], program)
    digest = _digest(program, newest, life, history)
    half = half_signed(history, digest)
    amount_minor = asked.amount_minor if asked is not None else None
    same = [each for each in half if (each.decision.details or {}).get("amount_minor") == amount_minor]
    return ProgramSubject(
        SubjectKind.PROGRAM,
        program_id(program),
        None,
        program,
        newest.currency,
        digest,
        takes(life, newest, now),
        barred={_A.ADD_BUDGET: {each.decision.user: "signed it already" for each in same}},
        history=tuple(history),
        # Alone it has no effect, so another person may still decide.
        invalid=frozenset(each.decision.id for each in half),
        marks={each.decision.user: each.marks for each in same},
        life=life,
        budget_minor=life.budget_minor(newest),
        zone=newest.zone,
        now=now,
    )


def takes(life: Life, newest: Terms, now: datetime) -> frozenset[MoneyAct]:
    """Return the decisions that a program takes now."""
    paused, turns = life.is_paused(now), life.next_turn(now) is not None
    able = {
        _A.PAUSE_PROGRAM: turns or not paused,
        _A.RESUME_PROGRAM: turns or paused,
        _A.END_PROGRAM: life.ended_at is None,
        _A.ADD_BUDGET: newest.limits.budget is not None,
    }
    return frozenset(act for act, is_able in able.items() if is_able)


def check_asked(asked: Asked) -> Details | None:
    """Return the details that are signed with a decision on a program, once all that was entered is in order.

    Raises:
        RequestInvalid: naming what is missing, or does not belong to this act.
    """
    assert isinstance(asked.kind, MoneyAct), f"{asked.kind} is no decision on a program"
    details: dict[str, Any] = check_details(asked.kind, asked.reason, asked.amount_minor, asked.reference) or {}
    check_note(asked.note)
    if asked.at is not None and asked.kind not in TAKES_TIME:
        raise RequestInvalid("This decision takes no time.", "at")
    if (asked.currency is not None) is not (asked.kind is _A.ADD_BUDGET):
        raise RequestInvalid("Enter the currency of an amount, and of nothing else.", "currency")
    if asked.at is not None:
        details["holds_from"] = asked.at.astimezone(UTC).isoformat()
    if asked.currency is not None:
        details["currency"] = asked.currency
    return details or None


def _holds_from(made: Decision) -> datetime:
    """Return from when an act holds: never before its decision."""
    at = (made.details or {}).get("holds_from")
    return made.decided_at if at is None else max(datetime.fromisoformat(at), made.decided_at)


def _addition(made: Decision) -> Added:
    details = made.details or {}
    return Added(details["amount_minor"], details["currency"])


def _same_addition(one: Decision, other: Decision) -> bool:
    return one.digest == other.digest and _addition(one) == _addition(other)


def _is_signed_by_both(made: Sequence[Decision]) -> bool:
    roles = {role for each in made for role in each.roles}
    return roles >= _ROLES_OF_AN_ADDITION and len({each.user for each in made}) > 1


def _digest(program: str, newest: Terms, life: Life, history: Sequence[Made]) -> str:
    """Return the digest of what a decision is made on: the acts so far, and the figure of the terms.

    It changes when somebody who signed an addition is barred before it has its second signature.
    """
    acts = {
        "program": program,
        "ended_at": life.ended_at,
        "turns": [[turn.at, turn.paused] for turn in life.turns],
        "added": [[each.amount_minor, each.currency] for each in life.added],
        "budget": newest.limits.budget,
        "currency": newest.currency,
    }
    before = subject_digest(acts)
    barred = sorted(each.decision.user for each in half_signed(history, before) if each.barred)
    return subject_digest({**acts, "without": barred}) if barred else before
