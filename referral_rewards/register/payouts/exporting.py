"""Hand the instruction of a payment by hand to a person. That is its sending (SPEC §7).

It goes the way of every first attempt: load under the locks, decide, save. What commits before it stops the payment.
The instruction is written in the same transaction, so it can be shown again after a crash, always under its key.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.payouts.advice import PROBE, until_the_next_poll
from referral_rewards.domain.payouts.hearing import Heard, Outcome
from referral_rewards.domain.payouts.moving import NotNow
from referral_rewards.domain.payouts.rail_catalogue import BY_HAND
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.referrals.inquiries import Answers
from referral_rewards.register import outbox
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payouts import answers as payout_answers
from referral_rewards.register.payouts import instructions, sending
from referral_rewards.register.payouts.sending import Outset

_WAITS: Final = "its instruction was exported; a second person confirms that the bank carried it out"


async def waiting(connection: AsyncConnection, after: UUID | None, limit: int) -> Sequence[UUID]:
    """Return the payouts whose instructions nobody has exported, in the order of their ids, from the one ``after``."""
    return (await connection.execute(_WAITING, {"after": after, "limit": limit})).scalars().all()


async def export(
    connection: AsyncConnection, outset: Outset, now: datetime, keys: KeyRing, answers: Mapping[str, Answers], by: str
) -> str | None:
    """Verify a payout and write its instruction; return None, or in one sentence why it is not handed out.

    ``answers`` are those of the sources to `Outset.questions`, and ``by`` is the person who exports it. The caller has
    checked that they may.
    """
    step = await sending.commit_attempt(connection, outset, now, keys, BY_HAND, answers, exports=True)
    if isinstance(step, NotNow):
        return step.why
    await instructions.write(connection, step.request, step.key, by, now)
    heard = Heard(Outcome.UNDER_WAY, _WAITS, step.key, again_after=until_the_next_poll(now, now))
    payout = outset.row.id
    await payout_answers.record(connection, payout, step, heard, now, asks_again_after=PROBE, once=False)
    await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(payout), payout)
    return None


_WAITING: Final = statement(
    """
SELECT id FROM payout
WHERE state = :approved AND rail = ANY(:by_hand) AND (CAST(:after AS uuid) IS NULL OR id > CAST(:after AS uuid))
ORDER BY id LIMIT :limit
""",
    approved=PayoutState.APPROVED,
    by_hand=BY_HAND,
)
