"""Whether a person decided on a clawback: its row is no authority, only the signature under its decision is."""

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.clawbacks.states import ClawbackKind, clawback_id
from referral_rewards.domain.decisions.money_acts import ROLES, MoneyAct
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing

#: How each decision on a case recovers.
KINDS: Final = {
    MoneyAct.REVERSE_CLAWBACK: ClawbackKind.REVERSE,
    MoneyAct.OFFSET_CLAWBACK: ClawbackKind.OFFSET,
    MoneyAct.WRITE_OFF_CLAWBACK: ClawbackKind.WRITE_OFF,
}


async def decided(connection: AsyncConnection, clawback: Any, keys: KeyRing) -> Decision | None:
    """The genuine decision that begot the clawback in this row; None if there is none, or it says something else."""
    if clawback.id is None:
        return None
    made = await decisions.on_subject(connection, clawback.case_id, keys)
    return next((decision for decision in made if begets(decision, clawback)), None)


def begets(decision: Decision, clawback: Any) -> bool:
    """Whether the clawback is, to the unit, the one of this decision of somebody who could make it."""
    if decision.id != clawback.decision_id or clawback.id != clawback_id(decision.id):
        return False
    if not isinstance(decision.kind, MoneyAct) or not decision.roles & ROLES[decision.kind]:
        return False
    amount_minor = (decision.details or {}).get("amount_minor")
    return (KINDS.get(decision.kind), amount_minor) == (clawback.kind, clawback.amount_minor)
