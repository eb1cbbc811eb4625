"""Reading a provider's list, which holds other people's objects too: made by hand, and with any field missing.

Each row is read alone. One that cannot be read stays in the list, under whatever names it shows and without an amount:
if it is ours it is a difference of that payout alone, and if it is not it ends nobody's reconciliation.
"""

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from referral_rewards.domain.books.reconciliation import Listed
from referral_rewards.domain.payouts.states import Unknown
from referral_rewards.rails.asking import seen


class Named(NamedTuple):
    """What a row shows of its names: the provider's reference, our payout and key, and when it was made."""

    reference: str | None
    payout: UUID | None
    key: str | None
    at: datetime | None


def payments(
    rows: Iterable[Any],
    listed: Callable[[Any], Listed | None],
    named: Callable[[Any], Named],
    *,
    others_too: bool = True,
) -> list[Listed]:
    """Return the payments among the rows. ``listed`` reads a row and may raise; it returns None for one that is no
    payment. ``named`` never raises. Unless ``others_too``, an unreadable row without a name of ours is left out."""
    found = []
    for row in rows:
        shown = seen(lambda row=row: listed(row))  # type: ignore[misc]
        if isinstance(shown, Unknown):
            names = named(row)
            shown = _unread(row, names) if others_too or names.payout is not None else None
        if shown is not None:
            found.append(shown)
    return found


def text_of(value: Any) -> str | None:
    """Return a name as it is; None if it is no text."""
    return value if isinstance(value, str) and value else None


def _unread(row: Any, names: Named) -> Listed:
    # The same row gets the same reference whenever it is listed.
    reference = names.reference or f"unnamed-{hashlib.sha256(repr(row).encode()).hexdigest()[:16]}"
    return Listed(reference, names.payout, names.key, None, "", None, at=names.at)
