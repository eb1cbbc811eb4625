"""Begins sessions: what is shown to sign in is compared, failures are counted, and the browser gets its cookies."""

from collections.abc import Collection
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session import cookies
from referral_rewards.api.desk.session.carried import HOME, Carried, own_address
from referral_rewards.api.desk.session.visiting import Visit, csrf_of, session_token, set_session_cookie, zone_of
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import audit
from referral_rewards.register.audit import NOBODY
from referral_rewards.register.people import attempts, factors, passwords, sessions, users
from referral_rewards.register.people.attempts import Attempt
from referral_rewards.register.people.users import User

#: A browser in which somebody signed in keeps its pass for half a year: strangers can't lock that person out there.
_KNOWN: Final = "referrals_known"
_KNOWN_SECONDS: Final = 180 * 86_400


async def begin_session(
    request: Request, parts: Parts, name: str, *, way: str, factor: Factor, roles: Collection[Role] | None = None
) -> tuple[str, User]:
    """Start a session for an authenticated user, in place of the browser's earlier one; return its token."""
    now, before = datetime.now(UTC), session_token(request)

    async def begin(connection: AsyncConnection) -> tuple[str, User]:
        if before:
            await sessions.end(connection, before)
        token = await sessions.begin(connection, name, at=now, roles=roles, factor=factor)
        user = await sessions.visitor(connection, token, at=now)
        await audit.note(connection, actor=name, act="session.begun", subject=name, at=now, way=way)
        await sessions.forget_expired(connection, now)
        await attempts.forget_old(connection, now)
        return token, user

    return await parts.database.write(begin)


async def let_in(
    request: Request, parts: Parts, name: str, factor: Factor, *, return_to: str, carried: Carried | None
) -> Response:
    """Begin the session of somebody who has shown all that we ask for, and go on where they were."""
    token, user = await begin_session(request, parts, name, way="password", factor=factor)
    if carried is None:
        answer: Response = RedirectResponse(landing(user, return_to), HTTPStatus.SEE_OTHER)
    else:
        answer = page("carried.html", Visit(user, csrf_of(token), zone_of(request)), carried=carried)
    set_session_cookie(answer, request, token)
    cookies.hand(answer, request, _KNOWN, attempts.new_pass(parts.intake.marker, name), seconds=_KNOWN_SECONDS)
    return answer


async def matches(request: Request, parts: Parts, name: str, password: str) -> bool:
    """Whether name and password belong together.

    Raises:
        TooManyAttempts: if that was tried in vain too often (`attempts`).
    """
    now, attempt = await _begun(request, parts, name)
    possible = id_problem(name) is None
    right = await passwords.matches(parts.database, name if possible else "", password) and possible
    if right:
        await parts.database.write(attempts.succeeded, attempt)
    else:
        await parts.database.write(_note_refusal, name if possible else "", attempt, now, "password")
    return right


async def shows_factor(request: Request, parts: Parts, name: str, code: str) -> bool:
    """Whether the code is the second factor of this user, who is known by a password or a session. It is used up.

    Raises:
        TooManyAttempts: if that was tried in vain too often (`attempts`).
    """
    now, attempt = await _begun(request, parts, name, of_code=True)
    right = await parts.database.write(factors.show, parts.sealer, name, code, at=now)
    if right:
        await parts.database.write(attempts.succeeded, attempt)
    else:
        await parts.database.write(_note_refusal, name, attempt, now, "second_factor")
    return right


async def _begun(request: Request, parts: Parts, name: str, *, of_code: bool = False) -> tuple[datetime, Attempt]:
    """Count an attempt, as failed until it succeeds."""
    now = datetime.now(UTC)
    attempt = await parts.database.write(
        attempts.begin,
        parts.intake.marker,
        name=name,
        address=request.client.host if request.client else "",
        at=now,
        browsers_pass=cookies.held(request, _KNOWN),
        of_code=of_code,
    )
    return now, attempt


def landing(user: User, return_to: str) -> str:
    """Return where a user goes after signing in: back, or to the queue; without a role, to the page that says so."""
    return (own_address(return_to) or HOME) if user.roles else "/account"


async def _note_refusal(connection: AsyncConnection, name: str, attempt: Attempt, at: datetime, way: str) -> None:
    """Record a refused sign-in; the name only if there is such a user, as other text typed there may be sensitive."""
    subject = name if name and await users.exists(connection, name) else "unknown"
    limited = {"limited_by": list(attempt.last)} if attempt.last else {}
    await audit.note(connection, actor=NOBODY, act="session.refused", subject=subject, at=at, way=way, **limited)
