"""Moving money: verify, put the attempt on record, ask the rail, note the answer."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.inquiries import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from models.session import Database
from referral_rewards.domain import money
from referral_rewards.domain.inquiries import Moment
from referral_rewards.domain.payouts import (
    Accepted,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    PayoutState,
    Unknown,
    matches,
)
from referral_rewards.rails.port import Rail
from referral_rewards.rails.sending import ask
from referral_rewards.register import payouts
from referral_rewards.register.payouts import NotNow, ToSend
from referral_rewards.register.signing import KeyRing

#: An answer that did not come is asked for again; a rail that does not let us in needs people.
_LATER: Final = timedelta(minutes=5)
_ONCE_LET_IN: Final = timedelta(hours=1)
#: What a rail accepted is asked for often while it is fresh, and then for the weeks that a payee may take.
_FRESH: Final = timedelta(hours=1)
_WHILE_FRESH: Final = timedelta(minutes=5)
_AFTERWARDS: Final = timedelta(hours=1)


class Payouts:
    """The activity that pays. It trusts no message and no row, but the signatures under the decision (SPEC §6)."""

    def __init__(self, database: Database, keys: KeyRing, rails: Mapping[str, Rail], asking: Inquiries) -> None:
        self._database = database
        self._keys = keys
        self._rails = rails
        self._asking = asking

    @activity.defn
    async def send_payout(self, request: PayoutRequest) -> PayoutProgress:
        """Carries a payout one step further. Killed anywhere and run again, it pays once."""
        try:
            payout = UUID(request.payout)
        except ValueError:
            return PayoutProgress(state=PayoutState.CANCELLED, why="there is no such payout")
        async with self._database.transaction() as connection:
            questions = await payouts.questions(connection, payout, request.now)
        answers = await self._asking.ask_all(questions, Moment.PAYOUT)
        async with self._database.transaction() as connection:
            step = await payouts.commit_attempt(
                connection, payout, request.now, self._keys, frozenset(self._rails), answers
            )
        if isinstance(step, NotNow):
            return PayoutProgress(state=step.state, why=step.why, again_after=step.again_after)
        answer = await ask(self._rails[step.rail], step, request.now)
        match answer:
            case Paid() as paid if matches(step.request, paid):
                state = await self._note(payout, PayoutState.SETTLED, request.now, reference=paid.reference)
                return PayoutProgress(state=state)
            case Accepted(order, why) if matches(step.request, order):
                state = await self._note(payout, PayoutState.ACCEPTED, request.now, order.reference, why)
                return PayoutProgress(state=state, why=why, again_after=_until_the_next_poll(step, request.now))
            case Paid() as other:
                return await self._review(payout, step.request, other, request.now)
            case Accepted(other, _):
                return await self._review(payout, step.request, other, request.now)
            case Declined(why):
                state = await self._note(payout, PayoutState.REFUSED, request.now, why=why)
                return PayoutProgress(state=state, why=why)
            case None:
                why = "an earlier attempt is on record, the rail shows none, and it is not safe to send it again"
                state = await self._note(payout, PayoutState.MANUAL_REVIEW, request.now, why=why)
                return PayoutProgress(state=state, why=why)
            case Unknown(why):
                state = await self._note(payout, PayoutState.UNKNOWN, request.now, why=why)
                return PayoutProgress(state=state, why=why, again_after=_LATER)
            case Misconfigured(why):
                why = f"the rail {step.rail} does not let us in: {why}"
                async with self._database.transaction() as connection:
                    state = await payouts.remark(connection, payout, why)
                return PayoutProgress(state=state, why=why, again_after=_ONCE_LET_IN)

    async def _review(self, payout: UUID, asked: PaymentRequest, shown: Paid, now: datetime) -> PayoutProgress:
        """Puts before a person what the rail shows under our key and nobody asked for."""
        amount = money.display(shown.amount_minor, shown.currency)
        whom = "" if shown.destination == asked.destination else " to another payee"
        why = f"the rail shows {amount}{whom} under our key, not what was asked"
        state = await self._note(payout, PayoutState.MANUAL_REVIEW, now, shown.reference, why)
        return PayoutProgress(state=state, why=why)

    async def _note(
        self, payout: UUID, to: PayoutState, now: datetime, reference: str | None = None, why: str | None = None
    ) -> PayoutState:
        async with self._database.transaction() as connection:
            return await payouts.note(connection, payout, to, now, reference=reference, why=why)


def _until_the_next_poll(step: ToSend, now: datetime) -> timedelta:
    fresh = step.sent_before is None or now - step.sent_before < _FRESH
    return _WHILE_FRESH if fresh else _AFTERWARDS
