"""Reversing a payment at its provider: verify, record the attempt, call the rail, record the answer."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.messages import ClawbackRequest, PayoutProgress
from activities.moving import Moving, id_of, progress
from activities.restores import RESTORED
from referral_rewards.domain.clawbacks.states import ClawbackState
from referral_rewards.domain.payouts.hearing import Hearing
from referral_rewards.domain.payouts.moving import NotNow, Reversal, ToSend
from referral_rewards.register.clawbacks import reversals

#: When to ask again after the rail refused our credentials. Payouts try it first: otherwise a key that may pay but not
#: reverse would keep payouts waiting.
_ONCE_LET_IN: Final = timedelta(hours=1)


class Clawbacks(Moving):
    """The activity that reverses a payment."""

    @activity.defn
    async def reverse_clawback(self, request: ClawbackRequest) -> PayoutProgress:
        """Take the next step of a reversal, or say which task queue takes it. If it is killed at any point and run
        again, it still reverses only once."""
        if (clawback := id_of(request.clawback)) is None:
            return PayoutProgress(state=ClawbackState.UNRECOVERABLE, why="there is no such clawback")
        if (queue := await self._elsewhere_for(clawback, reversals.rail_of)) is not None:
            return PayoutProgress(state=ClawbackState.APPROVED, queue=queue)
        now = self._now(request.now)
        step = await self._database.write(self._commit_attempt, clawback, now)
        if isinstance(step, ToSend):
            step = await self._note(clawback, step, await self._call(step, now), now)
        return progress(step)

    async def _commit_attempt(
        self, connection: AsyncConnection, clawback: UUID, now: datetime
    ) -> ToSend[Reversal] | NotNow:
        """Record the attempt; nothing is sent from a register that was restored."""
        if not await self._is_whole(connection):
            return NotNow(ClawbackState.APPROVED, RESTORED, _ONCE_LET_IN)
        return await reversals.commit_attempt(connection, clawback, now, self._keys, frozenset(self._rails))

    async def _note(self, clawback: UUID, step: ToSend[Reversal], hearing: Hearing, now: datetime) -> NotNow:
        """Record what the rail's answer comes to, and return the resulting state."""
        return await self._database.write(reversals.record, clawback, step, hearing, now, asks_again_after=_ONCE_LET_IN)
