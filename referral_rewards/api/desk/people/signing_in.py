"""Signing in with a password, and signing out."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.people.second_step import WithoutSession, ask_code, factor_of
from referral_rewards.api.desk.session.asking import ask, is_ours, said
from referral_rewards.api.desk.session.beginning import landing, let_in, matches
from referral_rewards.api.desk.session.carried import Carried, own_address
from referral_rewards.api.desk.session.visiting import (
    AnyForm,
    AnyVisitor,
    SignInNeeded,
    Visitor,
    forget_session_cookie,
    session_token,
    visit_of,
)
from referral_rewards.domain.errors import TooManyAttempts
from referral_rewards.register import audit
from referral_rewards.register.people import factors, sessions

router = APIRouter()

#: The same whatever is wrong, so that nobody learns which names there are.
_WRONG: Final = "Wrong name or password."
_LET_GO: Final = (
    "Your session has ended, and what you sent could not be kept. Use your browser’s Back button to see it again."
)
_STALE: Final = "This page was open for too long. Nothing is lost: sign in again."


@router.get("/")
async def home(visit: Visitor) -> Response:
    """Redirect to the start page."""
    return RedirectResponse(landing(visit.user, ""), HTTPStatus.SEE_OTHER)


@router.get("/sign-in")
async def sign_in_page(request: Request, parts: Its, return_to: str = "", out: bool = False) -> Response:
    """Show the sign-in page; a user who is signed in is redirected."""
    try:
        visit = await visit_of(request, parts)
    except SignInNeeded:
        return ask(request, parts, return_to=return_to, told="You are signed out." if out else "")
    return RedirectResponse(landing(visit.user, return_to), HTTPStatus.SEE_OTHER)


@router.post("/sign-in")
async def sign_in(request: Request, parts: Its, form: WithoutSession) -> Response:
    """Signs in by name and password, and asks for a code next where the user has a second factor.

    What was carried is shown to be sent, by the answer itself, as no address can.
    """
    name, password = said(form, "name").strip(), said(form, "password")
    back, carried = said(form, "return_to"), Carried.back(form)
    if not is_ours(request, form):
        return ask(request, parts, return_to=back, name=name, carried=carried, problem=_STALE)
    try:
        right = await matches(request, parts, name, password)
    except TooManyAttempts as refusal:
        limited = ask(request, parts, return_to=back, name=name, carried=carried, problem=str(refusal), status=429)
        limited.headers["Retry-After"] = str(refusal.retry_after_seconds)
        return limited
    if not right:
        return ask(request, parts, return_to=back, name=name, carried=carried, problem=_WRONG, status=401)
    if await parts.database.write(factors.is_enrolled, name):
        return await ask_code(request, parts, name, return_to=back, carried=carried)
    return await let_in(request, parts, name, factor_of(parts), return_to=back, carried=carried)


@router.post("/sign-in/continue")
async def go_on(request: Request, parts: Its, form: WithoutSession) -> Response:
    """Show the carried form to a user who has signed in in another tab."""
    carried = Carried.back(form)
    if not is_ours(request, form):
        return ask(request, parts, carried=carried, problem=_STALE)
    try:
        visit = await visit_of(request, parts)
    except SignInNeeded:
        return ask(request, parts, carried=carried, problem="You are not signed in yet.")
    if carried is None:
        return RedirectResponse(landing(visit.user, ""), HTTPStatus.SEE_OTHER)
    return page("carried.html", visit, carried=carried)


@router.post("/sign-out")
async def sign_out(request: Request, parts: Its, visit: AnyVisitor, form: AnyForm) -> Response:
    """Ends this session."""
    await parts.database.write(_end_session, visit.user.name, session_token(request) or "")
    answer = RedirectResponse("/sign-in?out=true", HTTPStatus.SEE_OTHER)
    forget_session_cookie(answer, request)
    return answer


async def _end_session(connection: AsyncConnection, name: str, token: str) -> None:
    await sessions.end(connection, token)
    await audit.note(connection, actor=name, act="session.ended", subject=name, at=datetime.now(UTC))


async def sign_in_first(request: Request, error: Exception) -> Response:
    """Where a page needs somebody signed in: to the sign-in page and back; with a form, that page carries it."""
    assert isinstance(error, SignInNeeded)
    if request.method != "POST":
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?return_to={quote(wanted)}", HTTPStatus.SEE_OTHER)
    carried = await Carried.of(request)
    if carried is None:
        told = _LET_GO if error.was_signed_in and own_address(request.url.path) else ""
        return ask(request, request.app.state.parts, problem=told, status=HTTPStatus.UNAUTHORIZED)
    return ask(request, request.app.state.parts, carried=carried, status=HTTPStatus.UNAUTHORIZED)
