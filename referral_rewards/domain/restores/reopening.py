"""When a rail that was halted after a restore may be opened again. Pure."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from referral_rewards.domain.books.reconciliation import DifferenceKind, ReconciliationState
from referral_rewards.domain.payouts.rail_catalogue import BY_HAND, CATALOGUE

_NAMESPACE: Final = UUID("8a0d9a3e-5f53-5f0c-9d0e-2b2a9f0c6d41")

#: Differences that say of a payment of ours that the register may not know all of it.
UNEXPLAINED: Final = frozenset(
    {DifferenceKind.STATE, DifferenceKind.DUPLICATE, DifferenceKind.UNSEEN, DifferenceKind.CHANGED}
)


def rail_id(rail: str) -> UUID:
    """Return the id under which decisions on a rail are recorded."""
    return uuid5(_NAMESPACE, rail)


def rail_of(name: UUID) -> str | None:
    """Return the rail of such an id; None if there is none."""
    return next((rail for rail in CATALOGUE if rail_id(rail) == name), None)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The newest reconciliation asked for since the rail was halted that covers everything since the restore.

    ``unexplained`` counts its differences of `UNEXPLAINED` kinds whose payment is not on record as forgotten.
    """

    id: UUID
    state: ReconciliationState
    why: str | None
    unexplained: int


def remains(rail: str, reconciled: Reconciled | None, nameless: int) -> tuple[str, ...]:
    """Return what must be done before the rail is opened again, one sentence each; empty if nothing remains.

    ``nameless`` counts the forgotten payments of which the rail does not tell whom they paid. A rail whose payments
    people make can't be asked: they compare the bank's statement, and say so with the decision.
    """
    if rail in BY_HAND:
        return ()
    why = _of_reconciliation(reconciled)
    found = [why] if why is not None else []
    if nameless:
        found.append(f"{_counted(nameless, 'forgotten payment')} without a payee must be assigned")
    return tuple(found)


def _of_reconciliation(reconciled: Reconciled | None) -> str | None:
    if reconciled is None:
        return "reconcile the rail from the moment of the restore until now"
    if reconciled.state is ReconciliationState.FAILED:
        return f"reconcile the rail again: the last one failed ({reconciled.why})"
    if reconciled.state is not ReconciliationState.DONE:
        return "its reconciliation is in progress"
    if reconciled.unexplained:
        counted = _counted(reconciled.unexplained, "difference")
        return f"clear up {counted} of reconciliation {reconciled.id}, then reconcile again"
    return None


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
