"""The second step of signing in with a password: the code of the second factor."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.session import cookies
from referral_rewards.api.desk.session.asking import ask, asked, is_ours, said
from referral_rewards.api.desk.session.beginning import let_in, shows_factor
from referral_rewards.api.desk.session.carried import Carried
from referral_rewards.api.desk.session.visiting import form_of
from referral_rewards.domain.errors import TooManyAttempts
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.register.people import factors

router = APIRouter(prefix="/sign-in/code")

_COOKIE: Final = "referrals_code"
#: Time enough to find one's phone; the password was shown, so that the page must not wait for ever.
_WAITS: Final = timedelta(minutes=5)
_WRONG: Final = "This is not the code that your app shows now, or it was used before. Wait for the next one."
_TOO_LATE: Final = "This took too long. Sign in again."

WithoutSession = Annotated[FormData, Depends(form_of)]
"""A form that is sent before anybody is signed in."""


def factor_of(parts: Parts) -> Factor:
    """Return what a session of somebody without a second factor knows of it."""
    return Factor.MISSING if parts.second_factor_required else Factor.NOT_ASKED


async def ask_code(request: Request, parts: Parts, name: str, *, return_to: str, carried: Carried | None) -> Response:
    """Ask somebody who showed the right password for the code. Nobody is signed in yet."""
    now = datetime.now(UTC)
    token = await parts.database.write(factors.await_code, name, at=now, until=now + _WAITS)
    answer = asked(request, "second_step.html", return_to=return_to, carried=carried)
    cookies.hand(answer, request, _COOKIE, token, seconds=int(_WAITS.total_seconds()))
    return answer


@router.post("")
async def show_code(request: Request, parts: Its, form: WithoutSession) -> Response:
    """Sign in whoever shows the code in the browser in which the password was shown."""
    back, carried = said(form, "return_to"), Carried.back(form)
    token = cookies.held(request, _COOKIE)
    name = await parts.database.write(factors.awaited, token, at=datetime.now(UTC)) if token else None
    if name is None or token is None or not is_ours(request, form):
        return ask(request, parts, return_to=back, carried=carried, problem=_TOO_LATE)
    try:
        right = await shows_factor(request, parts, name, said(form, "one_time_code"))
    except TooManyAttempts as refusal:
        limited = _again(request, back, carried, str(refusal), HTTPStatus.TOO_MANY_REQUESTS)
        limited.headers["Retry-After"] = str(refusal.retry_after_seconds)
        return limited
    if not right:
        return _again(request, back, carried, _WRONG, HTTPStatus.UNAUTHORIZED)
    await parts.database.write(factors.no_longer_awaited, token)
    answer = await let_in(request, parts, name, Factor.SHOWN, return_to=back, carried=carried)
    cookies.forget(answer, request, _COOKIE)
    return answer


def _again(request: Request, back: str, carried: Carried | None, problem: str, status: HTTPStatus) -> Response:
    return asked(request, "second_step.html", return_to=back, carried=carried, problem=problem, status=status)
