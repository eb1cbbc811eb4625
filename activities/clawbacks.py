"""Reversing a payment at its provider: verify, record the attempt, call the rail, record the answer."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.messages import ClawbackRequest, PayoutProgress
from activities.moment import moment
from activities.restores import RESTORED, Whole, always_whole
from activities.sending import take_back
from models.session import Database
from referral_rewards.domain.clawbacks.states import ClawbackState
from referral_rewards.domain.payouts.states import Declined, Misconfigured, ReversalAnswer, Reversed, Unknown
from referral_rewards.rails.port import Rail
from referral_rewards.register import rail_halts
from referral_rewards.register.clawbacks import reversals
from referral_rewards.register.clawbacks.reversals import NotNow, ToReverse
from referral_rewards.register.decisions.signing import KeyRing

#: When to ask again after no answer, and after the rail refused our credentials. In that case payouts try it first:
#: otherwise a key that may pay but not reverse would keep payouts waiting.
_LATER: Final = timedelta(minutes=5)
_ONCE_LET_IN: Final = timedelta(hours=1)
#: Between the two look-ups. A reversal that neither of them finds goes to a person for review.
_SPACING: Final = timedelta(hours=1)


class Clawbacks:
    """The activity that reverses a payment. It trusts only the signature of the decision, no message and no row
    (SPEC §6).

    ``elsewhere`` maps a rail to its task queue where only that queue's workers may call the rail. ``is_whole`` says
    whether the register lacks nothing of its mark; otherwise it was restored, and nothing is sent from it.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        rails: Mapping[str, Rail],
        clock: Callable[[], datetime],
        elsewhere: Mapping[str, str] = MappingProxyType({}),
        is_whole: Whole = always_whole,
    ) -> None:
        self._database = database
        self._keys = keys
        self._rails = rails
        self._clock = clock
        self._elsewhere = elsewhere
        self._is_whole = is_whole

    @activity.defn
    async def route_clawback(self, clawback: str) -> str | None:
        """Return the task queue whose workers call the rail that paid; None means the workflow's own queue."""
        if not self._elsewhere or (name := _id(clawback)) is None:
            return None
        async with self._database.transaction() as connection:
            rail = await reversals.rail_of(connection, name)
        return self._elsewhere.get(rail) if rail is not None else None

    @activity.defn
    async def reverse_clawback(self, request: ClawbackRequest) -> PayoutProgress:
        """Take the next step of a reversal. If it is killed at any point and run again, it still reverses only once."""
        if (clawback := _id(request.clawback)) is None:
            return PayoutProgress(state=ClawbackState.UNRECOVERABLE, why="there is no such clawback")
        # The activity may have waited long for a worker, and whether a key is still valid depends on the real time.
        now = max(moment(request.now), self._clock())
        async with self._database.transaction() as connection:
            if not await self._is_whole(connection):
                return PayoutProgress(state=ClawbackState.APPROVED, why=RESTORED, again_after=_ONCE_LET_IN)
            step = await reversals.commit_attempt(connection, clawback, now, self._keys, frozenset(self._rails))
        if isinstance(step, ToReverse):
            answer = await take_back(self._rails[step.rail], step, now)
            step = await self._note(clawback, step, answer, now)
        return PayoutProgress(state=step.state, why=step.why or None, again_after=step.again_after)

    async def _note(self, clawback: UUID, step: ToReverse, answer: ReversalAnswer | None, now: datetime) -> NotNow:
        """Record the rail's answer and return the resulting state."""
        async with self._database.transaction() as connection:
            if step.probes and not isinstance(answer, Unknown | Misconfigured):
                await rail_halts.lift(connection, step.rail)
            match answer:
                case Reversed(reference, amount_minor, currency):
                    return await reversals.reversed_by(
                        connection, clawback, now, reference=reference, amount_minor=amount_minor, currency=currency
                    )
                case Declined(why):
                    return await reversals.declined(connection, clawback, now, why)
                case Unknown(why):
                    return await reversals.unknown(connection, clawback, now, why, _LATER)
                case Misconfigured(why):
                    return await reversals.shut_out(connection, clawback, step.rail, now, why, _ONCE_LET_IN)
                case None:
                    return await reversals.missed(connection, clawback, now, _SPACING)


def _id(clawback: str) -> UUID | None:
    try:
        return UUID(clawback)
    except ValueError:
        return None
