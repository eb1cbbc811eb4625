"""Check that a person assigned a forgotten payment: the signed decision says so, not the row."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.money_acts import ROLES, MoneyAct
from referral_rewards.domain.restores.forgotten import Forgotten, own_of
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.signing import KeyRing

_A = MoneyAct


async def flaw(connection: AsyncConnection, forgotten: Sequence[Forgotten], payout: UUID, keys: KeyRing) -> str | None:
    """Return why the payout must not adopt a forgotten payment of its own; None if it may, or there is none.

    A payment that names the payout itself needs no decision.
    """
    for payment in own_of(payout, forgotten):
        if payment.assigned_to is None:
            continue
        made = await chain.on_subject(connection, payment.id, keys)
        assigns = [each for each in made if each.kind is _A.ASSIGN_PAYMENT and each.roles & ROLES[_A.ASSIGN_PAYMENT]]
        if not assigns or (assigns[-1].details or {}).get("reference") != str(payout):
            return "no decision that we believe says that the forgotten payment was this payout"
    return None
