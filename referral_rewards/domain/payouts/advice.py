"""Tells a person what to do about a payout that can't continue without one, and how often workflows try again."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from referral_rewards.domain.payouts.rail_catalogue import BY_HAND
from referral_rewards.domain.payouts.states import PayoutState

_P = PayoutState

_AT_REST: Final[Mapping[PayoutState, str]] = {
    _P.REFUSED: "Nothing was paid. Fix what the rail reports, then retry the payout; or cancel it.",
    _P.RETURNED: "The payment came back. Have the payee's details corrected, then retry the payout; or cancel it.",
    _P.WAITING_FUNDS: "The account has too little money for this payout. Add funds and it continues by itself; or "
    "retry it now, or cancel it.",
}

_GIVEN_UP: Final[Mapping[PayoutState, str]] = {
    _P.MANUAL_REVIEW: "The payout was cancelled, but the provider paid it. Have the payment taken back at the "
    "provider, then record that it was not paid. If the payee keeps it, record that it was paid, which books a loss.",
    _P.RETURNED: "The payout was cancelled; the provider paid it, and the money came back. Nothing is owed: cancel it.",
    _P.REFUSED: "The payout was cancelled, and nothing was paid. Nothing is owed: cancel it.",
    _P.WAITING_FUNDS: "The payout was cancelled, and nothing was paid. Nothing is owed: cancel it.",
}


_TWO_SAY: Final = (
    "Instruction {key} is no longer in the file for the bank. Ask the bank whether it carried it out. One person of "
    "finance records that it was paid, with the bank's reference, or that it was not paid; another person records the "
    "same. Then that counts."
)


def to_do(state: PayoutState, *, sent: bool, given_up: bool, rail: str, key: str) -> str | None:
    """Return the advice on a payout in this state; None if it continues without a person or is finished.

    ``key`` is the idempotency key that its provider knows; ``sent`` says that an attempt under it is on record,
    ``given_up`` that it no longer pays a reward, though it was sent.
    """
    if given_up and state in _GIVEN_UP:
        return _GIVEN_UP[state]
    if state is _P.MANUAL_REVIEW and sent and rail in BY_HAND:
        return _TWO_SAY.format(key=key)
    if state is _P.APPROVED and rail in BY_HAND:
        return "Export the instructions for the bank. Until then nothing is sent, and a refund simply stops it."
    if state is _P.MANUAL_REVIEW:
        if not sent:
            return "Nothing was sent. Find out why it was stopped, then retry the payout; or cancel it."
        return (
            f"Look for {key} in the provider's dashboard. If it was paid, record that with the provider's reference. "
            "If it was not paid and won't be, record that it was not paid."
        )
    if state is _P.UNKNOWN:
        return (
            "The provider has not confirmed whether it paid. It is asked again automatically. If this goes on, look "
            f"for {key} in its dashboard and check that its API responds."
        )
    if state is _P.ACCEPTED and rail in BY_HAND:
        return (
            f"Have the bank execute payment {key}. Then somebody who did not approve it confirms it with the bank "
            "reference, or records that it was not paid."
        )
    return _AT_REST.get(state)


#: How long to wait while the referral is about to be judged.
SOON: Final = timedelta(seconds=2)
#: When to ask again after no answer.
NO_ANSWER: Final = timedelta(minutes=5)
#: When to try a rail again that is not connected: connecting it may take a person.
NOT_CONNECTED: Final = timedelta(hours=1)
#: How often one payout tries a rail that rejects our credentials; the rail's other payouts wait.
PROBE: Final = timedelta(minutes=10)
#: How often a payout that was sent before looks again whether its stopped cycle was resumed.
CYCLE_STOPPED: Final = timedelta(minutes=10)
#: How often a payout that was retried looks again whether its payee has the account that it pays to.
ANOTHER_METHOD: Final = timedelta(minutes=10)
#: How often to check an account that holds too little.
FUNDS: Final = timedelta(hours=1)
#: How often to verify again a payment by hand whose instruction nobody has exported.
UNTIL_EXPORTED: Final = timedelta(days=1)
#: How much later to look a second time for a payment that was not found after the window of its key.
SECOND_LOOK: Final = timedelta(hours=1)
#: An accepted payment is polled often while it is fresh, and then less often for the weeks that a payee may take.
_FRESH: Final = timedelta(hours=1)
_WHILE_FRESH: Final = timedelta(minutes=5)
_AFTERWARDS: Final = timedelta(hours=1)
#: How often, and for how long, to retry a source that does not answer before a person decides without it.
SOURCE_AGAIN: Final = timedelta(minutes=1)
SOURCE_PATIENCE: Final = timedelta(hours=1)


def until_the_next_poll(key_used_at: datetime | None, now: datetime) -> timedelta:
    """Return how long to wait before the next poll for an accepted order's outcome, by when its key was first used."""
    return _WHILE_FRESH if key_used_at is None or now - key_used_at < _FRESH else _AFTERWARDS


def until_the_second_look(missed_at: datetime | None, now: datetime) -> timedelta | None:
    """Return when to look again for a missing payment; None once it was looked for twice, far enough apart."""
    if missed_at is None:
        return SECOND_LOOK
    left = missed_at + SECOND_LOOK - now
    return left if left > timedelta(0) else None


def until_the_probe(probed_at: datetime, now: datetime) -> timedelta | None:
    """Return how long a halted rail is left alone; None: the caller tries it now."""
    left = probed_at + PROBE - now
    return left if left > timedelta(0) else None
