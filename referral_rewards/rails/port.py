"""The interface that every rail implements."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from referral_rewards.domain.books.reconciliation import ListedPage
from referral_rewards.domain.payouts.rail_catalogue import RailFacts
from referral_rewards.domain.payouts.rail_objections import Objection
from referral_rewards.domain.payouts.states import (
    Answer,
    Handed,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    TakenBack,
    Unknown,
)
from referral_rewards.domain.payouts.taking_back import NotTold


class Rail(Protocol):
    """A rail. Every method returns one of the answers below, whatever goes wrong; it never raises."""

    @property
    def facts(self) -> RailFacts:
        """The rail's record in the catalogue."""
        ...

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        """Pay once for each key, however often it is called with that key while the rail knows it."""
        ...

    async def look_up(self, request: PaymentRequest, key: str) -> Answer | None:
        """Return the outcome of the payment under this key, or None if the rail says that it has none.

        Moves no money. A rail without look-up (`RailFacts.looks_up`) answers unknown.
        """
        ...

    async def funded(self, request: PaymentRequest) -> bool | None:
        """Return whether our account with the rail now holds enough for the payment; None if the rail never reports it.

        False also if the rail does not answer. Moves no money.
        """
        ...

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        """Return the outcome of an order that the rail accepted, by the rail's reference. Moves no money."""
        ...

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        """Return the outcome of the reversal under this key, or None if the rail shows none. Moves no money."""
        ...

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        """Reverse ``amount_minor`` of a payment, once for each key. The key belongs to the reversal."""
        ...

    async def taken_back(self, request: PaymentRequest, paid: Paid) -> Sequence[TakenBack] | NotTold:
        """Return everything that was ever taken back of a payment, by us or by hand. Moves no money.

        A rail of ours keeps its payments in the register, which is restored with them: it returns nothing.
        """
        ...

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        """Return a page of the payments from ``since`` (inclusive) to ``until`` (exclusive), with any later reversals
        of them. It takes one request, because requests are limited.

        ``payee`` is a destination that we paid in the span, for a rail that lists one payee at a time (`Sight.PAYEES`).
        ``after`` is the place that the previous page named. Any other answer says why there is no page. Moves no money.
        """
        ...


@runtime_checkable
class Foresees(Protocol):
    """A rail that can be asked beforehand whether a payee can be paid."""

    async def foresee(self, request: PaymentRequest) -> Objection | Unknown | Misconfigured | None:
        """Return what the rail would refuse about the request as things stand; None if nothing. Moves no money.

        What it says may have changed when the payment goes out. Any other answer says why nobody knows.
        """
        ...


@runtime_checkable
class HandsOver(Protocol):
    """A rail whose payee needs a link or a code to use the payment."""

    async def handover(self, request: PaymentRequest, paid: Paid) -> Handed | Unknown | Misconfigured:
        """Return the link or code for the payee of a payment that the rail shows. Moves no money."""
        ...
