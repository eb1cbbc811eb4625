"""One call to a rail: pay, take back, or look up an attempt that is on record."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar, overload

from referral_rewards.domain.payouts.moving import Earlier, Reversal, ToSend
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    TakenBack,
    Unfunded,
    Unknown,
    safe_to_send_again,
)
from referral_rewards.domain.payouts.taking_back import counted_first
from referral_rewards.rails.port import Rail

#: The time a rail has to answer in all, however many requests that takes; less than the activity's own timeout.
PATIENCE_SECONDS: Final = 20.0

_A = TypeVar("_A", Answer, ReversalAnswer, covariant=True)


class _Order(Protocol[_A]):
    """A request and the rail that carries it out: a payment or a reversal, which go the same way."""

    @property
    def rail(self) -> Rail: ...

    @property
    def looks_up(self) -> bool:
        """Whether the rail can be asked for the outcome of a key."""
        ...

    async def send(self, key: str) -> _A: ...

    async def look_up(self, key: str) -> _A | None: ...

    async def poll(self, key: str, reference: str) -> _A: ...

    async def counted_first(self, key: str) -> _A | None:
        """Return what it comes to by what the rail did before without being told by us; None: it must be sent."""
        ...


@dataclass(frozen=True, slots=True)
class _Paying:
    rail: Rail
    request: PaymentRequest

    @property
    def looks_up(self) -> bool:
        return self.rail.facts.looks_up

    async def send(self, key: str) -> Answer:
        return await self.rail.pay(self.request, key)

    async def look_up(self, key: str) -> Answer | None:
        return await self.rail.look_up(self.request, key)

    async def poll(self, key: str, reference: str) -> Answer:
        return await self.rail.poll(self.request, key, reference)

    async def counted_first(self, key: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class _TakingBack:
    rail: Rail
    order: Reversal

    @property
    def looks_up(self) -> bool:
        return True

    async def send(self, key: str) -> ReversalAnswer:
        return await self.rail.reverse(self.order.request, self.order.paid, self.order.amount_minor, key)

    async def look_up(self, key: str) -> ReversalAnswer | None:
        return await self.rail.look_up_reversal(self.order.request, self.order.paid, self.order.amount_minor, key)

    async def poll(self, key: str, reference: str) -> ReversalAnswer:
        return await self.look_up(key) or Unknown("the rail does not show it any more")

    async def counted_first(self, key: str) -> ReversalAnswer | None:
        """A restored register may have forgotten a reversal under another key: it is not taken back a second time."""
        shown = await self.rail.taken_back(self.order.request, self.order.paid)
        if isinstance(shown, Declined | Unknown | Misconfigured):
            return shown
        return counted_first(shown, self.order.others, key, self.order.amount_minor)


@overload
async def ask(
    rail: Rail, step: ToSend[PaymentRequest], now: datetime, committed_at: float | None = None
) -> Answer | None: ...
@overload
async def ask(
    rail: Rail, step: ToSend[Reversal], now: datetime, committed_at: float | None = None
) -> ReversalAnswer | None: ...
async def ask(
    rail: Rail, step: ToSend[PaymentRequest] | ToSend[Reversal], now: datetime, committed_at: float | None = None
) -> Answer | ReversalAnswer | None:
    """Send, and return the rail's answer. If an earlier attempt may have gone through, look it up first; send the same
    key and bytes again only while that is safe.

    Returns None when the request was sent, the rail does not show it, and it must not be sent again. ``committed_at``
    is the event loop's time at which the attempt was recorded: a process that was suspended for long since then does
    not send.
    """
    loop = asyncio.get_running_loop()
    until = (loop.time() if committed_at is None else committed_at) + PATIENCE_SECONDS
    try:
        async with asyncio.timeout_at(until):
            if isinstance(step.request, Reversal):
                return await _send_or_look(_TakingBack(rail, step.request), step, now, until)
            return await _send_or_look(_Paying(rail, step.request), step, now, until)
    except TimeoutError:
        return Unknown("the rail did not answer in time")


async def look(rail: Rail, step: ToSend[PaymentRequest]) -> Answer | None:
    """Return what the rail shows of a payout at rest; None if it shows nothing or cannot be asked. Moves no money."""
    order = _Paying(rail, step.request)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = await _find(order, Earlier(step.key, step.accepted_as))
            for before in step.earlier:
                if isinstance(found, Paid):
                    break
                found = await _find(order, before)
            return found
    except TimeoutError:
        return Unknown("the rail did not answer in time")


async def what_was_taken_back(
    rail: Rail, asked: PaymentRequest, reference: str
) -> Sequence[TakenBack] | Unknown | Misconfigured:
    """Return what the rail took back of a payment that it shows under its ``reference``. Moves no money."""
    paid = Paid(reference, asked.amount_minor, asked.currency, asked.destination)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            shown = await rail.taken_back(asked, paid)
    except TimeoutError:
        return Unknown("the rail did not answer in time")
    if isinstance(shown, Declined):
        return ()
    if not isinstance(shown, Unknown | Misconfigured) and any(each.amount_minor is None for each in shown):
        return Unknown("it shows something taken back, and not how much")
    return shown


async def _send_or_look(
    order: _Order[_A], step: ToSend[PaymentRequest] | ToSend[Reversal], now: datetime, until: float
) -> _A | None:
    if step.accepted_as is not None:
        return await order.poll(step.key, step.accepted_as)
    for before in step.earlier:
        found = await _find(order, before)
        if isinstance(found, Accepted):
            return Unknown("an order under an earlier key is still under way")
        if not isinstance(found, Declined | Unfunded | None):
            return found
    # Without a look-up, sending the same request again is the only way to ask.
    tried = step.looks_first or step.key_used_at is not None
    if tried and order.looks_up and (found := await order.look_up(step.key)):
        return found
    if (counted := await order.counted_first(step.key)) is not None:
        return counted
    if not step.may_resend or not safe_to_send_again(order.rail.facts.key_window, step.key_used_at, now):
        return None
    if asyncio.get_running_loop().time() >= until:
        # A retry of this activity may have sent it since, and the rail may have forgotten the key meanwhile.
        raise TimeoutError
    answer = await order.send(step.key)
    # What it would answer again and again is left to the look-ups, and then to a person.
    return None if isinstance(answer, Unknown) and answer.for_good else answer


async def _find(order: _Order[_A], attempt: Earlier) -> _A | None:
    if order.looks_up:
        return await order.look_up(attempt.key)
    return await order.poll(attempt.key, attempt.reference) if attempt.reference else None
