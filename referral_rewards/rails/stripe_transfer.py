"""Cash to a connected account (Stripe Connect): https://docs.stripe.com/api/transfers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import stripe

from referral_rewards.domain.books.reconciliation import Listed, ListedPage, payout_of
from referral_rewards.domain.payouts.rail_amounts import NotPayable, as_units, minor_of_units
from referral_rewards.domain.payouts.rail_catalogue import STRIPE_TRANSFER
from referral_rewards.domain.payouts.rail_objections import Objection, ObjectionKind, objection
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
from referral_rewards.rails.asking import Failure, for_want_of_funds, seen
from referral_rewards.rails.stripe_calls import (
    KeyTaken,
    answered,
    everything,
    made_at,
    not_connected,
    noted,
    page,
    read,
    within,
)

NAME: Final = STRIPE_TRANSFER.name


class StripeTransfer:
    """One transfer per payout. Its transfer group is our key, by which it can be looked up at Stripe."""

    facts: Final = STRIPE_TRANSFER

    def __init__(self, api: Any) -> None:
        self._transfers = api.transfers
        self._balance = api.balance
        self._accounts = api.accounts

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        if (found := objection(NAME, request)) is not None:
            return Declined(found.why)
        order = {
            "amount": as_units(NAME, request.amount_minor, request.currency),
            "currency": request.currency.lower(),
            "destination": request.destination,
            "transfer_group": key,
            "metadata": {"payout": str(request.payout_id)},
        }
        made = await answered(self._transfers.create_async(order, {"idempotency_key": key}))
        if isinstance(made, KeyTaken):
            return await self.look_up(request, key) or Unknown(made.why)
        if isinstance(made, Failure):
            return for_want_of_funds(made, "balance_insufficient")
        return seen(lambda: _shown([made]))

    async def look_up(self, request: PaymentRequest, key: str) -> Answer | None:
        found = await everything(self._transfers.list_async, transfer_group=key)
        if isinstance(found, Failure):
            return found
        return seen(lambda: _shown(found)) if found else None

    async def funded(self, request: PaymentRequest) -> bool | None:
        """Compare with the available balance, which transfers are paid from: https://docs.stripe.com/api/balance."""
        balance = await read(self._balance.retrieve_async())
        if balance is None or isinstance(balance, Failure):
            return False
        needed = as_units(NAME, request.amount_minor, request.currency)
        currency = request.currency.lower()
        enough = seen(lambda: sum(each.amount for each in balance.available if each.currency == currency) >= needed)
        return enough is True

    async def foresee(self, request: PaymentRequest) -> Objection | Unknown | Misconfigured | None:
        """Ask whether the connected account takes transfers: https://docs.stripe.com/connect/account-capabilities."""
        if (found := objection(NAME, request)) is not None:
            return found
        try:
            account = await self._accounts.retrieve_async(request.destination)
        except stripe.StripeError as error:
            return not_connected(error)
        state = seen(lambda: str(account.capabilities.transfers))
        if isinstance(state, Unknown):
            return state
        if state == "active":
            return None
        return Objection(ObjectionKind.NOT_READY, f"the payee’s account at Stripe takes no transfers yet ({state})")

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        return await self.look_up(request, key) or Unknown("Stripe does not show it any more")

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        found = await everything(self._transfers.reversals.list_async, paid.reference)
        if isinstance(found, Failure):
            return found
        made = next((each for each in found if noted(each, "reversal") == key), None)
        return None if made is None else seen(lambda: _reversed(made))

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        """Reverse a transfer, in several parts if need be. Stripe itself refuses to reverse more than was paid."""
        try:
            amount = as_units(NAME, amount_minor, request.currency)
        except NotPayable as error:
            return Declined(str(error))
        if found := await self.look_up_reversal(request, paid, amount_minor, key):
            return found
        order = {"amount": amount, "metadata": {"reversal": key}}
        create = self._transfers.reversals.create_async
        made = await answered(create(paid.reference, order, {"idempotency_key": key}))
        if isinstance(made, KeyTaken):
            return Unknown(made.why)
        return made if isinstance(made, Failure) else seen(lambda: _reversed(made))

    async def taken_back(self, request: PaymentRequest, paid: Paid) -> Sequence[TakenBack] | NotTold:
        found = await everything(self._transfers.reversals.list_async, paid.reference)
        return found if isinstance(found, Failure) else seen(lambda: [_taken_back(each) for each in found])

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        return await page(_listed, after, self._transfers.list_async, created=within(since, until))


def _listed(transfer: Any) -> Listed:
    currency = transfer.currency.upper()
    return Listed(
        reference=transfer.id,
        payout=payout_of(noted(transfer, "payout")),
        key=transfer.transfer_group,
        amount_minor=minor_of_units(NAME, transfer.amount, currency),
        currency=currency,
        destination=transfer.destination,
        reversed_minor=minor_of_units(NAME, transfer.amount_reversed, currency) or 0,
        at=made_at(transfer),
    )


def _shown(transfers: Sequence[Any]) -> Paid | Declined:
    """Return what was transferred under one key. A fully reversed transfer no longer counts as paid. If there are
    several transfers, which is never what we asked for, the amount is None."""
    first = transfers[-1]
    if len(transfers) == 1 and first.amount_reversed == first.amount:
        return Declined("the transfer was reversed at Stripe")
    currency = first.currency.upper()
    amount_minor = minor_of_units(NAME, first.amount, currency) if len(transfers) == 1 else None
    return Paid(first.id, amount_minor, currency, first.destination)


def _taken_back(reversal: Any) -> TakenBack:
    made = _reversed(reversal)
    return TakenBack(made.reference, made.amount_minor, made.currency, noted(reversal, "reversal"))


def _reversed(reversal: Any) -> Reversed:
    currency = reversal.currency.upper()
    return Reversed(reversal.id, minor_of_units(NAME, reversal.amount, currency), currency)
