"""Moving money: verify, put the attempt on record, ask the rail, note the answer."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.inquiries import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from models.session import Database
from referral_rewards.domain.inquiries import Moment
from referral_rewards.domain.payouts import Answer, Declined, Paid, PayoutState, Unknown, matches
from referral_rewards.rails.port import Rail
from referral_rewards.register import payouts
from referral_rewards.register.payouts import NotNow, ToSend
from referral_rewards.register.signing import KeyRing

_LATER: Final = timedelta(minutes=5)


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
            question = await payouts.question(connection, payout, request.now)
        answers = await self._asking.ask(question, Moment.PAYOUT) if question is not None else None
        async with self._database.transaction() as connection:
            step = await payouts.commit_attempt(
                connection, payout, request.now, self._keys, frozenset(self._rails), answers
            )
        if isinstance(step, NotNow):
            return PayoutProgress(state=step.state, why=step.why, again_after=step.again_after)
        answer = await self._ask_the_rail(step, request.now)
        match answer:
            case Paid() as paid if matches(step.request, paid):
                state = await self._note(payout, PayoutState.SETTLED, request.now, reference=paid.reference)
                return PayoutProgress(state=state)
            case Paid() as paid:
                why = f"the rail shows {paid.amount_minor} {paid.currency} under our key, not what was asked"
                state = await self._note(payout, PayoutState.MANUAL_REVIEW, request.now, paid.reference, why)
                return PayoutProgress(state=state, why=why)
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

    async def _ask_the_rail(self, step: ToSend, now: datetime) -> Answer | None:
        """Looks first where an attempt may have gone through; sends the same key and bytes only while that is safe.

        None: it went out, the rail does not show it, and it may not go out again.
        """
        rail = self._rails[step.rail]
        if step.sent_before is None:
            return await rail.pay(step.request, step.key)
        if found := await rail.look_up(step.request, step.key):
            return found
        window = rail.terms.key_window
        if not step.may_resend or (window is not None and now - step.sent_before >= window):
            return None
        return await rail.pay(step.request, step.key)

    async def _note(
        self, payout: UUID, to: PayoutState, now: datetime, reference: str | None = None, why: str | None = None
    ) -> PayoutState:
        async with self._database.transaction() as connection:
            return await payouts.note(connection, payout, to, now, reference=reference, why=why)
