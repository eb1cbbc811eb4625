"""The audit log: who did what, when, newest first."""

from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from referral_rewards.api.dependencies import Reading
from referral_rewards.api.desk.acts import ROOMS
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader
from referral_rewards.api.v1.audit import Number
from referral_rewards.domain.decisions.money_acts import SUBJECT_OF, MoneyAct
from referral_rewards.domain.programs.terms import Role
from referral_rewards.reporting import audit
from referral_rewards.reporting.audit import Event

router = APIRouter()

_ON_A_PAGE = 50
Typed = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("/audit")
async def audit_log(
    visit: Reader, connection: Reading, actor: Typed = "", act: Typed = "", subject: Typed = "", before: Number = None
) -> Response:
    """The record, by actor, act or subject, a page at a time."""
    typed = {"actor": actor.strip(), "act": act.strip(), "subject": subject.strip()}
    wanted = audit.Wanted(**typed, before=before, limit=_ON_A_PAGE + 1)
    found = await audit.listing(connection, wanted)
    shown, more = found[:_ON_A_PAGE], len(found) > _ON_A_PAGE
    kept = {name: value for name, value in typed.items() if value}
    return page(
        "audit.html",
        visit,
        here="/audit",
        typed=typed,
        events=[(each, _told(each.details), _address(each, visit.user.roles)) for each in shown],
        newest=f"/audit?{urlencode(kept)}" if before else None,
        older=f"/audit?{urlencode({**kept, 'before': shown[-1].number})}" if more else None,
        acts=ACTS,
    )


#: What is suggested to whoever filters.
ACTS = ("blocklist", "decision", "decision.refused", "program", "session", "session.refused", "token", "user")


def _told(details: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)) for name, value in details.items()
    ]


def _address(event: Event, roles: frozenset[Role]) -> str | None:
    """The page about what it was done to, if there is one that the visitor may see."""
    noun = event.act.partition(".")[0]
    if noun == "decision" and (kind := event.details.get("kind")) in set(MoneyAct):
        return f"/{ROOMS[SUBJECT_OF[MoneyAct(kind)]]}/{quote(event.subject, safe='')}"
    if noun == "decision":
        return f"/referrals/{quote(event.subject, safe='')}"
    if noun == "program":
        return f"/programs/{quote(event.subject, safe='')}"
    if noun in ("user", "session", "token") and event.subject != "unknown" and Role.ADMINISTRATOR in roles:
        return f"/people/{quote(event.subject, safe='')}"
    return None
