"""Sessions of the desk: the user behind the cookie, and the proof that a form came from one of our pages."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import unquote

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData

from models.session import UNREACHABLE
from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.session import cookies
from referral_rewards.domain import calendar
from referral_rewards.domain.errors import FactorNeeded, NotAllowed, NotSignedIn, RequestInvalid
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.people import sessions
from referral_rewards.register.people.users import User

SESSION_COOKIE: Final = "referrals_session"
#: Set by a script of ours, for the browser alone knows where it is. It says nothing but a time zone.
ZONE_COOKIE: Final = "referrals_zone"
#: The field that every form of the desk carries.
CSRF_FIELD: Final = "csrf"


@dataclass(frozen=True, slots=True)
class Visit:
    """A signed-in person with a browser; ``csrf`` goes into each form, and is asked for when it comes back.

    ``zone`` is the IANA time zone that the browser says it is in, None if it says none.
    """

    user: User
    csrf: str
    zone: str | None = None


class SignInNeeded(Exception):
    """No user is signed in: the desk shows the sign-in page and then returns to the requested page."""

    def __init__(self, *, was_signed_in: bool) -> None:
        self.was_signed_in = was_signed_in
        super().__init__("sign in first")


class FormNotOurs(NotAllowed):
    """A form that did not come from one of our pages, or that is from an earlier session."""


async def visit_of(request: Request, parts: Its) -> Visit:
    """Return the visit of a request. Raises SignInNeeded if no user is signed in."""
    token = session_token(request)
    if token is None:
        raise SignInNeeded(was_signed_in=False)
    try:
        user = await parts.database.write(sessions.visitor, token, at=datetime.now(UTC))
    except NotSignedIn:
        raise SignInNeeded(was_signed_in=True) from None
    visit = request.state.visit = Visit(user, csrf_of(token), zone_of(request))
    return visit


async def visit_so_far(request: Request) -> Visit | None:
    """Who visits, for a page about something that went wrong; None if nobody is signed in, or nobody knows."""
    known: Visit | None = getattr(request.state, "visit", None)
    if known is not None or session_token(request) is None:
        return known
    try:
        return await visit_of(request, request.app.state.parts)
    except (SignInNeeded, *UNREACHABLE):
        return None


def zone_of(request: Request) -> str | None:
    """The time zone that the browser noted in a cookie; None for one that is none."""
    named = request.cookies.get(ZONE_COOKIE, "")
    try:
        return calendar.zone(unquote(named)).key
    except ValueError:
        return None


async def form_of(request: Request) -> FormData:
    """Return the fields of a form, from any sender.

    Raises:
        RequestInvalid: if a field is not text. A form may name an encoding that allows half a character.
    """
    form = await request.form()
    for name, value in form.multi_items():
        if any("\ud800" <= each <= "\udfff" for each in (*name, *(value if isinstance(value, str) else ""))):
            raise RequestInvalid("holds what is no text: half of a surrogate pair", "form")
    return form


AnyVisitor = Annotated[Visit, Depends(visit_of)]
"""A signed-in user, also one who has to set up a second factor before anything else."""


async def _form_of_ours(request: Request, visit: AnyVisitor) -> FormData:
    form = await form_of(request)
    if not is_token(form.get(CSRF_FIELD), visit.csrf):
        raise FormNotOurs("the form was not sent from this session; go back, reload the page and send it again")
    return form


AnyForm = Annotated[FormData, Depends(_form_of_ours)]
"""The fields of a form that one of our own pages sent in this session, by any visitor."""


async def _visitor(visit: AnyVisitor) -> Visit:
    if visit.user.lacks_factor:
        raise FactorNeeded
    return visit


Visitor = Annotated[Visit, Depends(_visitor)]
"""A signed-in user with any roles; without one the sign-in page is shown."""


async def _sent_form(visit: Visitor, form: AnyForm) -> FormData:
    return form


SentForm = Annotated[FormData, Depends(_sent_form)]
"""The fields of a form that one of our own pages sent in this session."""


def session_token(request: Request) -> str | None:
    """Return the token in the session cookie, if there is one."""
    return cookies.held(request, SESSION_COOKIE)


def set_session_cookie(response: Response, request: Request, token: str) -> None:
    """Set the session cookie, until the browser is closed."""
    cookies.hand(response, request, SESSION_COOKIE, token)


def forget_session_cookie(response: Response, request: Request) -> None:
    """Delete the session cookie."""
    cookies.forget(response, request, SESSION_COOKIE)


def cookie_name(*, secure: bool) -> str:
    """The cookie's name on this scheme."""
    return cookies.cookie_name(SESSION_COOKIE, secure=secure)


def is_token(given: object, right: str) -> bool:
    """Whether a submitted form contains the token that it was given."""
    return isinstance(given, str) and hmac.compare_digest(given.encode(), right.encode())


def csrf_of(token: str) -> str:
    """Return the CSRF token of a session; it can't be known without the cookie."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


async def _reader(visit: Visitor) -> Visit:
    visit.user.need_a_role()
    return visit


Reader = Annotated[Visit, Depends(_reader)]
"""A visitor with a role, who may therefore read referrals, claims and programs."""


async def _bookkeeper(visit: Visitor) -> Visit:
    visit.user.need_the_books()
    return visit


Bookkeeper = Annotated[Visit, Depends(_bookkeeper)]
"""A visitor who may read the books."""


async def _administrator(visit: Visitor) -> Visit:
    if Role.ADMINISTRATOR not in visit.user.roles:
        raise NotAllowed("Only administrators can manage people.")
    return visit


Administrator = Annotated[Visit, Depends(_administrator)]
"""A visitor who administers users and their access, which gives no authority over money."""
