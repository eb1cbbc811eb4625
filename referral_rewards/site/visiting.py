"""Who visits: the session of a referrer in a signed cookie, the fields of forms, and the network that it comes from."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from referral_rewards.site import rows
from referral_rewards.site.parts import Parts
from referral_rewards.site.rows import Referrer
from referral_rewards.site.rules import tokens
from referral_rewards.site.rules.limits import Limit, network_of
from referral_rewards.site.rules.tokens import SESSION_LASTS, OwnSession
from referral_rewards.site.shown_programs import ShownProgram

CSRF_FIELD: Final = "csrf"


async def _parts(request: Request) -> Parts:  # a plain function would be called in a thread
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


Its = Annotated[Parts, Depends(_parts)]


@dataclass(frozen=True, slots=True)
class Visit:
    """A referrer before their own page; ``csrf`` is what the forms of this session carry."""

    referrer: Referrer
    program: ShownProgram
    csrf: str


class NotSignedIn(Exception):
    """Nobody's session, or one that is over."""


async def _visit(request: Request, parts: Its) -> Visit:
    token = request.cookies.get(cookie_name(parts), "")
    session = tokens.session_of(parts.secret, token, parts.clock())
    if session is None or session.program not in parts.programs:
        raise NotSignedIn
    referrer = await parts.store.read(rows.referrer, session.program, session.customer)
    if referrer is None:
        raise NotSignedIn
    return Visit(referrer, parts.programs[session.program], tokens.csrf_of(parts.secret, token))


Visiting = Annotated[Visit, Depends(_visit)]
"""A referrer who came by a signed link."""


async def _form(request: Request) -> Mapping[str, str]:
    async with request.form(max_files=0, max_fields=20) as form:
        return {name: value for name, value in form.items() if isinstance(value, str) and "\x00" not in value}


Form = Annotated[Mapping[str, str], Depends(_form)]
"""The fields of a form."""


async def _own_form(visit: Visiting, form: Form) -> Mapping[str, str]:
    if not hmac.compare_digest(form.get(CSRF_FIELD, "").encode(), visit.csrf.encode()):
        raise HTTPException(HTTPStatus.FORBIDDEN, "this form is of another session; open the page again")
    return form


OwnForm = Annotated[Mapping[str, str], Depends(_own_form)]
"""The fields of a form of this session."""


def sign_in(response: Response, parts: Parts, referrer: Referrer) -> Response:
    """Return the response with the session of a referrer."""
    now = parts.clock()
    session = OwnSession(referrer.program, referrer.customer, int((now + SESSION_LASTS).timestamp()))
    response.set_cookie(
        cookie_name(parts),
        tokens.session_token(parts.secret, session),
        max_age=int(SESSION_LASTS.total_seconds()),
        secure=_secure(parts),
        httponly=True,
        samesite="lax",
    )
    return response


def sign_out(response: Response, parts: Parts) -> Response:
    """Return the response that ends the session in this browser."""
    response.delete_cookie(cookie_name(parts), secure=_secure(parts), httponly=True, samesite="lax")
    return response


def cookie_name(parts: Parts) -> str:
    """Return the name of the cookie; over HTTPS no other host can set it."""
    return "__Host-door" if _secure(parts) else "door"


def address_of(request: Request) -> str:
    """Return the network address that a request came from; empty if it is none."""
    host = request.client.host if request.client else ""
    return host if network_of(host) else ""


async def hold(parts: Parts, limit: Limit, of: str) -> None:
    """Count an attempt. The store holds a keyed hash of whatever it is counted by.

    Raises:
        HTTPException: if there were too many.
    """
    key = tokens.keyed(parts.secret, "attempt", of)
    if not await parts.store.write(rows.attempt, limit, key, parts.clock()):
        raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, "there were too many tries from here; try again later")


def _secure(parts: Parts) -> bool:
    return parts.settings.home_url().startswith("https://")
