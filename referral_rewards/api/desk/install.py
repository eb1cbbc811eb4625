"""Adds the desk to the app: its pages, their files, and what a person sees where a program would read a problem."""

from http import HTTPStatus
from types import ModuleType
from typing import Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from referral_rewards.api.desk import claims, pages
from referral_rewards.api.desk.visiting import SignInNeeded

#: The rooms of the desk, each a module with a `router`.
ROOMS: Final[tuple[ModuleType, ...]] = (claims,)


def install(app: FastAPI) -> None:
    """Has the app serve the desk."""
    app.mount("/static", StaticFiles(directory=pages.STATIC), name="static")
    app.add_exception_handler(SignInNeeded, _sign_in_first)
    for room in ROOMS:
        app.include_router(room.router, include_in_schema=False)


async def _sign_in_first(request: Request, error: Exception) -> Response:
    """To the sign-in page, which leads back; only an address can be led back to, never a form."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = f"?return_to={quote(wanted)}" if request.method == "GET" else ""
    return RedirectResponse(f"/sign-in{back}", HTTPStatus.SEE_OTHER)
