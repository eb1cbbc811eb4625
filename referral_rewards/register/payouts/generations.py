"""Generations of a payout's key: a new one needs a recorded definitive refusal and a release.

A person releases it by a signed decision. If only funds were missing, it is released once they are there. That release
is not signed, so it counts only on rails where each earlier key can be looked up, and is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.decisions.money_acts import ROLES, MoneyAct, subject_digest
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.rail_catalogue import SAY_WHAT_THEY_HOLD
from referral_rewards.domain.payouts.states import REFUSALS, PayoutState, provider_key
from referral_rewards.register import payout_history
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts.grounds import Grounds


@dataclass(frozen=True, slots=True)
class Earlier:
    """A key under which the payout was refused before, and the rail's reference for that attempt, if any."""

    key: str
    reference: str | None


def payout_digest(row: Any, generation: int, state: PayoutState) -> str:
    """Return the digest that a decision on the payout signs, for its row in that generation and state."""
    what: Mapping[str, Any] = {
        "payout": row.id,
        "generation": generation,
        "state": state,
        "rail": row.rail,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "body": row.body_hash,
        # Sessions may read the same instant in different zones.
        "sent": row.first_sent_at and row.first_sent_at.astimezone(UTC).isoformat(),
    }
    return subject_digest(what)


async def flaw(connection: AsyncConnection, payout: Payout, grounds: Grounds, keys: KeyRing) -> str | None:
    """Return in one sentence why the generation in the row can't be trusted; None if it can.

    Anyone who can write to the database can change a row, but not a signature; and the books show what was settled.
    """
    if payout.provider_key != provider_key(payout.id, payout.generation):
        return "the stored key is not its own"
    if grounds.settled_already:
        return "the books show that it was settled already"
    if payout.generation == 1:
        return None
    steps = await payout_history.of(connection, payout.id)
    made = await decisions.on_subject(connection, payout.id, keys)
    retries = [each for each in made if each.kind is MoneyAct.RETRY_PAYOUT]
    released = {each.digest for each in retries if each.roles & ROLES[MoneyAct.RETRY_PAYOUT]}
    for generation in range(1, payout.generation):
        its = [each for each in steps if each.generation == generation]
        refused = {PayoutState(each.state) for each in its} & REFUSALS
        if not refused:
            return f"generation {generation} of its key was never refused"
        by_funds = any(each.act == payout_history.TOPPED_UP for each in its) and _waits_for_funds_alone(payout, its)
        if not by_funds and released.isdisjoint(payout_digest(payout, generation, state) for state in refused):
            return f"nobody released generation {generation + 1} of its key"
    return None


async def earlier(connection: AsyncConnection, payout: Payout) -> Sequence[Earlier]:
    """Return the keys before the current one, oldest first."""
    if payout.generation == 1:
        return ()
    named = {
        each.generation: each.reference for each in await payout_history.of(connection, payout.id) if each.reference
    }
    return [
        Earlier(provider_key(payout.id, generation), named.get(generation))
        for generation in range(1, payout.generation)
    ]


async def begin_next(connection: AsyncConnection, payout: Payout, now: datetime) -> None:
    """Give the payout the next generation of its key, unused so far. The caller has recorded who released it."""
    generation = payout.generation + 1
    asked = {"id": payout.id, "generation": generation, "key": provider_key(payout.id, generation), "at": now}
    await connection.execute(_NEXT, asked)


async def top_up(connection: AsyncConnection, payout: UUID, generation: int, now: datetime) -> bool:
    """Release the next generation of a payout that waits for funds; False if it has moved since."""
    found = await payout_rows.hold_alone(connection, payout)
    assert found is not None
    if found.state != PayoutState.WAITING_FUNDS or found.generation != generation:
        return False
    its = [each for each in await payout_history.of(connection, payout) if each.generation == generation]
    if not _waits_for_funds_alone(found, its):
        return False
    await payout_history.append(
        connection, payout, generation, now, payout_history.TOPPED_UP, "the account holds enough for it now"
    )
    await begin_next(connection, found, now)
    return True


def _waits_for_funds_alone(payout: Any, steps: Sequence[Any]) -> bool:
    """Return whether funds alone release the next generation after the one with these steps.

    A payout that the rail had accepted before is sent again only by a person's decision.
    """
    states = {PayoutState(each.state) for each in steps}
    refused_at_once = PayoutState.WAITING_FUNDS in states and PayoutState.ACCEPTED not in states
    return refused_at_once and payout.rail in SAY_WHAT_THEY_HOLD


_NEXT: Final = statement(
    """
UPDATE payout SET generation = :generation, provider_key = :key, state = :approved, why = NULL, key_used_at = NULL,
                  missed_at = NULL, provider_reference = NULL, settled_at = NULL, due_at = :at, updated_at = :at
WHERE id = :id
""",
    approved=PayoutState.APPROVED,
)
