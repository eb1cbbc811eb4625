"""What the rules propose to recover of a paid leg whose ground fell away. A person decides; nothing happens by itself.

When the conversion was taken back whole, or what is left of it misses the minimum, nothing of the reward was earned.
When a part was, a percentage was earned of what is left and a flat amount whole. Limits that cut the reward then leave
no more of it now: whoever got less than was promised keeps it as long as what is left promises as much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from referral_rewards.domain.claims import rewards
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.domain.referrals.conversions import conversions


def earned(dossier: Dossier, order: str | None) -> Mapping[Side, int] | None:
    """What either side earned by what is left of the order now, before the limits that others share, in minor units.

    None where it can't be told: nobody has recorded the order, or it was in another currency than the program's.
    """
    known = conversions(dossier.seen, dossier.referee_identity, dossier.terms)
    paid_for = next((each for each in known if each.order == order), None)
    if order is None or paid_for is None:
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
    """What to propose for one more case of a leg.

    ``due_minor`` is what should be had back of the leg in all; of it ``covered_minor`` is what its other cases proposed
    or took, the larger of either, so that nothing is proposed twice. Of ``paid_minor``, ``taken_minor`` was taken back
    already, and ``open_minor`` is proposed by cases that still wait: there is no more than the rest, in whole steps of
    what its rail can write.
    """
    if due_minor is None:
        return None
    left_minor = max(min(due_minor - covered_minor, paid_minor - taken_minor - open_minor), 0)
    return left_minor - left_minor % step_minor


def due_back(earned_minor: int, leg_minor: int) -> int:
    """What of a leg was not earned after all."""
    return max(leg_minor - earned_minor, 0)


_DECIDE = (
    "Reverse it at the provider, offset it against the payee's next payouts, or write it off. If the reward was right "
    "after all, dismiss the case."
)


def to_do(state: CaseState, *, room_minor: int, keys_in_review: Sequence[str]) -> str | None:
    """The advice, or None where nothing is left to do. ``keys_in_review`` are the keys of reversals of which nobody
    knows what came; ``room_minor`` is what is left of the leg."""
    if keys_in_review:
        return (
            f"Look for reversal {keys_in_review[0]} in the provider's dashboard. If it was recovered, record that with "
            "the provider's reference. If it was not and won't be, record that it was not recovered."
        )
    if state is CaseState.FROZEN:
        return "A payment dispute is open. If it is lost, the case opens; if it is won, the case is dismissed."
    if state is not CaseState.OPEN:
        return None
    return _DECIDE if room_minor > 0 else "Nothing remains to be recovered, or nothing was paid yet."
