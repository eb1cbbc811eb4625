"""Paying: verify, record the attempt, call the rail, record the answer."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.inquiries import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from activities.moment import beating
from activities.moving import Moving, id_of, progress
from activities.queues import NONE_APART, Queues
from activities.restores import RESTORED, Whole, always_whole
from activities.sending import look, what_was_taken_back
from models.session import Database
from referral_rewards.domain.payouts.advice import FUNDS, NO_ANSWER, NOT_CONNECTED, PROBE
from referral_rewards.domain.payouts.hearing import Heard, Hearing, Outcome, seen_at_rest
from referral_rewards.domain.payouts.moving import NotNow, ToSend
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.rail_catalogue import SAY_WHAT_THEY_HOLD
from referral_rewards.domain.payouts.states import (
    AT_REST,
    Handed,
    Misconfigured,
    Paid,
    PaymentRequest,
    PayoutState,
    Unknown,
)
from referral_rewards.domain.referrals.inquiries import Answers, Moment
from referral_rewards.rails.port import HandsOver, Rail
from referral_rewards.register.clawbacks import forgotten as forgotten_reversals
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts import acts as payout_acts
from referral_rewards.register.payouts import answers as payout_answers
from referral_rewards.register.payouts import generations, handovers
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts import sending as payouts
from referral_rewards.register.payouts.sending import Outset

_S = PayoutState
#: A payout whose funds arrived continues without a wait.
_AT_ONCE: Final = timedelta(0)
#: The time left to the activity after the call to the rail.
_HANDOVER_SECONDS: Final = 6.0
#: States at rest in which a wake-up triggers a look-up: the provider may show something else by now.
_WORTH_A_LOOK: Final = frozenset({_S.SETTLED, _S.REFUSED, _S.MANUAL_REVIEW, _S.CANCELLED})


class Payouts(Moving):
    """The activity that pays."""

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        rails: Mapping[str, Rail],
        asking: Inquiries,
        clock: Callable[[], datetime],
        queues: Queues = NONE_APART,
        is_whole: Whole = always_whole,
    ) -> None:
        super().__init__(database, keys, rails, clock, queues, is_whole)
        self._asking = asking

    @activity.defn
    async def send_payout(self, request: PayoutRequest) -> PayoutProgress:
        """Take the next step of a payout, or say which task queue takes it. If it is killed at any point and run again,
        it still pays only once."""
        # A payout of a cycle may pay many rewards, and each is judged again.
        async with beating():
            return await self._send(request)

    async def _send(self, request: PayoutRequest) -> PayoutProgress:
        payout, now, outset = id_of(request.payout), self._now(request.now), None
        if payout is not None:
            if (queue := await self._elsewhere_for(payout, payout_rows.rail_of)) is not None:
                return PayoutProgress(state=_S.APPROVED, queue=queue)
            outset = await self._database.write(payouts.begin, payout, now, self._keys)
        if payout is None or outset is None:
            return PayoutProgress(state=_S.CANCELLED, why="there is no such payout")
        if outset.row.state is _S.WAITING_FUNDS:
            return await self._wait_for_funds(payout, outset.row, now)
        if outset.row.state in AT_REST:
            return await self._look_once(payout, outset, now)
        answers = await self._asking.ask_all(outset.questions, Moment.PAYOUT)
        step = await self._database.write(self._commit_attempt, outset, now, answers)
        if isinstance(step, NotNow):
            return progress(step)
        hearing = await self._call(step, now)
        if isinstance(hearing, Heard) and hearing.outcome is Outcome.DONE:
            hearing = await self._handed_over(payout, step, hearing, now)
        return await self._note(payout, step, hearing, now)

    async def _commit_attempt(
        self, connection: AsyncConnection, outset: Outset, now: datetime, answers: Mapping[str, Answers]
    ) -> ToSend[PaymentRequest] | NotNow:
        """Record the attempt; nothing is sent from a register that was restored."""
        if not await self._is_whole(connection):
            return NotNow(outset.row.state, RESTORED, PROBE)
        return await payouts.commit_attempt(connection, outset, now, self._keys, frozenset(self._rails), answers)

    async def _wait_for_funds(self, payout: UUID, row: Payout, now: datetime) -> PayoutProgress:
        """Resume the payout once our account holds enough. On a rail that does not report its balance, a person resumes
        it."""
        why, rail = row.why, self._rails.get(row.rail)
        again_after: timedelta | None = NOT_CONNECTED
        if rail is not None:
            funded = await rail.funded(PaymentRequest.of(row.body)) if row.rail in SAY_WHAT_THEY_HOLD else None
            again_after = None if funded is None else FUNDS
            if funded and await self._database.write(generations.top_up, payout, row.generation, now):
                return PayoutProgress(state=_S.APPROVED, again_after=_AT_ONCE)
        await self._database.write(payout_rows.due, payout, now, again_after)
        return PayoutProgress(state=_S.WAITING_FUNDS, why=why, again_after=again_after)

    async def _look_once(self, payout: UUID, outset: Outset, now: datetime) -> PayoutProgress:
        """Look up a payout at rest that was woken: its provider may show something new."""
        row, rail = outset.row, self._rails.get(outset.row.rail)
        at_rest = PayoutProgress(state=row.state, why=row.why)
        if rail is None or row.state not in _WORTH_A_LOOK:
            return at_rest
        if row.state is _S.SETTLED and (silent := await self._ask_what_was_taken_back(rail, row, now)) is not None:
            return PayoutProgress(state=row.state, why=silent.why, again_after=PROBE)
        if row.key_used_at is None and not outset.earlier:
            return at_rest
        step = payouts.as_it_was_sent(row, outset.earlier)
        if outset.decided:
            if row.state == _S.SETTLED and row.provider_reference is not None:
                # A person found it at the provider. Its reference is what the handover is requested with.
                await self._hand_over(payout, step, row.provider_reference, now)
            return at_rest
        heard = seen_at_rest(row.state, step.request, await look(rail, step))
        if heard is None:
            return at_rest
        if heard.outcome is Outcome.DONE and row.state is not _S.CANCELLED:
            late = await self._hand_over(payout, step, heard.reference, now)
            if late is not None and row.state is not _S.SETTLED:
                return at_rest
        return await self._note(payout, step, heard, now)

    async def _ask_what_was_taken_back(self, rail: Rail, row: Payout, now: datetime) -> Unknown | Misconfigured | None:
        """Ask the rail of a settled payout what it took back of it, if the register may have forgotten that. Return why
        it does not say; None if nothing has to be asked any more."""
        async with self._database.reading() as connection:
            if not await forgotten_reversals.is_to_be_asked(connection, row.id):
                return None
        asked = PaymentRequest.of(row.body)
        shown = await what_was_taken_back(rail, asked, row.provider_reference or "")
        if isinstance(shown, Unknown | Misconfigured):
            return shown
        await self._database.write(forgotten_reversals.keep, row.id, row.rail, shown, now)
        return None

    async def _handed_over(self, payout: UUID, step: ToSend[PaymentRequest], heard: Heard, now: datetime) -> Heard:
        """Return the outcome of a payment that was made: it counts as settled only once the payee can receive it."""
        why = await self._hand_over(payout, step, heard.reference, now)
        if why is None:
            return heard
        return Heard(Outcome.UNDER_WAY, why, heard.reference, again_after=NO_ANSWER)

    async def _hand_over(
        self, payout: UUID, step: ToSend[PaymentRequest], reference: str | None, now: datetime
    ) -> str | None:
        """Save the handover of a payment, if its rail gives one. Return why it is not available yet, else None."""
        rail, asked = self._rails[step.rail], step.request
        if not isinstance(rail, HandsOver) or reference is None:
            return None
        async with self._database.reading() as connection:
            if await handovers.is_kept(connection, payout, reference):
                return None
        paid = Paid(reference, asked.amount_minor, asked.currency, asked.destination)
        try:
            async with asyncio.timeout(_HANDOVER_SECONDS):
                handed = await rail.handover(asked, paid)
        except TimeoutError:
            handed = Unknown("it did not answer in time")
        if not isinstance(handed, Handed):
            return f"it was paid; what the payee gets of it can't be had yet: {handed.why}"
        await self._database.write(handovers.keep, payout, reference, handed, now)
        return None

    async def _note(
        self, payout: UUID, step: ToSend[PaymentRequest], hearing: Hearing, now: datetime
    ) -> PayoutProgress:
        """Record what the rail's answer comes to, and return the resulting progress."""
        return progress(await self._database.write(self._record, payout, step, hearing, now))

    async def _record(
        self,
        connection: AsyncConnection,
        payout: UUID,
        step: ToSend[PaymentRequest],
        hearing: Hearing,
        now: datetime,
    ) -> NotNow:
        once = not self._rails[step.rail].facts.looks_up
        became = await payout_answers.record(connection, payout, step, hearing, now, asks_again_after=PROBE, once=once)
        if became.state is _S.SETTLED and step.accepted_as is not None:
            # The settlement fulfils a person's confirmation of a payment by hand.
            made = await decisions.on_subject(connection, payout, self._keys)
            await payout_acts.carry_out(connection, payout, made, now, self._keys)
        return became
