"""What a person does about a payout that can't go on without one, in words."""

from collections.abc import Mapping
from typing import Final

from referral_rewards.domain.payouts.states import PayoutState

_P = PayoutState

_AT_REST: Final[Mapping[PayoutState, str]] = {
    _P.REFUSED: "Nothing was paid. Mend what the rail names, then retry it under a new key; or cancel it.",
    _P.RETURNED: "It was paid and came back. Have the payee's details corrected, then retry it under a new key; or "
    "cancel it.",
    _P.WAITING_FUNDS: "The account that it is paid from holds too little. Add funds: it then goes on by itself. Or "
    "retry it at once, or cancel it.",
}

_GIVEN_UP: Final[Mapping[PayoutState, str]] = {
    _P.MANUAL_REVIEW: "It was cancelled, and its provider paid it after all. Have that taken back at the provider, "
    "then record that it was not paid. Or, if the payee keeps it, settle it with the provider's reference: it is then "
    "a loss.",
    _P.RETURNED: "It was paid although it was cancelled, and came back. Nothing is owed: cancel it.",
}


def to_do(state: PayoutState, *, sent: bool, given_up: bool, rail: str, key: str) -> str | None:
    """The advice on a payout that stands there; None where it goes on by itself or is done with.

    ``key`` is the name under which its provider knows it; ``sent`` says that an attempt under it is on record,
    ``given_up`` that it pays no reward any more, though it was sent.
    """
    if given_up and state in _GIVEN_UP:
        return _GIVEN_UP[state]
    if state is _P.MANUAL_REVIEW:
        if not sent:
            return "Nothing was sent. Look into why it was stopped, then retry it; or cancel it."
        return (
            f"Look in the provider's dashboard for {key}. If it was paid, settle it with the provider's reference; "
            "if it was not and won't be, record that it was not paid."
        )
    if state is _P.UNKNOWN:
        return (
            f"The provider does not say whether it paid, and is asked again by itself. If that goes on, look in its "
            f"dashboard for {key}, and see that its API answers."
        )
    if state is _P.ACCEPTED and rail == "manual":
        return (
            f"Have the bank execute instruction {key}. Somebody who did not approve it then confirms it with the "
            "bank's reference; or record that it was not paid."
        )
    return _AT_REST.get(state)
