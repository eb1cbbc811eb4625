"""`/codec/decode`: what Temporal keeps sealed, opened for the Temporal Web UI and CLI of somebody who may inspect runs.

The Web UI calls it from the browser of somebody who is signed in on the desk, and only its address may. The CLI shows a
token. Each answer is on record before it leaves.
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from google.protobuf.json_format import MessageToDict, Parse, ParseError
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.api.common.v1 import Payloads

from referral_rewards.api.dependencies import Its, Parts
from referral_rewards.api.desk.session.visiting import session_token
from referral_rewards.api.problems import status_of
from referral_rewards.domain.errors import (
    FactorNeeded,
    NotAllowed,
    NotFound,
    NotSignedIn,
    ReferralRewardsError,
    RequestInvalid,
)
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.domain.people.authority import INSPECT_RUNS
from referral_rewards.payload_codec import key_name
from referral_rewards.register import audit
from referral_rewards.register.people import sessions, users
from referral_rewards.register.people.users import User

router = APIRouter(prefix="/codec", include_in_schema=False)

PAYLOADS_MAX: Final = 1000
_HEADERS: Final = "authorization, content-type, x-namespace"


@router.options("/decode")
async def preflight(request: Request, parts: Its) -> Response:
    """Tell a browser whether a page from another address may ask."""
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=_shared(request, parts))


@router.post("/decode")
async def decode(request: Request, parts: Its) -> Response:
    """Open payloads; what is in clear or can't be opened comes back as it is."""
    try:
        opened = await _decoded(request, parts)
    except ReferralRewardsError as refusal:
        status = status_of(type(refusal))
        body: dict[str, object] = {"title": status.phrase, "status": status.value, "detail": str(refusal)}
        return JSONResponse(body, status, headers=_shared(request, parts), media_type="application/problem+json")
    return JSONResponse(MessageToDict(opened), headers=_shared(request, parts))


async def _decoded(request: Request, parts: Parts) -> Payloads:
    if not parts.codec.has_keys:
        raise NotFound("page", request.url.path)
    _check_origin(request, parts)
    sent = await _sent(request)
    sealed = sorted({name for each in sent.payloads if (name := key_name(each)) is not None})
    namespace = request.headers.get("x-namespace", "")
    subject = namespace if id_problem(namespace) is None else "temporal"

    async def looked(connection: AsyncConnection) -> None:
        now = datetime.now(UTC)
        user = await _inspector(connection, request, now)
        said = {"payloads": len(sent.payloads), "keys": sealed}
        await audit.note(connection, actor=user.name, act="payload.seen", subject=subject, at=now, **said)

    await parts.database.write(looked)
    return Payloads(payloads=await parts.codec.decode(sent.payloads))


async def _sent(request: Request) -> Payloads:
    try:
        sent: Payloads = Parse(await request.body(), Payloads(), ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError, RecursionError):
        raise RequestInvalid("send payloads as Temporal does: a JSON object with `payloads`") from None
    if len(sent.payloads) > PAYLOADS_MAX:
        raise RequestInvalid(f"at most {PAYLOADS_MAX} at a time", "payloads")
    return sent


async def _inspector(connection: AsyncConnection, request: Request, now: datetime) -> User:
    """Return who asks, by a token or by the desk's cookie, if they may inspect runs."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    cookie = session_token(request)
    if kind.lower() == "bearer" and token:
        user = await users.signed_in(connection, token.strip(), now)
    elif cookie is not None:
        user = await sessions.visitor(connection, cookie, at=now)
    else:
        raise NotSignedIn("sign in on the desk first, or send a token")
    user.need_a_role()
    if user.lacks_factor:
        raise FactorNeeded
    if INSPECT_RUNS.isdisjoint(user.roles):
        raise NotAllowed(f"{user.name} may not inspect runs: it needs the role administrator or operations")
    return user


def _check_origin(request: Request, parts: Parts) -> None:
    """Return if the request comes from no page at all, from the Web UI, or from us: a cookie alone is no consent."""
    origin = request.headers.get("origin")
    if origin is not None and origin not in {_origin(parts.web_ui), _origin(parts.home_url)} - {None}:
        raise NotAllowed("only the Temporal Web UI may ask from a page (REFERRALS_WEB_UI_URL)")


def _shared(request: Request, parts: Parts) -> dict[str, str]:
    """The headers that let the Web UI's page read our answer, and no other page."""
    allowed = _origin(parts.web_ui)
    if allowed is None or request.headers.get("origin") != allowed:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": allowed,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": _HEADERS,
        "Access-Control-Max-Age": "600",
    }


def _origin(address: str | None) -> str | None:
    """Return the scheme, host and port of an address, as a browser names them."""
    if not address:
        return None
    split = urlsplit(address)
    return f"{split.scheme}://{split.netloc}".lower()
