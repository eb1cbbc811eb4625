"""Taking money back at its provider: verify, put the attempt on record, ask the rail, note the answer."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.messages import ClawbackRequest, PayoutProgress
from activities.moment import moment
from activities.sending import take_back
from models.session import Database
from referral_rewards.domain.clawbacks.states import ClawbackState
from referral_rewards.domain.payouts.states import Declined, Misconfigured, ReversalAnswer, Reversed, Unknown
from referral_rewards.rails.port import Rail
from referral_rewards.register import rail_halts
from referral_rewards.register.clawbacks import reversals
from referral_rewards.register.clawbacks.reversals import NotNow, ToReverse
from referral_rewards.register.decisions.signing import KeyRing

#: An answer that did not come is asked for again. A rail that does not let us in is left to payouts to try first: a key
#: that may pay and not take back would otherwise keep them waiting.
_LATER: Final = timedelta(minutes=5)
_ONCE_LET_IN: Final = timedelta(hours=1)
#: Between the two look-ups after which what can't be found is put before a person.
_SPACING: Final = timedelta(hours=1)


class Clawbacks:
    """The activity that takes back. It trusts no message and no row, but the signature under the decision (SPEC §6).

    ``elsewhere`` names the task queues whose workers alone call some of the rails.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        rails: Mapping[str, Rail],
        clock: Callable[[], datetime],
        elsewhere: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._database = database
        self._keys = keys
        self._rails = rails
        self._clock = clock
        self._elsewhere = elsewhere

    @activity.defn
    async def route_clawback(self, clawback: str) -> str | None:
        """The task queue whose workers call the rail that paid; None: the workflow's own."""
        if not self._elsewhere or (name := _id(clawback)) is None:
            return None
        async with self._database.transaction() as connection:
            rail = await reversals.rail_of(connection, name)
        return self._elsewhere.get(rail) if rail is not None else None

    @activity.defn
    async def reverse_clawback(self, request: ClawbackRequest) -> PayoutProgress:
        """Carries a reversal one step further. Killed anywhere and run again, it takes back once."""
        if (clawback := _id(request.clawback)) is None:
            return PayoutProgress(state=ClawbackState.UNRECOVERABLE, why="there is no such clawback")
        # An activity may have waited long for a worker: whether a key is still known is a question of the time it is.
        now = max(moment(request.now), self._clock())
        async with self._database.transaction() as connection:
            step = await reversals.commit_attempt(connection, clawback, now, self._keys, frozenset(self._rails))
        if isinstance(step, ToReverse):
            answer = await take_back(self._rails[step.rail], step, now)
            step = await self._note(clawback, step, answer, now)
        return PayoutProgress(state=step.state, why=step.why or None, again_after=step.again_after)

    async def _note(self, clawback: UUID, step: ToReverse, answer: ReversalAnswer | None, now: datetime) -> NotNow:
        """What the answer of a rail comes to."""
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
