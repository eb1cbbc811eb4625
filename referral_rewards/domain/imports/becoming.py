"""What becomes of a row: judged by itself, by what the tool paid, and by what intake said of its facts."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from referral_rewards.domain.facts.outcomes import Outcome
from referral_rewards.domain.imports.standing import Left


class Became(StrEnum):
    """What became of a row, as the report names it."""

    WOULD_BE_IMPORTED = "would_be_imported"
    NOT_WRITTEN = "not_written"
    IMPORTED = "imported"
    PARKED = "parked"  # imported; it waits until its program is published
    REPEATED = "repeated"  # imported before; nothing changed
    CONFLICT = "conflict"  # imported before, and says something else now
    REFUSED = "refused"
    PAID = "paid"  # the tool paid it
    BESIDE_PAID = "beside_paid"  # the tool paid, or may have paid, for the same referral, order or referee
    CLOSED = "closed"  # the tool denied or cancelled it
    NO_REFERRAL = "no_referral"
    UNREADABLE = "unreadable"

    @property
    def is_problem(self) -> bool:
        """Whether somebody must look at the row."""
        return self in (Became.REFUSED, Became.CONFLICT, Became.UNREADABLE, Became.NOT_WRITTEN)


#: What becomes of a row that the tool did not leave open.
LEFT_OUT: Final = {
    Left.PAID: Became.PAID,
    Left.CLOSED: Became.CLOSED,
    Left.UNKNOWN: Became.REFUSED,
    Left.NO_REFERRAL: Became.NO_REFERRAL,
}

#: The first that any fact of a row came to is what the row came to.
_BY_OUTCOME: Final = {
    Outcome.CONFLICT: Became.CONFLICT,
    Outcome.REFUSED: Became.REFUSED,
    Outcome.PARKED: Became.PARKED,
    Outcome.RECORDED: Became.IMPORTED,
    Outcome.REPEATED: Became.REPEATED,
}


def became(outcomes: Iterable[Outcome]) -> Became:
    """Return what a row became, by what intake did with its facts."""
    found = frozenset(outcomes)
    return next(became for outcome, became in _BY_OUTCOME.items() if outcome in found)
