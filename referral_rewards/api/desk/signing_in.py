"""Signing in with a password, and signing out."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session import cookies
from referral_rewards.api.desk.session.carried import HOME, Carried, own_address
from referral_rewards.api.desk.session.visiting import (
    CSRF_FIELD,
    SentForm,
    SignInNeeded,
    Visit,
    Visitor,
    csrf_of,
    forget_session_cookie,
    form_of,
    is_token,
    session_token,
    set_session_cookie,
    visit_of,
    zone_of,
)
from referral_rewards.domain.errors import TooManyAttempts
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import audit
from referral_rewards.register.audit import NOBODY
from referral_rewards.register.people import attempts, passwords, sessions, users
from referral_rewards.register.people.attempts import Attempt
from referral_rewards.register.people.users import User

router = APIRouter()

_COOKIE: Final = "referrals_sign_in"
_SECONDS: Final = 3600
#: A browser in which somebody signed in keeps its pass for half a year: strangers can't lock that person out there.
_KNOWN: Final = "referrals_known"
_KNOWN_SECONDS: Final = 180 * 86_400
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


LoginForm = Annotated[FormData, Depends(form_of)]


@router.post("/sign-in")
async def sign_in(request: Request, parts: Its, form: LoginForm) -> Response:
    """Signs in by name and password. What was carried is shown to be sent, by the answer itself, as no address can."""
    name, password = _said(form, "name").strip(), _said(form, "password")
    back, carried = _said(form, "return_to"), Carried.back(form)
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
    token, user = await begin_session(request, parts, name, way="password")
    if carried is None:
        answer: Response = RedirectResponse(landing(user, back), HTTPStatus.SEE_OTHER)
    else:
        answer = page("carried.html", Visit(user, csrf_of(token), zone_of(request)), carried=carried)
    set_session_cookie(answer, request, token)
    cookies.hand(answer, request, _KNOWN, attempts.new_pass(parts.intake.marker, name), seconds=_KNOWN_SECONDS)
    return answer


@router.post("/sign-in/continue")
async def go_on(request: Request, parts: Its, form: LoginForm) -> Response:
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
async def sign_out(request: Request, parts: Its, visit: Visitor, form: SentForm) -> Response:
    """Ends this session."""
    await parts.database.write(_end_session, visit.user.name, session_token(request) or "")
    answer = RedirectResponse("/sign-in?out=true", HTTPStatus.SEE_OTHER)
    forget_session_cookie(answer, request)
    return answer


async def _end_session(connection: AsyncConnection, name: str, token: str) -> None:
    await sessions.end(connection, token)
    await audit.note(connection, actor=name, act="session.ended", subject=name, at=datetime.now(UTC))


def ask(
    request: Request,
    parts: Parts,
    *,
    return_to: str = "",
    name: str = "",
    carried: Carried | None = None,
    told: str = "",
    problem: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    """The sign-in page, with a token that only this browser can send back."""
    known = cookies.held(request, _COOKIE) or ""
    secret = known if len(known) == len(secrets.token_urlsafe(32)) else secrets.token_urlsafe(32)
    answer = page(
        "sign_in.html",
        None,
        status=HTTPStatus(status),
        token=_token(secret),
        return_to=own_address(return_to) or "",
        name=name if id_problem(name) is None else "",
        carried=carried,
        told=told,
        problem=problem,
        provider=parts.openid.host if parts.openid else None,
    )
    cookies.hand(answer, request, _COOKIE, secret, seconds=_SECONDS)
    return answer


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


def is_ours(request: Request, form: FormData) -> bool:
    """Whether the sign-in form came from our page in this browser: nobody is signed in to a stranger's account."""
    secret = cookies.held(request, _COOKIE)
    return secret is not None and is_token(form.get(CSRF_FIELD), _token(secret))


async def begin_session(
    request: Request, parts: Parts, name: str, *, way: str, roles: Collection[Role] | None = None
) -> tuple[str, User]:
    """Start a session for an authenticated user, in place of the browser's earlier one; return its token."""
    now, before = datetime.now(UTC), session_token(request)

    async def begin(connection: AsyncConnection) -> tuple[str, User]:
        if before:
            await sessions.end(connection, before)
        token = await sessions.begin(connection, name, at=now, roles=roles)
        user = await sessions.visitor(connection, token, at=now)
        await audit.note(connection, actor=name, act="session.begun", subject=name, at=now, way=way)
        await sessions.forget_expired(connection, now)
        await attempts.forget_old(connection, now)
        return token, user

    return await parts.database.write(begin)


async def matches(request: Request, parts: Parts, name: str, password: str) -> bool:
    """Whether name and password belong together.

    Raises:
        TooManyAttempts: if that was tried in vain too often (`attempts`).
    """
    now, marker = datetime.now(UTC), parts.intake.marker
    address = request.client.host if request.client else ""
    has_pass = cookies.held(request, _KNOWN)
    attempt = await parts.database.write(
        attempts.begin, marker, name=name, address=address, at=now, browsers_pass=has_pass
    )
    possible = id_problem(name) is None
    right = await passwords.matches(parts.database, name if possible else "", password) and possible
    if right:
        await parts.database.write(attempts.succeeded, attempt)
    else:
        await parts.database.write(_note_refusal, name if possible else "", attempt, now)
    return right


def landing(user: User, return_to: str) -> str:
    """Return where a user goes after signing in: back, or to the queue; without a role, to the page that says so."""
    return (own_address(return_to) or HOME) if user.roles else "/account"


async def _note_refusal(connection: AsyncConnection, name: str, attempt: Attempt, at: datetime) -> None:
    """Record a refused sign-in; the name only if there is such a user, as other text typed there may be sensitive."""
    subject = name if name and await users.exists(connection, name) else "unknown"
    limited = {"limited_by": list(attempt.last)} if attempt.last else {}
    await audit.note(connection, actor=NOBODY, act="session.refused", subject=subject, at=at, way="password", **limited)


def _said(form: FormData, field: str) -> str:
    value = form.get(field)
    return value if isinstance(value, str) else ""


def _token(secret: str) -> str:
    return hmac.new(secret.encode(), b"sign-in", hashlib.sha256).hexdigest()
