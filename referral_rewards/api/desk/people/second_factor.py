"""A person's own second factor: set up with an app on their phone, replaced, and codes for when the phone is lost."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import pyotp
import segno
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.asking import said
from referral_rewards.api.desk.session.beginning import shows_factor
from referral_rewards.api.desk.session.carried import own_address
from referral_rewards.api.desk.session.visiting import AnyForm, AnyVisitor, Visit, session_token
from referral_rewards.domain.errors import BadInput, FactorNeeded, NotFound, RequestInvalid, TooManyAttempts
from referral_rewards.domain.people.second_factor import in_groups
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import factors, sessions
from referral_rewards.register.sealing import Sealer

router = APIRouter(prefix="/account/second-factor")

HERE: Final = "/account/second-factor"
_ISSUER: Final = "Referral rewards"
_STALE: Final = "Type a code of your second factor first."
_WRONG: Final = "This is not the code that your app shows now, or it was used before. Wait for the next one."


@router.get("")
async def shown(request: Request, visit: AnyVisitor, parts: Its, return_to: str = "") -> Response:
    """Show whether there is one, and what can be done about it."""
    return await _shown(request, parts, visit, return_to=return_to)


@router.post("/offer")
async def offer(request: Request, visit: AnyVisitor, form: AnyForm, parts: Its) -> Response:
    """Make a secret for an app on the person's phone. One in force stays so until the new one is confirmed."""
    await _check_fresh(request, parts, visit)
    await parts.database.write(factors.offer, _sealer(parts), visit.user.name)
    return await _shown(request, parts, visit, return_to=said(form, "return_to"))


@router.post("/confirm")
async def confirm(request: Request, visit: AnyVisitor, form: AnyForm, parts: Its) -> Response:
    """Put the offered secret in force; only this answer shows the recovery codes."""
    name, back, here = visit.user.name, said(form, "return_to"), session_token(request) or ""
    await _check_fresh(request, parts, visit)
    try:
        codes = await parts.database.write(
            factors.confirm, _sealer(parts), name, said(form, "one_time_code"), here=here, at=datetime.now(UTC)
        )
    except BadInput as refusal:
        return await _shown(request, parts, visit, return_to=back, problem=refusal.problems[0].what)
    return await _shown(request, parts, visit, return_to=back, codes=codes)


@router.post("/show")
async def show(request: Request, visit: AnyVisitor, form: AnyForm, parts: Its) -> Response:
    """Show the second factor again, before it is changed."""
    back = said(form, "return_to")
    try:
        await show_again(request, parts, visit, said(form, "one_time_code"))
    except BadInput as refusal:
        return await _shown(request, parts, visit, return_to=back, problem=refusal.problems[0].what)
    return RedirectResponse(own_address(back) or HERE, HTTPStatus.SEE_OTHER)


@router.post("/recovery-codes")
async def renew_codes(request: Request, visit: AnyVisitor, form: AnyForm, parts: Its) -> Response:
    """Make new recovery codes; only this answer shows them."""
    await _check_fresh(request, parts, visit)
    async with parts.database.reading() as connection:
        if not await factors.is_enrolled(connection, visit.user.name):
            raise NotFound("second factor", visit.user.name)
    codes = await parts.database.write(factors.renew_codes, visit.user.name, at=datetime.now(UTC))
    return await _shown(request, parts, visit, codes=codes)


async def needed_first(request: Request, error: Exception) -> Response:
    """Where somebody has to set up a second factor first: to the page where they do, and back."""
    assert isinstance(error, FactorNeeded)
    wanted = request.url.path if request.method == "GET" else ""
    back = f"?return_to={quote(wanted)}" if own_address(wanted) else ""
    return RedirectResponse(f"{HERE}{back}", HTTPStatus.SEE_OTHER)


async def is_fresh(request: Request, parts: Parts) -> bool:
    """Whether this session showed its second factor a moment ago, or has none to show."""
    async with parts.database.reading() as connection:
        return await sessions.is_fresh(connection, session_token(request) or "", at=datetime.now(UTC))


async def show_again(request: Request, parts: Parts, visit: Visit, code: str) -> None:
    """Take a code in this session, unless one was shown a moment ago.

    Raises:
        RequestInvalid: if it is wrong, or was typed wrong too often.
    """
    if await is_fresh(request, parts):
        return
    if not code:
        raise RequestInvalid(_STALE, "code")
    try:
        right = await shows_factor(request, parts, visit.user.name, code)
    except TooManyAttempts as refusal:
        raise RequestInvalid(str(refusal), "code") from None
    if not right:
        raise RequestInvalid(_WRONG, "code")
    await parts.database.write(sessions.show_factor, session_token(request) or "", at=datetime.now(UTC))


async def _check_fresh(request: Request, parts: Parts, visit: Visit) -> None:
    if not await is_fresh(request, parts):
        raise RequestInvalid(_STALE, "code")


def _sealer(parts: Parts) -> Sealer:
    if parts.sealer is None:
        raise NotFound("page", HERE)
    return parts.sealer


async def _shown(
    request: Request,
    parts: Parts,
    visit: Visit,
    *,
    return_to: str = "",
    problem: str = "",
    codes: Sequence[str] = (),
) -> Response:
    name, fresh = visit.user.name, await is_fresh(request, parts)
    async with parts.database.reading() as connection:
        kept = await factors.of(connection, name)
        person = await people.one(connection, name)
    secret = None
    if kept.is_offered and parts.sealer is not None and fresh:
        secret = await parts.database.write(factors.offered, parts.sealer, name)
    return page(
        "second_factor.html",
        visit,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        here="/account",
        kept=kept,
        has_password=person.has_password,
        is_fresh=fresh,
        can_be_set_up=parts.sealer is not None,
        is_needed=visit.user.lacks_factor and not codes,
        secret=secret and in_groups(secret),
        picture=secret and _picture(secret, name),
        codes=[in_groups(each) for each in codes],
        problem=problem,
        return_to=own_address(return_to) or "",
    )


def _picture(secret: str, name: str) -> str:
    """The secret as a QR code, in a URI that holds the picture itself: no address of ours ever answers with it."""
    address = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)
    return str(segno.make(address, error="m").svg_data_uri(scale=5, border=4, light="#fff", dark="#000"))
