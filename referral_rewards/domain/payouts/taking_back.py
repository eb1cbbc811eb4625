"""What a rail has taken back of a payment, and what of that no reversal of ours accounts for. Pure.

A register that was restored to an earlier state may have forgotten a reversal that was carried out. A later reversal of
the same payment counts it as its own, so that each cent is taken back once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from referral_rewards.domain.payouts.states import Declined, Misconfigured, ReversalAnswer, Reversed, TakenBack, Unknown

#: Why a rail does not say what it took back; declined: it has no such payment, or gives nothing back of it.
NotTold = Declined | Unknown | Misconfigured


@dataclass(frozen=True, slots=True)
class AccountedFor:
    """What a reversal of ours accounts for, under its key or the rail's reference.

    ``recovered_minor`` is what it took; None: its outcome is not known yet, so all that its key shows is its own.
    """

    key: str
    reference: str | None
    recovered_minor: int | None


def whole_or_nothing(looked_up: ReversalAnswer | None) -> tuple[TakenBack, ...] | NotTold:
    """Return what was taken back at a rail that gives back a payment whole or not at all."""
    match looked_up:
        case None:
            return ()
        case Reversed(reference, amount_minor, currency):
            return (TakenBack(reference, amount_minor, currency),)
    return looked_up


def unaccounted(shown: Sequence[TakenBack], ours: Sequence[AccountedFor]) -> tuple[TakenBack, ...]:
    """Return what the rail took back beyond what our reversals account for, each entry with what is left of it."""
    return tuple(left for each in shown if (left := _left(each, ours)).amount_minor != 0)


def counted_first(
    shown: Sequence[TakenBack], ours: Sequence[AccountedFor], key: str, amount_minor: int
) -> Reversed | None:
    """Return what a reversal of this amount comes to without being sent; None if it must be sent.

    What the rail shows under its own key is its outcome. Else it adopts what nobody accounts for: at most its amount,
    from one entry, that of the same amount if there is one.
    """
    for each in shown:
        if each.key == key:
            return Reversed(each.reference, each.amount_minor, each.currency)
    left = sorted(unaccounted(shown, ours), key=lambda each: (each.amount_minor != amount_minor, each.reference))
    if not left:
        return None
    first = left[0]
    taken_minor = None if first.amount_minor is None else min(first.amount_minor, amount_minor)
    return Reversed(first.reference, taken_minor, first.currency, adopts=first)


def _left(shown: TakenBack, ours: Sequence[AccountedFor]) -> TakenBack:
    left_minor = shown.amount_minor
    for each in ours:
        if each.key != shown.key and (each.reference is None or each.reference != shown.reference):
            continue
        if each.recovered_minor is None:
            return replace(shown, amount_minor=0)
        left_minor = None if left_minor is None else max(left_minor - each.recovered_minor, 0)
    return replace(shown, amount_minor=left_minor)
