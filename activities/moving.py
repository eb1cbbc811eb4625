"""What the activities that move money share: which worker takes a step, when, and how a rail is called and heard."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.messages import PayoutProgress
from activities.moment import moment
from activities.queues import NONE_APART, Queues
from activities.restores import Whole, always_whole
from activities.sending import ask
from models.session import Database
from referral_rewards.domain.payouts.hearing import Hearing, hear
from referral_rewards.domain.payouts.moving import NotNow, Reversal, ToSend
from referral_rewards.domain.payouts.states import PaymentRequest
from referral_rewards.rails.port import Rail
from referral_rewards.register.decisions.signing import KeyRing


class Moving:
    """Moves money by one intent at a time: its attempt is recorded, the rail is called, its answer is recorded.

    It trusts only the signatures of decisions, no message and no row (SPEC §6). ``queues`` knows the rails that only
    workers of another task queue may call. ``is_whole`` says whether the register lacks nothing of its
    mark; otherwise it was restored, and nothing is sent from it.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        rails: Mapping[str, Rail],
        clock: Callable[[], datetime],
        queues: Queues = NONE_APART,
        is_whole: Whole = always_whole,
    ) -> None:
        self._database = database
        self._keys = keys
        self._rails = rails
        self._clock = clock
        self._queues = queues
        self._is_whole = is_whole

    async def _elsewhere_for(
        self, intent: UUID, rail_of: Callable[[AsyncConnection, UUID], Awaitable[str | None]]
    ) -> str | None:
        """Return the task queue whose workers alone call the intent's rail; None means that this worker may."""
        if self._queues == NONE_APART:
            return None
        async with self._database.reading() as connection:
            rail = await rail_of(connection, intent)
            return await self._queues.of(connection, rail, self._clock()) if rail is not None else None

    def _now(self, asked: datetime) -> datetime:
        """Return the time that a step acts as of.

        The activity may have waited long for a worker, and whether a key is still valid depends on the real time.
        """
        return max(moment(asked), self._clock())

    async def _call(self, step: ToSend[PaymentRequest] | ToSend[Reversal], now: datetime) -> Hearing:
        """Call the rail for an attempt that was just recorded, and return what its answer comes to."""
        rail, committed_at = self._rails[step.rail], asyncio.get_running_loop().time()
        if isinstance(step.request, Reversal):
            return hear(step, await ask(rail, step, now, committed_at), now)
        answer = step.found or await ask(rail, step, now, committed_at)
        return hear(step, answer, now)


def progress(step: NotNow) -> PayoutProgress:
    """Return the progress that the workflow is told."""
    return PayoutProgress(state=step.state, why=step.why or None, again_after=step.again_after)


def id_of(text: str) -> UUID | None:
    """Return the id in a message; None if it is none: a workflow started by hand may be given any text."""
    try:
        return UUID(text)
    except (ValueError, AttributeError, TypeError):
        return None
