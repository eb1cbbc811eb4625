"""What the rules propose to recover from a paid leg that turned out not to be earned. A person decides.

If the conversion was fully reversed, or its remaining amount misses the minimum, nothing of the reward was earned. If
it was partly reversed, a percentage of the remaining amount was earned, or the whole of a flat amount. A reward that
limits had cut stays as it is, as long as the terms promise at least as much for the remaining amount.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from referral_rewards.domain.claims import rewards
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.clawbacks.room import OFFSET_WAITS_DAYS
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.domain.facts.identity import links
from referral_rewards.domain.facts.orders import OrderName, order_named
from referral_rewards.domain.referrals import conversions
from referral_rewards.domain.referrals.conversions import Conversion


def conversion_of(dossier: Dossier, order: OrderName | None) -> Conversion | None:
    """Return the conversion of that order; None if it was never recorded for the referee."""
    its = order_named(dossier.seen, order)
    if its is None or not (links(its.owner, dossier.referee_identity) or any(map(its.is_named, dossier.acts.orders))):
        return None
    return conversions.conversion_of(its, dossier.terms)


def earned(dossier: Dossier, paid_for: Conversion | None) -> Mapping[Side, int] | None:
    """Return what each side earned by the conversion's remaining amount, before shared limits, in minor units.

    None if unknown: the order was never recorded, or is in another currency than the program's.
    """
    if paid_for is None:
        return None
    if not paid_for.counts:
        return {}
    left = replace(dossier, course=replace(dossier.course, conversion=paid_for))
    return rewards.promised(left) if rewards.same_currency(left) else None


def proposal(
    due_minor: int | None,
    *,
    paid_minor: int,
    taken_minor: int,
    covered_minor: int,
    open_minor: int = 0,
    step_minor: int = 1,
) -> int | None:
    """Return what to propose for one more case of a leg, or None if ``due_minor`` is unknown.

    ``due_minor`` is the total to recover from the leg. ``covered_minor`` is the part that its other cases proposed or
    took, whichever is larger, so that nothing is proposed twice. Of ``paid_minor``, ``taken_minor`` was already taken
    back, and ``open_minor`` is proposed by cases that still wait. The proposal is at most the rest, in whole steps of
    the rail.
    """
    if due_minor is None:
        return None
    left_minor = max(min(due_minor - covered_minor, paid_minor - taken_minor - open_minor), 0)
    return left_minor - left_minor % step_minor


def due_back(earned_minor: int, leg_minor: int) -> int:
    """Return how much of a leg was not earned."""
    return max(leg_minor - earned_minor, 0)


_DECIDE = (
    "Reverse it at the provider, offset it against the payee's next payouts, or write it off. If the reward was right "
    "after all, dismiss the case."
)


_NOTHING_LEFT: Final = (
    "Nothing remains to be recovered, or nothing was paid yet. If the reward is not on its way any more, dismiss the "
    "case."
)

_OVERDUE: Final = (
    f"{{}} waits to be kept from the payee's next payouts, and none came for {OFFSET_WAITS_DAYS} days. Write it off; "
    f"or reverse it at the provider, if it can; or offset it again, to wait for another {OFFSET_WAITS_DAYS} days."
)

_EXCHANGED: Final = (
    "Another conversion would qualify in its place: {}. Dismiss the case if the reward may stand for it; or take the "
    "reward back whole and then reopen the referral for it."
)


def to_do(
    state: CaseState,
    *,
    room_minor: int,
    keys_in_review: Sequence[str],
    exchange: str | None = None,
    overdue: str | None = None,
) -> str | None:
    """Return the advice, or None if there is nothing left to do.

    ``keys_in_review`` are the keys of reversals whose outcome is unknown; ``room_minor`` is the amount of the leg that
    can still be recovered; ``exchange`` are words for another conversion that would qualify, and ``overdue`` for the
    amount that has waited too long to be kept from a later payout.
    """
    if keys_in_review:
        return (
            f"Look for reversal {keys_in_review[0]} in the provider's dashboard. If it was recovered, record that with "
            "the provider's reference. If it was not and won't be, record that it was not recovered."
        )
    if state is CaseState.FROZEN:
        return "A payment dispute is open. If it is lost, the case opens; if it is won, the case is dismissed."
    if state is not CaseState.OPEN:
        return None if overdue is None else _OVERDUE.format(overdue)
    if room_minor > 0 and exchange is not None:
        return f"{_DECIDE} {_EXCHANGED.format(exchange)}"
    return _DECIDE if room_minor > 0 else _NOTHING_LEFT
