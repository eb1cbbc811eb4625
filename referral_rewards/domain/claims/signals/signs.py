"""A sign: the result of one fraud signal on a dossier, in words that a person can check."""

from collections.abc import Callable
from typing import NamedTuple

from referral_rewards.domain.claims.dossier import Dossier


class Sign(NamedTuple):
    """Whether the signal fired (None: its input could not be read), and why: a phrase with the numbers that names no
    person."""

    fired: bool | None
    why: str


#: Pure: the same dossier gives the same sign.
Signal = Callable[[Dossier], Sign]


def unread(what: str) -> Sign:
    """The sign of a signal that could not run for want of this."""
    return Sign(None, f"{what} could not be read")


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun, ``1 referral`` or ``2 referrals``."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
