"""The calculation of one leg, line by line: each rule and each limit is one line, and a limit's line is negative."""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from referral_rewards.domain import money
from referral_rewards.domain.claims.adjustments import Adjustment
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.domain.referrals.lifecycle import Side


class CalculationLine(BaseModel):
    """One step in the calculation of a leg: what applied, and by how much it changed the amount."""

    model_config = ConfigDict(frozen=True)

    role: Side
    what: str
    amount_minor: int
    currency: str


class Room(StrEnum):
    """How much of the promised reward a limit left."""

    ALL = "all"
    PART = "part"
    NONE = "none"


#: From all to nothing.
SEVERITY: Final = (Room.ALL, Room.PART, Room.NONE)


class Sheet:
    """The calculation lines of one side, while they are being built."""

    def __init__(self, role: Side, kind: RewardKind, currency: str, rail: str) -> None:
        self.role, self.kind, self.currency, self.rail = role, kind, currency, rail
        self.lines: list[CalculationLine] = []
        self.own_limits: list[tuple[int, str]] = []

    @property
    def amount_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)

    def add(self, what: str, amount_minor: int) -> None:
        line = CalculationLine(role=self.role, what=what, amount_minor=amount_minor, currency=self.currency)
        self.lines.append(line)

    def cap(self, limit_minor: int, what: str) -> None:
        """Cut the amount to a limit of this leg alone, which holds for whatever a person sets it to as well."""
        self.own_limits.append((limit_minor, what))
        self.limit(limit_minor, what)

    def set_to(self, adjustment: Adjustment) -> None:
        """Put the amount that a person decided on in place of the present one, within the leg's own limits."""
        what = "left out" if adjustment.amount_minor == 0 else "set"
        self.add(f"{what} by {adjustment.by}", adjustment.amount_minor - self.amount_minor)
        for limit_minor, limit in self.own_limits:
            self.limit(limit_minor, limit)

    def limit(self, limit_minor: int, what: str) -> Room:
        """Cut the amount to what the limit leaves, rounded down to a step that the rail can pay."""
        amount, left = self.amount_minor, max(limit_minor, 0)
        if self.rail in rail_catalogue.CATALOGUE:
            left -= left % rail_catalogue.step_minor(self.rail, self.currency)
        if amount <= left:
            return Room.ALL
        self.add(f"{what}: {money.display(left, self.currency)}", left - amount)
        return Room.PART if left else Room.NONE
