"""Assembles the front door: its pages, its guards, and its work in the background."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from referral_rewards.site import enrolment, landing, own_page, rows
from referral_rewards.site.headers import Guarded
from referral_rewards.site.pages import STYLE, page
from referral_rewards.site.parts import Parts, at_work
from referral_rewards.site.shown_programs import LOGOS
from referral_rewards.site.visiting import Its, NotSignedIn

_log = structlog.get_logger("site")
_WORDS: Final = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address. Perhaps the link is incomplete or too old.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address takes no such form.",
}
_FOREVER: Final = "public, max-age=31536000, immutable"
_AN_HOUR: Final = "public, max-age=3600"


def create_app(parts: Parts) -> Guarded:
    """Return the front door over these parts, which it closes at shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with at_work(parts):
            yield
        await parts.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.parts = parts
    app.add_exception_handler(NotSignedIn, _not_signed_in)
    app.add_exception_handler(HTTPException, _refused)
    for router in (enrolment.router, own_page.router, landing.router):
        app.include_router(router)
    app.add_api_route("/", _home)
    for path, probe in PROBES.items():
        app.add_api_route(path, probe)
    app.add_api_route("/static/site.css", _style)
    app.add_api_route("/theme/{program}.css", _theme)
    app.add_api_route("/theme/{program}/logo", _logo)
    return Guarded(app, parts.settings.home_url(), open_end="/stop")


async def _home() -> Response:
    """Say how one gets in: nobody enrols without a link of the company's."""
    detail = "Open it from your account, or by the link that a friend gave you."
    return page("problem.html", None, None, title="Refer a friend", detail=detail)


async def _alive() -> Response:
    return PlainTextResponse("ok")


async def _ready(parts: Its) -> Response:
    """Say whether people can be served, and how many facts wait to be told: without the API they wait, safely."""
    try:
        waiting, refused = await parts.store.read(rows.waiting)
    except Exception as error:
        _log.error("store_fails", error=type(error).__name__)
        return JSONResponse({"store": "fails"}, HTTPStatus.SERVICE_UNAVAILABLE)
    return JSONResponse({"store": "ok", "facts_waiting": waiting, "facts_refused": refused})


#: What answers probes, by its address.
PROBES: Final[Mapping[str, Callable[..., Awaitable[Response]]]] = {"/livez": _alive, "/readyz": _ready}


async def _style() -> Response:
    return FileResponse(STYLE, headers={"Cache-Control": _FOREVER})


async def _theme(program: str, parts: Its) -> Response:
    if program not in parts.programs:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(parts.programs[program].theme, media_type="text/css", headers={"Cache-Control": _AN_HOUR})


async def _logo(program: str, parts: Its) -> Response:
    logo = parts.programs[program].logo if program in parts.programs else None
    if logo is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    # Opened by itself a picture may hold a script: here it runs nothing.
    headers = {"Cache-Control": _AN_HOUR, "Content-Security-Policy": "default-src 'none'; sandbox"}
    return FileResponse(logo, media_type=LOGOS[logo.suffix], headers=headers)


async def _not_signed_in(request: Request, error: Exception) -> Response:
    detail = "Your session is over. Open the page again from your account."
    return page("problem.html", None, None, status=HTTPStatus.UNAUTHORIZED, title="Signed out", detail=detail)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return page("problem.html", None, None, status=status, title=status.phrase, detail=_WORDS.get(status, error.detail))
