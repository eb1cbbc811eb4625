"""The one place where refusals become HTTP answers: problem details (RFC 9457)."""

from collections.abc import Mapping
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
from referral_rewards.api.v1.filters import known_filters
from referral_rewards.domain.errors import (
    ActRefused,
    BadInput,
    DecisionRefused,
    NotAllowed,
    NotFound,
    NotSignedIn,
    OutsideSilent,
    ReferralRewardsError,
    Refused,
    StaleDigest,
    TooManyAttempts,
)
from referral_rewards.domain.validation import in_words, unknown_names

_log = structlog.get_logger("api")

#: Which status a refusal has: that of its nearest ancestor here.
STATUS: Final[Mapping[type[ReferralRewardsError], HTTPStatus]] = {
    BadInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refused: HTTPStatus.CONFLICT,
    NotFound: HTTPStatus.NOT_FOUND,
    NotAllowed: HTTPStatus.FORBIDDEN,
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    OutsideSilent: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(refusal: type[ReferralRewardsError]) -> HTTPStatus:
    """The status of a class of refusals."""
    return next(STATUS[each] for each in refusal.__mro__ if each in STATUS)


def answer(request: Request, status: HTTPStatus, detail: str, *, kind: str = "about:blank", **more: Any) -> Response:
    """Problem details for a program, a page for a person; ``more`` are members of its own kind."""
    if _by_a_person(request):
        return page(
            "problem.html",
            None,
            status=status,
            title=_HEADINGS.get(status, status.phrase),
            detail=detail,
            problems=more.get("problems", ()),
            rule=more.get("rule"),
            back=None if request.url.path.startswith("/status/") else "/queue",
        )
    body = {"type": kind, "title": status.phrase, "status": status.value, "detail": detail, **more}
    return JSONResponse(body, status.value, media_type="application/problem+json")


def _by_a_person(request: Request) -> bool:
    """Whether a browser asks for one of the desk's pages: what is under /v1 is never one."""
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")


#: What a person reads above a refusal.
_HEADINGS: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.UNPROCESSABLE_ENTITY: "This can't be taken as it is",
    HTTPStatus.CONFLICT: "Refused",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.FORBIDDEN: "Not allowed",
    HTTPStatus.UNAUTHORIZED: "Sign in first",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many attempts",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database does not answer",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something broke",
}


def install(app: FastAPI) -> None:
    """Has the app answer with problem details, whatever goes wrong."""
    app.add_exception_handler(ReferralRewardsError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _by_the_framework)
    for unreachable in UNREACHABLE:
        app.add_exception_handler(unreachable, _unreachable)
    app.add_exception_handler(Exception, _unexpected)


def _kind(error: Exception) -> str:
    """A refusal's own name in a URN: what programs tell refusals apart by."""
    name = type(error).__name__
    return "urn:referrals:" + "".join(f"-{each.lower()}" if each.isupper() else each for each in name).lstrip("-")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ReferralRewardsError)
    more: dict[str, Any] = {}
    match error:
        case BadInput():
            more["problems"] = [problem._asdict() for problem in error.problems]
        case StaleDigest():
            more |= {"shown": error.shown, "current": error.current}
        case DecisionRefused() | ActRefused():
            more["rule"] = error.rule
    response = answer(request, status_of(type(error)), str(error), kind=_kind(error), **more)
    if isinstance(error, NotSignedIn):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, OutsideSilent):
        response.headers["Retry-After"] = "60"
    return response


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [_placed(request, each) for each in error.errors()]
    told = "; ".join(f"{each['where']}: {each['what']}" if each["where"] else each["what"] for each in problems)
    return answer(
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
        # A body in no known encoding; one that is only no JSON is malformed to the framework, too.
        problems = [{"where": "", "what": "the body can't be read"}]
        return answer(
            request,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            problems[0]["what"],
            kind="urn:referrals:request-invalid",
            problems=problems,
        )
    response = answer(request, HTTPStatus(error.status_code), str(error.detail))
    response.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return response


def _methods_of(request: Request) -> set[str]:
    """What the resource takes: of the routes that its path matches, those of the longest pattern, all their methods."""
    matching = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.path_regex.match(request.url.path) is not None
    ]
    longest = max((route.path for route in matching), key=len, default="")
    return {method for route in matching if route.path == longest for method in route.methods or ()}


async def _unreachable(request: Request, error: Exception) -> Response:
    _log.warning("database_unreachable", error=type(error).__name__)
    response = answer(
        request, HTTPStatus.SERVICE_UNAVAILABLE, "the database does not answer; nothing was stored, send it again"
    )
    response.headers["Retry-After"] = "1"
    return response


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("unexpected", error=type(error).__name__, path=request.url.path)
    return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error, which is ours; nothing was stored")
