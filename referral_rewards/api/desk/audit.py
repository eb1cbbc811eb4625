"""The audit log: who did what, when, newest first."""

from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Reading
from referral_rewards.api.desk.acts import ROOMS
from referral_rewards.api.desk.pages import Start, counted, page
from referral_rewards.api.desk.session.visiting import Reader
from referral_rewards.api.v1.audit import Number
from referral_rewards.domain.decisions.money_acts import SUBJECT_OF, MoneyAct, SubjectKind
from referral_rewards.domain.labels import label
from referral_rewards.domain.programs.terms import Role
from referral_rewards.reporting import audit
from referral_rewards.reporting.audit import Event

router = APIRouter()

_ON_A_PAGE = 50
Typed = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("/audit")
async def audit_log(
    visit: Reader,
    connection: Reading,
    actor: Typed = "",
    act: Typed = "",
    subject: Typed = "",
    before: Number = None,
    start: Start = 1,
) -> Response:
    """The record, by actor, act or subject, a page at a time."""
    typed = {"actor": actor.strip(), "act": act.strip(), "subject": subject.strip()}
    wanted = audit.Wanted(**typed, before=before, limit=_ON_A_PAGE + 1)
    found = await audit.listing(connection, wanted)
    shown, more = found[:_ON_A_PAGE], len(found) > _ON_A_PAGE
    kept = {name: value for name, value in typed.items() if value}
    rows = await counted(start, len(shown), more=more, total=lambda: audit.count(connection, wanted))
    return page(
        "audit.html",
        visit,
        here="/audit",
        typed=typed,
        events=[(each, _told(each.details), _address(each, visit.user.roles)) for each in shown],
        newest=f"/audit?{urlencode(kept)}" if before else None,
        counted=rows,
        older=f"/audit?{urlencode({**kept, 'before': shown[-1].number, 'start': rows.following})}" if more else None,
        acts=ACTS,
    )


#: What is suggested to whoever filters.
ACTS = (
    "blocklist",
    "decision",
    "decision.refused",
    "payee.seen",
    "program",
    "session",
    "session.refused",
    "token",
    "user",
)


def _told(details: dict[str, Any]) -> list[tuple[str, Any]]:
    """The details of an entry in words: each field with its value."""
    return [(label("field", name), _said(name, value)) for name, value in details.items()]


def _said(name: str, value: Any) -> Any:
    vocabulary = _VOCABULARIES.get(name)
    many = value if isinstance(value, list) else [value]
    if not many or value in (None, ""):
        return "none"
    if name == "expires_at":
        return datetime.fromisoformat(value)
    return ", ".join(label(vocabulary, each) if vocabulary else str(each) for each in many)


#: Details whose values are codes of ours.
_VOCABULARIES: Final = {
    "because": "look",
    "before": "role",
    "kind": "decision",
    "limited_by": "field",
    "marks": "mark",
    "reason": "decision_reason",
    "roles": "role",
    "rule": "rule",
    "scopes": "scope",
    "types": "fact",
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
    if noun == "decision":
        return f"/referrals/{quote(event.subject, safe='')}"
    if noun == "payee" and roles & {Role.FINANCE, Role.ADMINISTRATOR}:
        return f"/payees/{quote(event.subject, safe='')}"
    if noun == "program":
        return f"/programs/{quote(event.subject, safe='')}"
    if noun in ("user", "session", "token") and event.subject != "unknown" and Role.ADMINISTRATOR in roles:
        return f"/people/{quote(event.subject, safe='')}"
    return None
