"""How a payee is paid, by what was told of it: the destination on each rail now, and every one that ever was.

A destination is the provider's reference of the payee's account, never personal data.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from referral_rewards.domain.facts import ids
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType

_TOLD: Final = frozenset({FactType.METHOD_SET, FactType.METHOD_REMOVED})


@dataclass(frozen=True, slots=True)
class Methods:
    """What was told about one payee, oldest first by when it happened."""

    told: tuple[Fact, ...]

    def on(self, rail: str, now: datetime) -> Fact | None:
        """Return the fact that named the payee's destination on a rail; None if there is none, or it was removed."""
        latest = [fact for fact in self.told if fact.data.get("rail") == rail and fact.occurred_at <= now][-1:]
        return next((fact for fact in latest if fact.type is FactType.METHOD_SET), None)

    def destination_on(self, rail: str, now: datetime) -> str | None:
        """Return the payee's destination on a rail; None if there is none."""
        method = self.on(rail, now)
        return None if method is None else destination(method)

    def since_changed(self, rail: str, now: datetime) -> tuple[Fact, ...]:
        """Return the facts that named the payee's present destination on a rail since they last had another or none."""
        run: list[Fact] = []
        for fact in (each for each in self.told if each.data.get("rail") == rail and each.occurred_at <= now):
            named = destination(fact) if fact.type is FactType.METHOD_SET else None
            if named is None or (run and destination(run[-1]) != named):
                run = []
            run += [] if named is None else [fact]
        return tuple(run)

    def first_on(self, rail: str) -> str | None:
        """Return the payee's very first destination, if it is on that rail and no other was ever told of them.

        Every rail and every source counts, and when it happened by a source's clock does not matter: a fact dated in
        the past does not become the first.
        """
        ever = {(each.data.get("rail"), destination(each)) for each in self.told if each.type is FactType.METHOD_SET}
        return next((where for its, where in ever if its == rail), None) if len(ever) == 1 else None

    def besides(self, rail: str, where: str | None) -> tuple[str, ...]:
        """Return the other destinations that were ever told on a rail, oldest first."""
        set_there = [each for each in self.told if each.type is FactType.METHOD_SET and each.data.get("rail") == rail]
        return tuple(dict.fromkeys(its for each in set_there if (its := destination(each)) != where))

    def by(self, at: datetime) -> "Methods":
        """Return what we had received by then."""
        return Methods(tuple(fact for fact in self.told if fact.received_at <= at))


def of(payee: str | None, facts: Iterable[Fact]) -> Methods:
    """Return what these facts tell about the payee's methods."""
    its = [fact for fact in facts if fact.type in _TOLD and fact.data.get("payee") == payee]
    return Methods(tuple(sorted(its, key=lambda fact: fact.precedence)))


def destination(method: Fact) -> str:
    """Return the provider's reference, or the fact's id if it looks personal: claims hold no personal data."""
    reference = method.data.get("reference")
    return reference if reference and ids.id_problem(reference) is None else f"method:{method.id}"
