"""A payout cycle as its row has it, and what people decided on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from referral_rewards.domain.cycles.authority import CycleAuthority, applied, authority
from referral_rewards.domain.cycles.grouping import Minimum, cycle_id
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.decision import Decision


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle's row, as `models.PayoutCycleRow` describes it."""

    id: UUID
    program: str
    due_on: date
    version: int
    minimum_minor: int | None
    currency: str
    state: CycleState
    cursor: str | None
    digest: str | None
    turn: int
    summary: Mapping[str, Any]
    opened_at: datetime
    frozen_at: datetime | None
    done_at: datetime | None
    updated_at: datetime

    @property
    def minimum(self) -> Minimum | None:
        """The minimum amount that it pays to one payee; None if it has no minimum."""
        return None if self.minimum_minor is None else Minimum(self.minimum_minor, self.currency)

    @property
    def well_named(self) -> bool:
        """Whether its id is that of its program and day, as it was when it was opened."""
        return self.id == cycle_id(self.program, self.due_on)


@dataclass(frozen=True, slots=True)
class CycleFile:
    """A cycle, the verified decisions on it, oldest first, and who of those who decided is barred now."""

    cycle: Cycle
    made: Sequence[Decision]
    barred: frozenset[str]

    @property
    def decided(self) -> CycleAuthority:
        """What people decided on the cycle. Its row's state does not count."""
        stands = authority(self.cycle.id, self.cycle.digest, [each.signoff for each in self.made])
        return replace(stands, barred=stands.released_by in self.barred)

    @property
    def applied(self) -> tuple[UUID, ...]:
        """The ids of the decisions that `decided` follows from."""
        which = applied(self.cycle.id, self.cycle.digest, [each.signoff for each in self.made])
        return tuple(self.made[number].id for number in which)
