"""An order at Stripe: its invoice, checkout or payment, what was given back of it, its disputes and its subscription.

https://docs.stripe.com/api. An order is one by Stripe's own id, or one of which webhooks linked such an id. The key
needs to read what the guide lists (docs/guides/sources.md). Objects keep no time of some changes: of a dispute
that ended and a refund that failed the newest movement of money stands for it, which is the same however often we ask.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.referrals.versions import OnRecord
from referral_rewards.sources.asking import Unusable
from referral_rewards.sources.retrying import patiently
from referral_rewards.sources.vendor import Found
from referral_rewards.vendor_apis.asking import listed
from referral_rewards.vendor_apis.stripe import StripeApi
from referral_rewards.vendors.port import Mode, SourceMapping, Told
from referral_rewards.vendors.reading import part, reference, second, word
from referral_rewards.vendors.values import as_told

_LIST_MAX: Final = 100
#: What the key has to let us read, and a list that shows it.
_PATHS: Final[Mapping[str, str]] = {
    "checkouts": "checkout/sessions",
    "invoices": "invoices",
    "credit notes": "credit_notes",
    "subscriptions": "subscriptions",
    "payments": "payment_intents",
    "charges": "charges",
    "refunds": "refunds",
    "disputes": "disputes",
}
_PAID: Final = frozenset({"paid", "no_payment_required"})
NOT_PAID: Final = "it is not paid"
NOT_NAMED: Final = (
    "It can't be asked about this order: no event of Stripe's linked an invoice, a checkout or a payment to it."
)


class StripeOrders:
    """The orders of one account, or of the connected accounts that the source names."""

    rights: Sequence[str] = tuple(_PATHS)

    def __init__(self, api: StripeApi, mapping: SourceMapping) -> None:
        self._api, self._mapping = api, mapping

    async def look(self, order: OrderName, on_record: OnRecord) -> Found | None:
        """See `Orders.look`."""
        names = ids(order, on_record)
        if not names:
            raise Unusable(NOT_NAMED)
        accounts: Sequence[str | None] = sorted(self._mapping.accounts) or (None,)
        for account in accounts:
            found = await _Look(self._api, self._mapping, account).all_of(names)
            if found is not None:
                return found
        return None

    async def check(self, right: str) -> None:
        """See `Orders.check`."""
        await self._api.get(_PATHS[right], {"limit": "1"}, min(self._mapping.accounts, default=None))


def ids(order: OrderName, on_record: OnRecord) -> Mapping[str, Sequence[str]]:
    """Return Stripe's ids of an order by their prefix: the order's own, if it is one, and those linked to it."""
    named = sorted({order.id, *(each.rpartition(" ")[2] for each in on_record.names)})
    known: dict[str, list[str]] = {}
    for each in filter(_ID.fullmatch, named):
        known.setdefault(each.partition("_")[0], []).append(each)
    return known


_ID: Final = re.compile(r"(in|cs|pi|ch|py|sub)_\w+", re.ASCII)


class _Look:
    """One look at an order in one account."""

    def __init__(self, api: StripeApi, mapping: SourceMapping, account: str | None) -> None:
        self._api, self._account = api, account
        self._live = mapping.mode is Mode.LIVE
        self._events: list[Told] = []
        self._paid: list[bool] = []
        self._subscriptions: set[str] = set()

    async def all_of(self, names: Mapping[str, Sequence[str]]) -> Found | None:
        payments, charges = set(names.get("pi", ())), {*names.get("ch", ()), *names.get("py", ())}
        known = [await self._invoice(each, payments) for each in names.get("in", ())]
        known += [await self._session(each, payments) for each in names.get("cs", ())]
        if not any(known):
            known += [await self._payment(each) for each in sorted(payments)]
        known += [await self._subscription(each, is_order=True) for each in names.get("sub", ())]
        if not any(known):
            known += [await self._charge(each, payments) for each in sorted(charges)]
        if not any(known):
            return None
        for payment in sorted(payments):
            await self._money_back({"payment_intent": payment})
        for charge in sorted(charges) if not payments else ():
            await self._money_back({"charge": charge})
        ended = [at for each in sorted(self._subscriptions) if (at := await self._ended(each)) is not None]
        lacks = None if any(self._paid) or not self._paid else NOT_PAID
        return Found(tuple(self._events), lacks, min(ended, default=None))

    async def _invoice(self, its: str, payments: set[str]) -> bool:
        found = await self._get("invoices", its, {"expand[]": "payments"})
        if found is None:
            return False
        self._paid.append(found.get("status") == "paid")
        payments.update(_payments_of(found))
        if (subscription := _subscription_of(found)) is not None:
            self._subscriptions.add(subscription)
        if self._paid[-1]:
            self._tell("invoice.paid", found)
        for note in await self._list("credit_notes", {"invoice": its}):
            self._tell("credit_note.created", note)
        return True

    async def _session(self, its: str, payments: set[str]) -> bool:
        found = await self._get("checkout/sessions", its)
        return found is not None and self._told_of(found, payments)

    def _told_of(self, session: Mapping[str, Any], payments: set[str]) -> bool:
        if reference(session, "invoice") is not None:
            return False  # its invoice tells of the purchase
        self._paid.append(word(session, "payment_status") in _PAID)
        if (payment := reference(session, "payment_intent")) is not None:
            payments.add(payment)
        self._tell("checkout.session.completed", session)
        return True

    async def _payment(self, its: str) -> bool:
        """Look at a payment, and at the checkout that it was made in."""
        found = await self._get("payment_intents", its)
        if found is None:
            return False
        sessions = await self._list("checkout/sessions", {"payment_intent": its})
        told = [self._told_of(each, set()) for each in sessions]
        if not any(told):
            self._paid.append(found.get("status") == "succeeded")
        return True

    async def _charge(self, its: str, payments: set[str]) -> bool:
        found = await self._get("charges", its)
        if found is None:
            return False
        self._paid.append(found.get("paid") is True)
        if (payment := reference(found, "payment_intent")) is not None:
            payments.add(payment)
        return True

    async def _subscription(self, its: str, *, is_order: bool = False) -> bool:
        found = await self._get("subscriptions", its)
        if found is None:
            return False
        if is_order:
            self._tell("customer.subscription.created", found)
            if found.get("ended_at") is not None:
                self._tell("customer.subscription.deleted", found)
        return True

    async def _ended(self, its: str) -> datetime | None:
        """Return when a subscription ended; None while it lives."""
        found = await self._get("subscriptions", its)
        if found is None:
            raise Unusable("It names a subscription of this order, and does not know it.")
        return None if found.get("ended_at") is None else second(found, "ended_at")

    async def _money_back(self, of: Mapping[str, str]) -> None:
        for refund in await self._list("refunds", of, {"expand[]": "data.failure_balance_transaction"}):
            self._tell("refund.updated", refund)
        for dispute in await self._list("disputes", of):
            self._tell("charge.dispute.updated", dispute)

    async def _get(self, kind: str, its: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any] | None:
        found = await patiently(self._api.get, f"{kind}/{quote(its, safe='', errors='replace')}", query, self._account)
        if found is not None and found.get("id") != its:
            raise Unusable(f"It was asked for one of its {kind} and told of another one.")
        return found

    async def _list(
        self, path: str, of: Mapping[str, str], query: Mapping[str, str] | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Return the objects that belong to what ``of`` says."""
        asked = {**of, **(query or {}), "limit": str(_LIST_MAX)}
        found = await patiently(self._api.get, path, asked, self._account)
        if found is None:
            raise Unusable(f"It answered 404 to a list of {path}.")
        if found.get("has_more") is not False:
            raise Unusable(f"It has more than {_LIST_MAX} {path} of this order: a person has to look there.")
        its = listed(found, "data")
        if any(reference(each, name) != value for each in its for name, value in of.items()):
            raise Unusable(f"It was asked for {path} of one order and told of another one.")
        return its

    def _tell(self, kind: str, its: Mapping[str, Any]) -> None:
        """Add an object as the event that a webhook would tell it by."""
        event = {
            "id": f"asked/{kind}/{its.get('id')}",
            "type": kind,
            "created": _changed(kind, its),
            "livemode": its.get("livemode", self._live),
            "data": {"object": its},
            **({} if self._account is None else {"account": self._account}),
        }
        self._events.append(Told(as_told(event)))


def _changed(kind: str, its: Mapping[str, Any]) -> int | None:
    """Return the second of an object's last change that it keeps, else of its making."""
    moved = [each.get("created") for each in _moves(its)]
    seconds = [each for each in (its.get("created"), its.get("ended_at"), *moved) if isinstance(each, int)]
    return max(seconds, default=None)


def _moves(its: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the movements of money that an object holds: those of a dispute, and that of a refund that failed."""
    listed_here = its.get("balance_transactions")
    failed = its.get("failure_balance_transaction")
    for each in (*(listed_here if isinstance(listed_here, list) else ()), failed):
        if isinstance(each, Mapping):
            yield each


def _payments_of(invoice: Mapping[str, Any]) -> Iterator[str]:
    named = [reference(invoice, "payment_intent")]
    included = part(invoice, "payments", "data")
    for each in included if isinstance(included, list) else ():
        named.append(reference(each, "payment", "payment_intent"))
    yield from filter(None, named)


def _subscription_of(invoice: Mapping[str, Any]) -> str | None:
    by_parent = ("parent", "subscription_details", "subscription")
    return reference(invoice, "subscription") or reference(invoice, *by_parent)
