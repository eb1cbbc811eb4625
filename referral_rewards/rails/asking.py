"""One HTTP request to a provider: its response, or why there is no usable one. Nothing is retried behind the scenes.

Redirects are not followed and proxies of the environment are ignored: the key goes only to the configured address.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

import httpx

from referral_rewards.domain.payouts.states import Declined, Misconfigured, Unfunded, Unknown
from referral_rewards.operation.outgoing import Note, transport

#: From connecting to the last byte. The activity has thirty seconds for all its requests.
PATIENCE_SECONDS: Final = 8.0
#: Far more than any provider's response to one payment.
_BODY_BYTES_MAX: Final = 2_000_000
#: Statuses of a definitive refusal. Any other status that is no success leaves the outcome unknown.
_REFUSALS: Final = frozenset({400, 402, 404, 422})
_SHUT: Final = frozenset({401, 403})


#: Why a call failed.
Failure = Declined | Unknown | Misconfigured
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response. ``body`` is its JSON object, empty if there was none. Numbers are decimals."""

    status: int
    body: Mapping[str, Any]


class NoReply(Exception):
    """No usable response came, and whether the request arrived is unknown. The message briefly says what happened."""


def client(note: Note | None = None) -> httpx.AsyncClient:
    """Return a client for the rails of a provider, with a note of each request. The caller closes it."""
    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        timeout=httpx.Timeout(PATIENCE_SECONDS),
        transport=transport(note),
    )


async def exchange(
    over: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | str | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> tuple[int, bytes, Mapping[str, str]]:
    """Send one request and return the status, body and headers of the response.

    Raises:
        NoReply: if no complete response of a sane size came in time.
    """
    try:
        # The client's own timeouts restart with each byte; this one does not.
        async with (
            asyncio.timeout(patience_seconds),
            over.stream(method, url, headers=dict(headers), content=content) as response,
        ):
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _BODY_BYTES_MAX:
                    raise NoReply("its answer is too long to be one")
            return response.status_code, body, response.headers
    except NoReply:
        raise
    except Exception as error:
        # Not only httpx's errors: an invalid address can raise any exception.
        raise NoReply(f"no whole answer came ({type(error).__name__})") from None


def read(status: int, body: bytes) -> Reply:
    """Parse the response as JSON, with numbers as decimals.

    Raises:
        NoReply: if the status is a success but the body is not a JSON object.
    """
    try:
        document = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        if 200 <= status < 300:
            raise NoReply("its answer is not of the form that was agreed")
        document = {}
    return Reply(status, document)


def seen(reading: Callable[[], _T]) -> _T | Unknown:
    """Return the result of reading a provider's answer; unknown if the answer does not have the documented form."""
    try:
        return reading()
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError):
        return Unknown("its answer is not of the form that was agreed")


def trouble(status: int, code: object) -> Declined | Unknown | Misconfigured:
    """Return what an unsuccessful response to a payment means.

    ``code`` is the provider's error code. Without one the response may not come from the provider, so it is no
    refusal. The provider's messages are not repeated, because they may quote what was sent.
    """
    known = isinstance(code, str) and bool(code)
    said = f"it answered {status}" + (f" ({code})" if known else "")
    if status in _SHUT:
        return Misconfigured(said)
    return Declined(said, str(code)) if known and status in _REFUSALS else Unknown(said)


def for_want_of_funds(answer: _T, *codes: str) -> _T | Unfunded:
    """Return the answer, or `Unfunded` if it is a refusal with one of these error codes."""
    return Unfunded(answer.why) if isinstance(answer, Declined) and answer.code in codes else answer


def unread(status: int, code: object) -> Unknown | Misconfigured:
    """Return what an unsuccessful response to a look-up means. It never refuses a payment."""
    said = trouble(status, code)
    return Unknown(said.why) if isinstance(said, Declined) else said
