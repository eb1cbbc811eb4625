"""Calls Stripe with its own SDK over our HTTP client: one request per call, and every failure becomes an answer.

https://docs.stripe.com/api/idempotent_requests: Stripe keeps a key for at least a day, with the response to its first
request, 500s included. https://docs.stripe.com/api/errors lists the errors.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import httpx
import stripe

from referral_rewards.domain.books.reconciliation import Listed, ListedPage, payout_of
from referral_rewards.domain.payouts.rail_objections import Objection, ObjectionKind
from referral_rewards.domain.payouts.states import Declined, Misconfigured, Unknown
from referral_rewards.rails.access import StripeAccess
from referral_rewards.rails.asking import PATIENCE_SECONDS, Failure, NoReply, exchange, seen, trouble, unread
from referral_rewards.rails.listing import Named, payments, text_of

#: The API version that the adapters were written for.
VERSION: Final = "2026-10-28.endive"
#: The largest page size, and how many pages are read before a list counts as too long to search.
PAGE: Final = 100
PAGES_MAX: Final = 10
_BROKEN: Final = 500
#: What the SDK raises when it cannot parse a response.
_UNREADABLE: Final = (AttributeError, LookupError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class KeyTaken:
    """Stripe knows our key for a different request: what was paid or refused under it is not this request."""

    why: str


def api(access: StripeAccess, client: httpx.AsyncClient, patience_seconds: float = PATIENCE_SECONDS) -> Any:
    """Return Stripe's API, version 1. The caller closes the client.

    Its type is `Any` on purpose: responses are untrusted data and are read as such (`answered`).
    """
    # At a finer level the SDK logs everything that it sends and receives.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    return stripe.StripeClient(
        access.key,
        stripe_version=VERSION,
        base_addresses={"api": access.url.rstrip("/")},
        max_network_retries=0,
        http_client=_OurClient(client, patience_seconds),
    ).v1


async def answered(call: Awaitable[Any]) -> Any | Failure | KeyTaken:
    """Return the outcome of a call that changes something."""
    try:
        return await call
    except stripe.APIConnectionError as error:
        return Unknown(error.user_message or "no whole answer came")
    except stripe.IdempotencyError:
        return KeyTaken("Stripe knows our key for another request")
    except stripe.RateLimitError as error:
        # It may come with status 400, and is no refusal then either.
        return Unknown("it answered {} ({})".format(*_said(error)))
    except stripe.StripeError as error:
        status, code = _said(error)
        if status == _BROKEN and _is_replayed(error):
            return Unknown("it repeats the answer 500 that it keeps under our key", for_good=True)
        return trouble(status, code)
    except _UNREADABLE:
        return Unknown("its answer is not of the form that was agreed")


async def read(call: Awaitable[Any]) -> Any | Failure | None:
    """Return the outcome of a call that changes nothing; None if Stripe has no such object."""
    try:
        return await call
    except stripe.APIConnectionError as error:
        return Unknown(error.user_message or "no whole answer came")
    except stripe.StripeError as error:
        status, code = _said(error)
        return None if code == "resource_missing" else unread(status, code)
    except _UNREADABLE:
        return Unknown("its answer is not of the form that was agreed")


def not_connected(error: stripe.StripeError) -> Objection | Unknown | Misconfigured:
    """Return what it means that a connected account could not be read: it may be none of ours."""
    if isinstance(error, stripe.APIConnectionError):
        return Unknown(error.user_message or "no whole answer came")
    status, code = _said(error)
    if code in ("account_invalid", "resource_missing"):
        return Objection(ObjectionKind.NOT_READY, "what the payee has named is no account connected to ours")
    return unread(status, code)


async def everything(list_async: Any, *path: str | None, **params: Any) -> list[Any] | Failure:
    """Return all objects of a list, newest first; unknown if the list is too long to search."""
    found: list[Any] = []
    for _ in range(PAGES_MAX):
        page = await read(list_async(*path, {"limit": PAGE, **params}))
        if page is None:
            return []
        if isinstance(page, Failure):
            return page
        rows = seen(partial(_rows, page))
        if isinstance(rows, Unknown):
            return rows
        found += rows[0]
        if rows[1] is None:
            return found
        params["starting_after"] = rows[1]
    return Unknown("the list is too long to be searched")


async def page(
    listed: Callable[[Any], Listed | None],
    after: str | None,
    list_async: Any,
    *path: str | None,
    others_too: bool = True,
    **params: Any,
) -> ListedPage | Unknown | Misconfigured:
    """Return a page of a list, newest first, with those of its objects that are payments.

    ``others_too``: objects that cannot be read count even if they bear no name of ours.
    """
    place = {"starting_after": after} if after is not None else {}
    found = await read(list_async(*path, {"limit": PAGE, **params, **place}))
    if found is None:
        # On the first page there is no such customer. Later the place to continue is gone, which is not the list's end.
        return ListedPage(()) if after is None else Unknown("it does not know the place any more that its list came to")
    rows = found if isinstance(found, Failure) else seen(partial(_rows, found))
    if isinstance(rows, Failure):
        return rows if not isinstance(rows, Declined) else Unknown(rows.why)
    return ListedPage(payments(rows[0], listed, named, others_too=others_too), rows[1])


def within(since: datetime, until: datetime) -> dict[str, int]:
    """Return the time range of a list as Stripe takes it, in whole seconds."""
    return {"gte": math.floor(since.timestamp()), "lt": math.ceil(until.timestamp())}


def made_at(thing: Any) -> datetime:
    """Return when Stripe created an object."""
    return datetime.fromtimestamp(int(thing.created), UTC)


def noted(thing: Any, name: str) -> str | None:
    """Return a metadata value that we set when we created an object; None if there is none. Objects of others may have
    none at all."""
    written = getattr(thing, "metadata", None)
    return text_of(getattr(written, name, None))


def named(thing: Any) -> Named:
    """Return what an object shows of its names. It never raises."""
    key = text_of(getattr(thing, "transfer_group", None)) or noted(thing, "key")
    at = seen(lambda: made_at(thing))
    reference = text_of(getattr(thing, "id", None))
    return Named(reference, payout_of(noted(thing, "payout") or key), key, None if isinstance(at, Unknown) else at)


def _rows(page: Any) -> tuple[list[Any], str | None]:
    """Return the objects of a page, and the id after which the next page begins, or None if it is the last."""
    rows = list(page.data)
    return rows, rows[-1].id if rows and page.has_more else None


def _said(error: stripe.StripeError) -> tuple[int, str | None]:
    """Return the status and Stripe's error code; the code is None if the response does not have Stripe's form."""
    said = error.error
    # A rate limit's code stands only in the body.
    code = error.code or (text_of(getattr(said, "code", None)) if said is not None else None)
    kind = said.type if said is not None else None
    return error.http_status or 0, (code or kind if kind else None)


def _is_replayed(error: stripe.StripeError) -> bool:
    """Whether Stripe repeated the response that it keeps under our key."""
    headers: Mapping[str, str] = error.headers or {}
    return {name.lower(): value for name, value in headers.items()}.get("idempotent-replayed") == "true"


class _OurClient(stripe.HTTPClient):
    """Sends the SDK's requests without the headers that describe this machine."""

    name = "httpx"

    def __init__(self, client: httpx.AsyncClient, patience_seconds: float) -> None:
        super().__init__()
        self._client = client
        self._patience_seconds = patience_seconds

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        told = {name: value for name, value in headers.items() if not name.startswith("X-Stripe-Client-")}
        told["User-Agent"] = "referral-rewards"
        try:
            status, body, answered_with = await exchange(
                self._client, method.upper(), url, headers=told, content=post_data or None,
                patience_seconds=self._patience_seconds,
            )  # fmt: skip
        except NoReply as error:
            raise stripe.APIConnectionError(str(error)) from None  # type: ignore[no-untyped-call]
        return body, status, answered_with
