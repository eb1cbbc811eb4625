"""Paying: verify, record the attempt, call the rail, record the answer."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.claims import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from activities.moment import beating, moment
from activities.restores import RESTORED, Whole, always_whole
from activities.sending import ask, look
from models.session import Database
from referral_rewards.domain import money
from referral_rewards.domain.payouts.advice import FUNDS, NO_ANSWER, NOT_CONNECTED, PROBE, until_the_next_poll
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.rail_catalogue import SAY_WHAT_THEY_HOLD
from referral_rewards.domain.payouts.states import (
    AT_REST,
    Accepted,
    Answer,
    Declined,
    Handed,
    Misconfigured,
    Paid,
    PaymentRequest,
    PayoutState,
    Unfunded,
    Unknown,
    matches,
)
from referral_rewards.domain.referrals.inquiries import Moment
from referral_rewards.rails.port import HandsOver, Rail
from referral_rewards.register import rail_halts
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts import acts as payout_acts
from referral_rewards.register.payouts import answers as payout_answers
from referral_rewards.register.payouts import generations, handovers
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts import sending as payouts
from referral_rewards.register.payouts.sending import NotNow, Outset, ToSend

_S = PayoutState
#: A payout whose funds arrived continues without a wait.
_AT_ONCE: Final = timedelta(0)
#: The time left to the activity after the call to the rail.
_HANDOVER_SECONDS: Final = 6.0
#: States at rest in which a wake-up triggers a look-up: the provider may show something else by now.
_WORTH_A_LOOK: Final = frozenset({_S.SETTLED, _S.REFUSED, _S.MANUAL_REVIEW, _S.CANCELLED})


class Payouts:
    """The activity that pays. It trusts only the signatures of the decision, no message and no row (SPEC §6).

    ``elsewhere`` maps a rail to its task queue where only that queue's workers may call the rail. ``is_whole`` says
    whether the register lacks nothing of its mark; otherwise it was restored, and nothing is paid from it.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        rails: Mapping[str, Rail],
        asking: Inquiries,
        clock: Callable[[], datetime],
        elsewhere: Mapping[str, str] = MappingProxyType({}),
        is_whole: Whole = always_whole,
    ) -> None:
        self._database = database
        self._keys = keys
        self._rails = rails
        self._asking = asking
        self._clock = clock
        self._elsewhere = elsewhere
        self._is_whole = is_whole

    @activity.defn
    async def route_payout(self, payout: str) -> str | None:
        """Return the task queue whose workers call the payout's rail; None means the workflow's own queue."""
        if not self._elsewhere or (name := _id(payout)) is None:
            return None
        async with self._database.transaction() as connection:
            rail = await payout_rows.rail_of(connection, name)
        return self._elsewhere.get(rail) if rail is not None else None

    @activity.defn
    async def send_payout(self, request: PayoutRequest) -> PayoutProgress:
        """Take the next step of a payout. If it is killed at any point and run again, it still pays only once."""
        # A payout of a cycle may pay many rewards, and each is judged again.
        async with beating():
            return await self._send(request)

    async def _send(self, request: PayoutRequest) -> PayoutProgress:
        payout = _id(request.payout)
        # The activity may have waited long for a worker, and whether a key is still valid depends on the real time.
        now = max(moment(request.now), self._clock())
        outset = None
        if payout is not None:
            async with self._database.transaction() as connection:
                outset = await payouts.begin(connection, payout, now, self._keys)
        if payout is None or outset is None:
            return PayoutProgress(state=_S.CANCELLED, why="there is no such payout")
        if outset.row.state == _S.WAITING_FUNDS:
            return await self._wait_for_funds(payout, outset.row, now)
        if outset.row.state in AT_REST:
            return await self._look_once(payout, outset, now)
        answers = await self._asking.ask_all(outset.questions, Moment.PAYOUT)
        async with self._database.transaction() as connection:
            if not await self._is_whole(connection):
                return PayoutProgress(state=outset.row.state, why=RESTORED, again_after=PROBE)
            step = await payouts.commit_attempt(connection, outset, now, self._keys, frozenset(self._rails), answers)
        if isinstance(step, NotNow):
            return _progress(step)
        answer: Answer | None = step.found
        if answer is None:
            answer = await ask(self._rails[step.rail], step, now, asyncio.get_running_loop().time())
        return await self._take(payout, step, answer, now)

    async def _take(self, payout: UUID, step: ToSend, answer: Answer | None, now: datetime) -> PayoutProgress:
        """Record the rail's answer and return the resulting progress."""
        match answer:
            case Paid() as paid if matches(step.request, paid):
                if (why := await self._hand_over(payout, step, paid, now)) is not None:
                    # It counts as settled only once the payee can receive it.
                    return await self._note(payout, step, _S.ACCEPTED, now, paid.reference, why, NO_ANSWER)
                return await self._note(payout, step, _S.SETTLED, now, paid.reference)
            case Accepted(order, why) if matches(step.request, order):
                until = until_the_next_poll(step.key_used_at, now)
                return await self._note(payout, step, _S.ACCEPTED, now, order.reference, why, until)
            case Paid() as shown:
                return await self._review(payout, step, shown, now)
            case Accepted(shown, _):
                return await self._review(payout, step, shown, now)
            case Declined(why):
                return await self._note(payout, step, _S.REFUSED, now, why=why)
            case Unfunded(why):
                again_after = FUNDS if step.rail in SAY_WHAT_THEY_HOLD else None
                return await self._note(payout, step, _S.WAITING_FUNDS, now, why=why, again_after=again_after)
            case Unknown(why):
                return await self._note(payout, step, _S.UNKNOWN, now, why=why, again_after=NO_ANSWER)
            case Misconfigured(why):
                async with self._database.transaction() as connection:
                    return _progress(await payout_answers.shut_out(connection, payout, step, now, why, PROBE))
            case None:
                once = not self._rails[step.rail].facts.looks_up
                async with self._database.transaction() as connection:
                    if step.probes:
                        await rail_halts.lift(connection, step.rail)
                    return _progress(await payout_answers.missed(connection, payout, step, now, once=once))

    async def _wait_for_funds(self, payout: UUID, row: Payout, now: datetime) -> PayoutProgress:
        """Resume the payout once our account holds enough. On a rail that does not report its balance, a person resumes
        it."""
        why, rail = row.why, self._rails.get(row.rail)
        again_after: timedelta | None = NOT_CONNECTED
        if rail is not None:
            funded = await rail.funded(PaymentRequest.of(row.body)) if row.rail in SAY_WHAT_THEY_HOLD else None
            again_after = None if funded is None else FUNDS
            if funded:
                async with self._database.transaction() as connection:
                    if await generations.top_up(connection, payout, row.generation, now):
                        return PayoutProgress(state=_S.APPROVED, again_after=_AT_ONCE)
        async with self._database.transaction() as connection:
            await payout_rows.due(connection, payout, now, again_after)
        return PayoutProgress(state=_S.WAITING_FUNDS, why=why, again_after=again_after)

    async def _look_once(self, payout: UUID, outset: Outset, now: datetime) -> PayoutProgress:
        """Look up a payout at rest that was woken: its provider may show something new."""
        row, rail = outset.row, self._rails.get(outset.row.rail)
        at_rest = PayoutProgress(state=row.state, why=row.why)
        if rail is None or row.state not in _WORTH_A_LOOK or (row.key_used_at is None and not outset.earlier):
            return at_rest
        step = payouts.as_it_was_sent(row, outset.earlier)
        if outset.decided:
            if row.state == _S.SETTLED and row.provider_reference is not None:
                # A person found it at the provider. Its reference is what the handover is requested with.
                found = Paid(row.provider_reference, row.amount_minor, row.currency, step.request.destination)
                await self._hand_over(payout, step, found, now)
            return at_rest
        match await look(rail, step), row.state:
            case Declined(why), _S.SETTLED:
                return await self._note(payout, step, _S.RETURNED, now, why=why)
            case Paid() as paid, _S.SETTLED if matches(step.request, paid):
                await self._hand_over(payout, step, paid, now)
                return await self._note(payout, step, _S.SETTLED, now, paid.reference)
            case Paid() as paid, _S.CANCELLED if matches(step.request, paid):
                return await self._note(payout, step, _S.SETTLED, now, paid.reference)
            case Paid() as paid, _S.MANUAL_REVIEW | _S.REFUSED if matches(step.request, paid):
                if await self._hand_over(payout, step, paid, now) is None:
                    return await self._note(payout, step, _S.SETTLED, now, paid.reference)
            case Paid() as shown, _S.REFUSED | _S.CANCELLED:
                return await self._review(payout, step, shown, now)
            case Declined(why), _S.MANUAL_REVIEW:
                return await self._note(payout, step, _S.REFUSED, now, why=why)
        return at_rest

    async def _hand_over(self, payout: UUID, step: ToSend, paid: Paid, now: datetime) -> str | None:
        """Save the handover of a payment, if its rail gives one. Return why it is not available yet, else None."""
        rail = self._rails[step.rail]
        if not isinstance(rail, HandsOver):
            return None
        async with self._database.transaction() as connection:
            if await handovers.is_kept(connection, payout, paid.reference):
                return None
        try:
            async with asyncio.timeout(_HANDOVER_SECONDS):
                handed = await rail.handover(step.request, paid)
        except TimeoutError:
            handed = Unknown("it did not answer in time")
        if not isinstance(handed, Handed):
            return f"it was paid; what the payee gets of it can't be had yet: {handed.why}"
        async with self._database.transaction() as connection:
            await handovers.keep(connection, payout, paid.reference, handed, now)
        return None

    async def _review(self, payout: UUID, step: ToSend, shown: Paid, now: datetime) -> PayoutProgress:
        """Send to a person for review a payment that the rail shows under our key but that differs from our request."""
        amount = money.display(shown.amount_minor, shown.currency)
        whom = "" if shown.destination == step.request.destination else " to another payee"
        why = f"the rail shows {amount}{whom} under our key, not what was asked"
        return await self._note(payout, step, _S.MANUAL_REVIEW, now, shown.reference, why)

    async def _note(
        self,
        payout: UUID,
        step: ToSend,
        to: PayoutState,
        now: datetime,
        reference: str | None = None,
        why: str | None = None,
        again_after: timedelta | None = None,
    ) -> PayoutProgress:
        """Record an answer. Any usable answer lifts a halt of the rail, because it accepted our credentials."""
        async with self._database.transaction() as connection:
            if step.probes and to is not _S.UNKNOWN:
                await rail_halts.lift(connection, step.rail)
            state = await payout_answers.note(
                connection, payout, to, now, reference=reference, why=why, generation=step.generation,
                again_after=again_after,
            )  # fmt: skip
            if state is _S.SETTLED and step.accepted_as is not None:
                # The settlement fulfils a person's confirmation of a payment by hand.
                made = await decisions.on_subject(connection, payout, self._keys)
                await payout_acts.carry_out(connection, payout, made, now, self._keys)
        return PayoutProgress(state=state, why=why, again_after=None if state in AT_REST else again_after)


def _progress(step: NotNow) -> PayoutProgress:
    return PayoutProgress(state=step.state, why=step.why, again_after=step.again_after)


def _id(payout: str) -> UUID | None:
    try:
        return UUID(payout)
    except (ValueError, AttributeError, TypeError):
        # A workflow started by hand may be given any text.
        return None
