"""The one place where refusals become HTTP answers: problem details (RFC 9457)."""

from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from models.session import UNREACHABLE
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Visit, visit_so_far
from referral_rewards.api.v1.fields import known_filters
from referral_rewards.domain.errors import (
    ActRefused,
    BadInput,
    ClocksApart,
    DatabaseSilent,
    DecisionRefused,
    NamespaceIncomplete,
    NotAllowed,
    NotFound,
    NotReady,
    NotSignedIn,
    OutsideSilent,
    ReferralRewardsError,
    Refused,
    SealBroken,
    StaleDigest,
    TooManyAttempts,
)
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import labels
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.validation import in_words, unknown_names

_log = structlog.get_logger("api")

#: The HTTP status of refusals; a class not listed here has that of its nearest listed ancestor.
STATUS: Final[Mapping[type[ReferralRewardsError], HTTPStatus]] = {
    BadInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refused: HTTPStatus.CONFLICT,
    NotFound: HTTPStatus.NOT_FOUND,
    NotAllowed: HTTPStatus.FORBIDDEN,
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    SealBroken: HTTPStatus.SERVICE_UNAVAILABLE,
    OutsideSilent: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseSilent: HTTPStatus.SERVICE_UNAVAILABLE,
    NamespaceIncomplete: HTTPStatus.SERVICE_UNAVAILABLE,
    ClocksApart: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(refusal: type[ReferralRewardsError]) -> HTTPStatus:
    """Return the HTTP status of a class of refusals."""
    return next(STATUS[each] for each in refusal.__mro__ if each in STATUS)


async def answer(
    request: Request, status: HTTPStatus, detail: str, *, kind: str = "about:blank", words: str = "", **more: Any
) -> Response:
    """Problem details for a program, a page for a person, which says it in ``words`` where these are others; ``more``
    are members of its own kind."""
    if _by_a_person(request):
        visit = await visit_so_far(request) if status is not HTTPStatus.SERVICE_UNAVAILABLE else None
        roles = visit.user.roles if visit else frozenset()
        return page(
            "problem.html",
            visit,
            status=status,
            title=_HEADINGS.get(status, status.phrase),
            detail="there is nothing at this address" if detail == "Not Found" else words or detail,
            problems=more.get("problems", ()),
            instead=_instead(status, visit),
            ways=_ways(request, status, roles) if visit else (),
        )
    body = {"type": kind, "title": status.phrase, "status": status.value, "detail": detail, **more}
    return JSONResponse(body, status.value, media_type="application/problem+json")


def said(refusal: ReferralRewardsError) -> str:
    """What a person reads of a refusal on the page of what was refused: neither its name nor the code of the rule."""
    if isinstance(refusal, StaleDigest):
        return "the claim changed since you looked at it"
    return refusal.why if isinstance(refusal, DecisionRefused | ActRefused) else str(refusal)


def _instead(status: HTTPStatus, visit: Visit | None) -> str | None:
    """What somebody who is signed in can do instead."""
    if visit is None:
        return None
    if not visit.user.roles:
        return "You have no role yet. Ask an administrator for one."
    if status is HTTPStatus.FORBIDDEN:
        roles = listed(labels("role", sorted(visit.user.roles)))
        return f"Your roles: {roles}. If you need this page, ask an administrator for another role."
    if status is HTTPStatus.NOT_FOUND:
        return "Check the address, or search for what you need:"
    return None


def _ways(request: Request, status: HTTPStatus, roles: Collection[Role]) -> Sequence[tuple[str, str]]:
    """Pages on which to go on, as addresses with their names."""
    if not roles:
        return (("/account", "Your account"),)
    room = request.url.path.split("/")[1]
    if status is HTTPStatus.NOT_FOUND and room in _LISTS:
        return ((f"/{room}", _LISTS[room]), ("/queue", "Queue"))
    if status is HTTPStatus.NOT_FOUND:
        return (("/referrals", "Referrals"), ("/payouts", "Payouts"), ("/queue", "Queue"))
    return (("/queue", "Queue"), ("/account", "Your account"))


#: The lists of the desk that everybody with a role may see, by the first step of their addresses.
_LISTS: Final[Mapping[str, str]] = {
    "clawbacks": "Clawback cases",
    "cycles": "Payout cycles",
    "payouts": "Payouts",
    "programs": "Programs",
    "referrals": "Referrals",
}


def _by_a_person(request: Request) -> bool:
    """Whether a browser requests a page of the desk; paths under /v1 are never pages."""
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")


#: What a person reads above a refusal.
_HEADINGS: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.UNPROCESSABLE_ENTITY: "Please check your input",
    HTTPStatus.CONFLICT: "Not possible now",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.FORBIDDEN: "Not allowed",
    HTTPStatus.UNAUTHORIZED: "Sign in first",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many attempts",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available right now",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong",
}


def install(app: FastAPI) -> None:
    """Make the app answer every error with problem details."""
    app.add_exception_handler(ReferralRewardsError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _by_the_framework)
    for unreachable in UNREACHABLE:
        app.add_exception_handler(unreachable, _unreachable)
    app.add_exception_handler(Exception, _unexpected)


def _kind(error: Exception) -> str:
    """Return a refusal's name in a URN, by which programs tell refusals apart."""
    name = type(error).__name__
    return "urn:referrals:" + "".join(f"-{each.lower()}" if each.isupper() else each for each in name).lstrip("-")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ReferralRewardsError)
    more: dict[str, Any] = {}
    match error:
        case BadInput():
            more["problems"] = [problem._asdict() for problem in error.problems]
        case NotReady():
            more["problems"] = [gap._asdict() for gap in error.gaps]
        case StaleDigest():
            more |= {"shown": error.shown, "current": error.current}
        case DecisionRefused() | ActRefused():
            more["rule"] = error.rule
    response = await answer(request, status_of(type(error)), str(error), kind=_kind(error), words=said(error), **more)
    if isinstance(error, NotSignedIn):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, OutsideSilent | DatabaseSilent):
        response.headers["Retry-After"] = "60"
    return response


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [_placed(request, each) for each in error.errors()]
    told = "; ".join(f"{each['where']}: {each['what']}" if each["where"] else each["what"] for each in problems)
    return await answer(
        request, HTTPStatus.UNPROCESSABLE_ENTITY, told, kind="urn:referrals:request-invalid", problems=problems
    )


def _placed(request: Request, found: Mapping[str, Any]) -> dict[str, str]:
    """A finding of the framework: where in the body or the address, and what would be right."""
    part, *path = map(str, found["loc"])
    if found["type"] != "extra_forbidden":
        return {"where": ".".join(path), "what": in_words(found)}
    if part == "query":
        return {"where": "", "what": unknown_names(path[-1], known_filters(request))}
    return {"where": ".".join(path), "what": "is not known here; leave it out"}


async def _by_the_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:
        # A body in an unknown encoding. The framework reports a body that is not JSON in another way.
        problems = [{"where": "", "what": "the body can't be read"}]
        return await answer(
            request,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            problems[0]["what"],
            kind="urn:referrals:request-invalid",
            problems=problems,
        )
    response = await answer(request, HTTPStatus(error.status_code), str(error.detail))
    response.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return response


def _methods_of(request: Request) -> set[str]:
    """Return the methods of a resource: those of all routes with the longest pattern that matches the path."""
    matching = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.path_regex.match(request.url.path) is not None
    ]
    longest = max((route.path for route in matching), key=len, default="")
    return {method for route in matching if route.path == longest for method in route.methods or ()}


async def _unreachable(request: Request, error: Exception) -> Response:
    _log.warning("database_unreachable", error=type(error).__name__)
    response = await answer(
        request, HTTPStatus.SERVICE_UNAVAILABLE, "the database does not answer; nothing was saved, try again"
    )
    response.headers["Retry-After"] = "1"
    return response


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("unexpected", error=type(error).__name__, path=request.url.path)
    return await answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error on our side; nothing was saved")
