"""What every way to pay must be able to do."""

from datetime import datetime
from typing import Protocol, runtime_checkable

from referral_rewards.domain.books.reconciliation import ListedPage
from referral_rewards.domain.payouts.rail_catalogue import RailFacts
from referral_rewards.domain.payouts.states import (
    Answer,
    Handed,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    Unknown,
)


class Rail(Protocol):
    """A rail. Whatever happens on the way, each question has one of the answers below; it never raises instead."""

    @property
    def facts(self) -> RailFacts:
        """What is known of the rail: its record in the catalogue."""
        ...

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        """Pays once for each key, however often it is called with it while the rail knows the key."""
        ...

    async def look_up(self, request: PaymentRequest, key: str) -> Answer | None:
        """What became of the payment under this key, or None if the rail says that it knows of none.

        It moves nothing. A rail that can't be asked (`RailFacts.looks_up`) answers unknown.
        """
        ...

    async def funded(self, request: PaymentRequest) -> bool | None:
        """Whether our account with the rail holds enough for it now; None where it never says.

        One that does not answer has not said that it does. It moves nothing.
        """
        ...

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        """What has become of an order that it accepted, by the rail's own reference. It moves nothing either."""
        ...

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        """What became of a reversal under this key, or None if the rail shows none. It moves nothing."""
        ...

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        """Takes back so much of what it paid, once for each key. The key is the reversal's own."""
        ...

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        """A page of what it paid from ``since`` until before ``until``, and what came back of that, however much and
        late; at one request, for they are limited.

        ``payee`` is a destination that we paid to meanwhile, for a rail that has to be asked for each (`Sight.PAYEES`);
        ``after`` the place that the page before named. An answer that is no page says why the list ends there. It
        moves nothing.
        """
        ...


@runtime_checkable
class HandsOver(Protocol):
    """A rail whose payment is of no use to the payee until they are given a link or a code."""

    async def handover(self, request: PaymentRequest, paid: Paid) -> Handed | Unknown | Misconfigured:
        """What the payee is to be given of a payment that the rail shows. It moves nothing."""
        ...
