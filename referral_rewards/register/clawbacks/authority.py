"""Which signed decision created a clawback, or a return. A row alone takes nothing back, and pays nothing back."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.clawbacks.clawback import Clawback
from referral_rewards.domain.clawbacks.returning import return_id
from referral_rewards.domain.clawbacks.states import ClawbackKind, clawback_id
from referral_rewards.domain.decisions.money_acts import ROLES, MoneyAct
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing

#: The kind of clawback that each decision creates.
KINDS: Final = {
    MoneyAct.REVERSE_CLAWBACK: ClawbackKind.REVERSE,
    MoneyAct.OFFSET_CLAWBACK: ClawbackKind.OFFSET,
    MoneyAct.WRITE_OFF_CLAWBACK: ClawbackKind.WRITE_OFF,
}


async def decided(connection: AsyncConnection, clawback: Clawback, keys: KeyRing) -> Decision | None:
    """Return the verified decision that created the clawback in this row; None if none matches it."""
    return deciding(clawback, await decisions.on_subject(connection, clawback.case_id, keys))


def deciding(clawback: Clawback, made: Iterable[Decision]) -> Decision | None:
    """Return the one of the verified decisions ``made`` on its case that created it; None if none did."""
    return next((decision for decision in made if begets(decision, clawback)), None)


def begets(decision: Decision, clawback: Clawback) -> bool:
    """Return whether the clawback is exactly the one that this decision orders, by a user with the role for it."""
    if decision.id != clawback.decision_id or clawback.id != clawback_id(decision.id):
        return False
    if not isinstance(decision.kind, MoneyAct) or not decision.roles & ROLES[decision.kind]:
        return False
    amount_minor = (decision.details or {}).get("amount_minor")
    return (KINDS.get(decision.kind), amount_minor) == (clawback.kind, clawback.amount_minor)


def returning(payout: Payout, made: Iterable[Decision]) -> Decision | None:
    """Return the one of the verified decisions ``made`` that orders exactly this return; None if none does."""
    return next((each for each in made if _returns(each, payout)), None)


def _returns(decision: Decision, payout: Payout) -> bool:
    if decision.kind is not MoneyAct.RETURN_CLAWBACK or not decision.roles & ROLES[decision.kind]:
        return False
    ordered = (decision.claim_id, return_id(decision.id), (decision.details or {}).get("amount_minor"))
    return ordered == (payout.returns, payout.id, payout.amount_minor)
