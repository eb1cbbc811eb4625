"""A decision: what a person signs, and what is known of it once it is on record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from referral_rewards.domain.claims.approval import DecisionKind, Signoff
from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.people.authority import Role

Kind = DecisionKind | MoneyAct


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to be recorded, after every rule has admitted it.

    ``referral`` is the referral under which it is listed, or ``program`` and its name for a cycle; ``claim_id`` is the
    id of its subject: a claim or, for a `MoneyAct`, what it acts on.
    """

    referral: str
    claim_id: UUID
    digest: str
    kind: Kind
    user: str
    roles: frozenset[Role]
    reason: str
    note: str
    decided_at: datetime
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A recorded decision. Its fields are those of `NewDecision`, with its number in the chain and its id."""

    seq: int
    id: UUID
    referral: str
    claim_id: UUID
    digest: str
    kind: Kind
    user: str
    roles: frozenset[Role]
    reason: str
    decided_at: datetime
    details: Mapping[str, Any] | None = None

    @property
    def signoff(self) -> Signoff:
        return Signoff(user=self.user, roles=self.roles, kind=self.kind, digest=self.digest)
