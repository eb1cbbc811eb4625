"""Signing in with an OpenID provider: the redirect to it, and the return."""

import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.session import cookies
from referral_rewards.api.desk.session.asking import ask
from referral_rewards.api.desk.session.beginning import begin_session, landing
from referral_rewards.api.desk.session.carried import own_address
from referral_rewards.api.desk.session.visiting import set_session_cookie
from referral_rewards.api.openid import Provider, ProviderRefused, Said
from referral_rewards.domain.errors import NotFound, NotSignedIn
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.register import audit
from referral_rewards.register.audit import NOBODY
from referral_rewards.register.people import identities
from referral_rewards.register.people.identities import FLOW_MAX

router = APIRouter(prefix="/sign-in/openid")

_COOKIE: Final = "referrals_openid"
_LENGTH_MAX: Final = 2000
_BEGUN_ELSEWHERE: Final = "begun_elsewhere"


@router.get("")
async def go(request: Request, parts: Its, return_to: str = "") -> Response:
    """Redirect a browser to the provider. A cookie binds the return to this browser."""
    provider, now = _provider(parts), datetime.now(UTC)
    browser = cookies.held(request, _COOKIE) or secrets.token_urlsafe(32)
    flow = await parts.database.write(identities.begin, browser, own_address(return_to) or "", at=now)
    try:
        there = await provider.address(state=flow.state, nonce=flow.nonce, verifier=flow.verifier)
    except ProviderRefused as refusal:
        return ask(request, parts, return_to=return_to, problem=str(refusal), status=HTTPStatus.BAD_GATEWAY)
    answer = RedirectResponse(there, HTTPStatus.SEE_OTHER)
    cookies.hand(answer, request, _COOKIE, browser, seconds=int(FLOW_MAX.total_seconds()))
    return answer


@router.get("/callback")
async def come_back(
    request: Request, parts: Its, state: str = "", code: str = "", error: str = "", iss: str | None = None
) -> Response:
    """Sign in the user whom the provider identifies, only once and in the browser that began it."""
    provider = _provider(parts)
    try:
        return await _signed_in(request, parts, provider, state, code, error, iss)
    except ProviderRefused as refusal:
        # Without a begun sign-in there is no attempt to record: anyone can request this address.
        if refusal.why != _BEGUN_ELSEWHERE:
            said = {"way": "openid", "why": refusal.why}
            now = datetime.now(UTC)
            await parts.database.write(
                audit.note, actor=NOBODY, act="session.refused", subject="unknown", at=now, **said
            )
        return ask(request, parts, problem=str(refusal), status=HTTPStatus.UNAUTHORIZED)


async def _signed_in(
    request: Request, parts: Parts, provider: Provider, state: str, code: str, error: str, iss: str | None
) -> Response:
    now, browser = datetime.now(UTC), cookies.held(request, _COOKIE)
    if browser is None or not state or len(state) > _LENGTH_MAX:
        raise ProviderRefused(_BEGUN_ELSEWHERE)
    flow = await parts.database.write(identities.take, browser, state, at=now)
    if flow is None:
        raise ProviderRefused(_BEGUN_ELSEWHERE)
    if iss is not None and iss != provider.issuer:
        raise ProviderRefused("another_issuer")
    if error or not code or len(code) > _LENGTH_MAX:
        raise ProviderRefused("provider_said_no")
    said = await provider.said(code, verifier=flow.verifier, nonce=flow.nonce, now=now)
    name = await _user(parts, provider, said, now)
    token, user = await begin_session(
        request, parts, name, way="openid", factor=Factor.PROVIDER, roles=provider.roles_of(said)
    )
    answer = RedirectResponse(landing(user, flow.return_to), HTTPStatus.SEE_OTHER)
    set_session_cookie(answer, request, token)
    return answer


async def _user(parts: Parts, provider: Provider, said: Said, now: datetime) -> str:
    marks = parts.intake.marker.marks({"email": said.verified_email})
    try:
        return await parts.database.write(
            identities.user_of, provider.issuer, said.subject, name=provider.name_of(said), marks=marks, at=now
        )
    except NotSignedIn as refusal:
        raise ProviderRefused(str(refusal)) from None


def _provider(parts: Parts) -> Provider:
    if parts.openid is None:
        raise NotFound("page", "/sign-in/openid")
    return parts.openid
