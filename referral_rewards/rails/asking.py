"""One HTTP request to a provider: what came back, or why nothing usable did. Every try is one request: none is hidden.

Redirects are not followed and no proxy of the environment is asked: the key goes to the address that was set.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

import httpx

from referral_rewards.domain.payouts.states import Declined, Misconfigured, Unfunded, Unknown

#: From connecting to the last byte. The activity has thirty seconds for all of its requests.
PATIENCE_SECONDS: Final = 8.0
#: No answer of a provider to one payment is near this.
_BODY_BYTES_MAX: Final = 2_000_000
#: What a provider refuses for good. Anything else that is no success leaves the outcome open.
_REFUSALS: Final = frozenset({400, 402, 404, 422})
_SHUT: Final = frozenset({401, 403})


#: Why a call came to nothing.
Failure = Declined | Unknown | Misconfigured
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; ``body`` is the JSON object that it held, empty where there was none. Numbers are decimals."""

    status: int
    body: Mapping[str, Any]


class NoReply(Exception):
    """Nobody knows whether the request arrived; the message says what happened instead, in a few words."""


def client() -> httpx.AsyncClient:
    """The client that all rails share; the caller closes it."""
    return httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=httpx.Timeout(PATIENCE_SECONDS))


async def exchange(
    over: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | str | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> tuple[int, bytes, Mapping[str, str]]:
    """The status, body and headers of the answer to one request.

    Raises:
        NoReply: if none came whole, in time and of a sane size.
    """
    try:
        # The client's own timeouts begin anew with each byte; this one does not.
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
        # Not httpx's errors alone: an address that no socket takes fails in whatever way it likes.
        raise NoReply(f"no whole answer came ({type(error).__name__})") from None


def read(status: int, body: bytes) -> Reply:
    """The reply as JSON, its numbers as decimals.

    Raises:
        NoReply: if a success says something else than a JSON object.
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
    """What a reading of somebody else's answer gives; unknown if the answer is not of the form that was agreed."""
    try:
        return reading()
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError):
        return Unknown("its answer is not of the form that was agreed")


def trouble(status: int, code: object) -> Declined | Unknown | Misconfigured:
    """What an answer to a payment means that is no success.

    ``code`` is the provider's word for it. Without one it was perhaps not the provider that answered, and nothing is
    refused; its sentences are not repeated, for they may quote what was sent.
    """
    known = isinstance(code, str) and bool(code)
    said = f"it answered {status}" + (f" ({code})" if known else "")
    if status in _SHUT:
        return Misconfigured(said)
    return Declined(said, str(code)) if known and status in _REFUSALS else Unknown(said)


def for_want_of_funds(answer: _T, *codes: str) -> _T | Unfunded:
    """The answer to a payment, or what a refusal means that names one of these."""
    return Unfunded(answer.why) if isinstance(answer, Declined) and answer.code in codes else answer


def unread(status: int, code: object) -> Unknown | Misconfigured:
    """What an answer to a mere question means that is no success: it refuses no payment."""
    said = trouble(status, code)
    return Unknown(said.why) if isinstance(said, Declined) else said
