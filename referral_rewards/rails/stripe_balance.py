"""Credit on a customer's balance, applied to their next invoices:
https://docs.stripe.com/api/customer_balance_transactions.

An entry is never changed; an opposite entry reverses it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from referral_rewards.domain.books.reconciliation import Listed, ListedPage, payout_of
from referral_rewards.domain.payouts.rail_amounts import as_units, minor_of_units
from referral_rewards.domain.payouts.rail_catalogue import STRIPE_BALANCE
from referral_rewards.domain.payouts.rail_objections import objection
from referral_rewards.domain.payouts.states import (
    Answer,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    Reversed,
    TakenBack,
    Unknown,
)
from referral_rewards.domain.payouts.taking_back import NotTold
from referral_rewards.rails.asking import Failure, seen
from referral_rewards.rails.stripe_calls import KeyTaken, answered, everything, made_at, noted, page, within

NAME: Final = STRIPE_BALANCE.name


class StripeBalance:
    """One balance transaction per payout. A negative amount is credit that we owe to the customer."""

    facts: Final = STRIPE_BALANCE

    def __init__(self, api: Any) -> None:
        self._entries = api.customers.balance_transactions

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        entry = await self._enter(request, key, -request.amount_minor)
        if isinstance(entry, KeyTaken):
            return await self.look_up(request, key) or Unknown(entry.why)
        return entry if isinstance(entry, Failure) else seen(lambda: _paid([entry]))

    async def look_up(self, request: PaymentRequest, key: str) -> Answer | None:
        found = await self._noted(request, key)
        if isinstance(found, Failure):
            return found
        return seen(lambda: _paid(found)) if found else None

    async def funded(self, request: PaymentRequest) -> bool | None:
        return None

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        return await self.look_up(request, key) or Unknown("Stripe does not show it any more")

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        found = await self._noted(request, key)
        if isinstance(found, Failure):
            return found
        return seen(lambda: _reversed(found[0])) if found else None

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        """Reverse the credit. The balance may rise above zero: the next invoice then charges what was spent."""
        if amount_minor > request.amount_minor:
            return Declined("no more is taken back than was paid")
        if found := await self.look_up_reversal(request, paid, amount_minor, key):
            return found
        entry = await self._enter(request, key, amount_minor)
        if isinstance(entry, KeyTaken):
            return Unknown(entry.why)
        return entry if isinstance(entry, Failure) else seen(lambda: _reversed(entry))

    async def taken_back(self, request: PaymentRequest, paid: Paid) -> Sequence[TakenBack] | NotTold:
        """Read the customer's entries with our note of the payout that are no credit."""
        if objection(NAME, request) is not None:
            return ()
        found = await everything(self._entries.list_async, request.destination)
        if isinstance(found, Failure):
            return found
        ours = str(request.payout_id)
        return seen(lambda: [_taken_back(each) for each in found if each.amount > 0 and noted(each, "payout") == ours])

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        """List adjustments only: entries of invoices that use credit are not ours. Reversals after ``until`` count."""
        since_then = {"gte": within(since, until)["gte"]}
        return await page(partial(_listed, until), after, self._entries.list_async, payee, created=since_then)

    async def _enter(self, request: PaymentRequest, key: str, amount_minor: int) -> Any | Failure | KeyTaken:
        if (found := objection(NAME, replace(request, amount_minor=abs(amount_minor)))) is not None:
            return Declined(found.why)
        amount = as_units(NAME, abs(amount_minor), request.currency)
        entry = {
            "amount": amount if amount_minor > 0 else -amount,
            "currency": request.currency.lower(),
            "metadata": {"payout": str(request.payout_id), "key": key},
        }
        return await answered(self._entries.create_async(request.destination, entry, {"idempotency_key": key}))

    async def _noted(self, request: PaymentRequest, key: str) -> list[Any] | Failure:
        """Return the entries with the key. Stripe cannot search by it, so all the customer's entries are read."""
        if objection(NAME, request) is not None:
            return []
        entries = await everything(self._entries.list_async, request.destination)
        if isinstance(entries, Failure):
            return entries
        return seen(lambda: [entry for entry in entries if noted(entry, "key") == key])


def _listed(until: datetime, entry: Any) -> Listed | None:
    if entry.type != "adjustment":
        return None
    currency = entry.currency.upper()
    shown = Listed(
        reference=entry.id,
        payout=payout_of(noted(entry, "payout")),
        key=noted(entry, "key"),
        amount_minor=minor_of_units(NAME, abs(entry.amount), currency),
        currency=currency,
        destination=entry.customer,
        at=made_at(entry),
        takes_back=entry.amount > 0,
    )
    return shown if shown.takes_back or shown.at is None or shown.at < until else None


def _paid(entries: Sequence[Any]) -> Paid:
    """Return what was credited under one key. If there are several entries, which is never what we asked for, its
    amount is None."""
    first = entries[-1]
    currency = first.currency.upper()
    amount_minor = minor_of_units(NAME, -first.amount, currency) if len(entries) == 1 else None
    return Paid(first.id, amount_minor, currency, first.customer)


def _taken_back(entry: Any) -> TakenBack:
    made = _reversed(entry)
    return TakenBack(made.reference, made.amount_minor, made.currency, noted(entry, "key"))


def _reversed(entry: Any) -> Reversed:
    currency = entry.currency.upper()
    return Reversed(entry.id, minor_of_units(NAME, entry.amount, currency), currency)
