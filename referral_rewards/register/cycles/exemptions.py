"""Who is exempt from the minimum of a cycle, because a signed decision pays them below it."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.cycles.leaving import exemption, is_exempt, leaving_id
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing


async def exempt(connection: AsyncConnection, cycle: UUID, payees: Collection[str], keys: KeyRing) -> frozenset[str]:
    """Return those of the payees whom signed decisions exempt from the cycle's minimum."""
    made = await decisions.history_of(connection, [leaving_id(cycle, payee) for payee in payees], keys)
    return frozenset(payee for payee in payees if is_exempt(made, cycle, payee)) if made else frozenset()


async def below(
    connection: AsyncConnection, cycle: UUID, minimum_minor: int | None, keys: KeyRing
) -> Sequence[tuple[str, Decision]]:
    """Return the payees whom the cycle pays less than its minimum, each with the signed decision that says so."""
    if minimum_minor is None:
        return ()
    asked = {"cycle": cycle, "minimum_minor": minimum_minor}
    payees = (await connection.execute(_BELOW, asked)).scalars().all()
    made = await decisions.history_of(connection, [leaving_id(cycle, payee) for payee in payees], keys)
    found = [(payee, exemption(made, cycle, payee)) for payee in payees] if made else []
    return [(payee, decision) for payee, decision in found if decision is not None]


async def is_ordered(connection: AsyncConnection, cycle: UUID, payee: str) -> bool:
    """Return whether a decision exempts the payee from the cycle's minimum; it was verified when it was gathered."""
    return bool((await connection.execute(_IS_ORDERED, {"id": leaving_id(cycle, payee)})).scalar_one())


_BELOW: Final = text("""
SELECT payee FROM payout WHERE cycle_id = :cycle GROUP BY payee HAVING sum(amount_minor) < :minimum_minor ORDER BY payee
""")

_IS_ORDERED: Final = text("SELECT EXISTS (SELECT 1 FROM decision WHERE claim_id = :id AND kind = 'pay_below_minimum')")
