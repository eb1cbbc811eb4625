"""What a person does about a payout that can't go on without one, in words."""

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


#: The referral's own judgement is on its way.
SOON: Final = timedelta(seconds=2)
#: An answer that did not come is asked for again.
NO_ANSWER: Final = timedelta(minutes=5)
#: A rail may take people to connect.
NOT_CONNECTED: Final = timedelta(hours=1)
#: A rail that does not let us in is tried by one payout so often; the others of that rail wait with it.
PROBE: Final = timedelta(minutes=10)
#: An account that holds too little is looked at so often.
FUNDS: Final = timedelta(hours=1)
#: What can't be found past the window of its key is looked for once more, so much later.
SECOND_LOOK: Final = timedelta(hours=1)
#: What a rail accepted is asked for often while it is fresh, and then for the weeks that a payee may take.
_FRESH: Final = timedelta(hours=1)
_WHILE_FRESH: Final = timedelta(minutes=5)
_AFTERWARDS: Final = timedelta(hours=1)
#: A source that does not answer is asked again so often and for so long before people are asked to do without it.
SOURCE_AGAIN: Final = timedelta(minutes=1)
SOURCE_PATIENCE: Final = timedelta(hours=1)


def until_the_next_poll(key_used_at: datetime | None, now: datetime) -> timedelta:
    """When to ask again what became of an order that was accepted under a key first used then."""
    return _WHILE_FRESH if key_used_at is None or now - key_used_at < _FRESH else _AFTERWARDS


def until_the_second_look(missed_at: datetime | None, now: datetime) -> timedelta | None:
    """When to look again for what the rail did not show; None once it was looked for twice, far enough apart."""
    if missed_at is None:
        return SECOND_LOOK
    left = missed_at + SECOND_LOOK - now
    return left if left > timedelta(0) else None


def until_the_probe(probed_at: datetime, now: datetime) -> timedelta | None:
    """How long a halted rail is left alone; None: whoever asks tries it now."""
    left = probed_at + PROBE - now
    return left if left > timedelta(0) else None
