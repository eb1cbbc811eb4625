"""What a restore of the register means for a payout that is about to be sent (`domain.restores.forgotten` decides)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from referral_rewards.domain.payouts.states import Accepted, Paid


@dataclass(frozen=True, slots=True)
class Adopts:
    """The rail has paid it already, not before ``since``: ``answer`` is what the rail shows."""

    answer: Paid | Accepted
    since: datetime


@dataclass(frozen=True, slots=True)
class Reviews:
    """It may have been paid, not before ``since``, and only a person can find out."""

    why: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Waits:
    """It is not sent before a person has assigned a forgotten payment."""

    why: str


@dataclass(frozen=True, slots=True)
class Goes:
    """Nothing of a restore stops it."""


Stance = Adopts | Reviews | Waits | Goes

#: Nothing was restored.
GOES: Final = Goes()
