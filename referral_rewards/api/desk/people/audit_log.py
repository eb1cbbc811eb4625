"""The audit log: who did what, when, newest first."""

from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.listing import Chosen, show
from referral_rewards.api.desk.money.acts import ROOMS
from referral_rewards.api.desk.session.visiting import Reader
from referral_rewards.api.desk.words import words_in
from referral_rewards.domain.decisions.money_acts import SUBJECT_OF, MoneyAct, SubjectKind
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.programs.terms import Role
from referral_rewards.reporting.lists.audit import AUDIT, KINDS, ORDERS, Event, Wanted, people

router = APIRouter()

Asked = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("/audit")
async def audit_log(
    visit: Reader,
    parts: Its,
    choice: Chosen,
    actor: Asked = "",
    act: Asked = "",
    subject: Asked = "",
    sign_ins: bool = False,
) -> Response:
    """The record, by person, kind, subject or day, a page at a time."""
    typed = {**words_in(actor=actor, act=act, subject=subject), "sign_ins": "true" if sign_ins else ""}
    wanted = partial(
        Wanted,
        actor=typed["actor"] or None,
        act=typed["act"] or None,
        subject=typed["subject"] or None,
        sign_ins=sign_ins,
    )
    return await show(
        parts,
        visit,
        "audit.html",
        AUDIT,
        choice,
        typed,
        wanted,
        ORDERS,
        beside=_people,
        here="/audit",
        kinds=_by_noun(),
        told=_told,
        subject_of=_subject,
        address=lambda event: _address(event, visit.user.roles),
    )


async def _people(connection: AsyncConnection) -> dict[str, Any]:
    return {"people": await people(connection)}


def _by_noun() -> dict[str, list[str]]:
    return {noun: list(kinds) for noun, kinds in groupby(KINDS, key=lambda kind: kind.partition(".")[0])}


def _subject(event: Event) -> str:
    """What it was done to, as people call it."""
    return label("rail", event.subject) if event.act.startswith("reconciliation.") else event.subject


def _told(details: dict[str, Any]) -> list[tuple[str, Any]]:
    """The details of an entry in words: each field with its value."""
    return [(label("field", name), _said(name, value)) for name, value in details.items()]


def _said(name: str, value: Any) -> Any:
    vocabulary = _VOCABULARIES.get(name)
    many = value if isinstance(value, list) else [value]
    if not many or value in (None, ""):
        return "none"
    if name in _MOMENTS:
        return datetime.fromisoformat(value)
    return ", ".join(label(vocabulary, each) if vocabulary else str(each) for each in many)


#: Details whose values are moments.
_MOMENTS: Final = frozenset({"expires_at", "restored_to", "since", "until"})
#: Details whose values are codes of ours.
_VOCABULARIES: Final = {
    "because": "look",
    "before": "role",
    "kind": "decision",
    "limited_by": "field",
    "marks": "mark",
    "measured": "go",
    "rail": "rail",
    "reason": "decision_reason",
    "roles": "role",
    "rule": "rule",
    "scopes": "scope",
    "types": "fact",
    "verdict": "go",
    "way": "way",
    "why": "rule",
}


def _address(event: Event, roles: frozenset[Role]) -> str | None:
    """The page about what it was done to, if there is one that the visitor may see."""
    noun = event.act.partition(".")[0]
    if noun == "decision" and (kind := event.details.get("kind")) in set(MoneyAct):
        about = SUBJECT_OF[MoneyAct(kind)]
        if about in (SubjectKind.PAYEE, SubjectKind.LEAVING_PAYEE) and not roles & {Role.FINANCE, Role.ADMINISTRATOR}:
            return None
        return f"/{ROOMS.get(about, 'payees')}/{quote(event.subject, safe='')}"
    if noun in ("decision", "reward", "clawback", "status_link") and event.subject:
        return f"/referrals/{quote(event.subject, safe='')}"
    if noun == "payee" and roles & {Role.FINANCE, Role.ADMINISTRATOR}:
        return f"/payees/{quote(event.subject, safe='')}"
    if noun in ("payout", "instruction"):
        return f"/payouts/{quote(event.subject, safe='')}"
    if noun == "cycle":
        return f"/cycles/{quote(event.subject, safe='')}"
    if noun == "reconciliation" and roles & {Role.FINANCE, Role.ADMINISTRATOR}:
        return "/reconciliations"
    if noun == "register":
        return "/rails"
    if noun == "program":
        return f"/programs/{quote(event.subject, safe='')}"
    if noun in ("user", "session", "token") and event.subject != "unknown" and Role.ADMINISTRATOR in roles:
        return f"/people/{quote(event.subject, safe='')}"
    return None
