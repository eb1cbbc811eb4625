"""Looks at a payee in clear: finance asks, says why, and sees a page of its own. Each look is on record first."""

from fastapi import APIRouter
from fastapi.responses import Response

from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Bookkeeper, SentForm
from referral_rewards.api.looking import look

router = APIRouter()


@router.post("/looks")
async def look_at_payee(visit: Bookkeeper, form: SentForm, parts: Its) -> Response:
    """One payee's names and destinations in clear. No browser keeps it, and no address names it."""
    seen = await look(parts, visit.user, str(form.get("payee") or ""), str(form.get("why") or ""))
    answer = page("look.html", visit, here="/payees", seen=seen)
    answer.headers["Cache-Control"] = "no-store"
    return answer
