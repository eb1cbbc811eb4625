"""How long a payout waits until it is next looked at, if nothing is heard of it before."""

from datetime import datetime, timedelta
from typing import Final

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
