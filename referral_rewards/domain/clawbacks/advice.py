"""What a person does about a clawback case that waits, in words."""

from collections.abc import Sequence

from referral_rewards.domain.clawbacks.states import CaseState

_DECIDE = (
    "Reverse it at its provider, offset it against the payee's next payouts, or write it off. If the reward was right "
    "after all, dismiss the case."
)


def to_do(state: CaseState, *, room_minor: int, keys_in_review: Sequence[str]) -> str | None:
    """The advice, or None where nothing is left to do. ``keys_in_review`` are the keys of reversals of which nobody
    knows what came; ``room_minor`` is what is left of the leg."""
    if keys_in_review:
        return (
            f"Look in the provider's dashboard for reversal {keys_in_review[0]}. If it was taken back, settle it with "
            "the provider's reference; if it was not and won't be, refuse it."
        )
    if state is CaseState.FROZEN:
        return "A dispute runs. A lost one opens the case by itself, a won one dismisses it."
    if state is not CaseState.OPEN:
        return None
    return _DECIDE if room_minor > 0 else "Nothing is left of it, or nothing is known to be paid yet."
