"""What is known of referrals that meet each other: the ground on which `oracle_of_claims.py` reads SPEC §5."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from tests import oracle, oracle_of_stores
from tests.oracle import Event, Stand, Terms, at
from tests.oracle_of_rewards import Held


@dataclass(frozen=True)
class World:
    """Everything that is known at ``now``: what was told, published, approved before, and which referrals closed.

    ``settled`` are the claims that the approval of a claim settled with it; ``counts`` the referrer's approved rewards
    that a referral's first claim was reckoned with, once it had one.
    """

    events: Sequence[Event]
    programs: Mapping[str, Terms]
    now: datetime
    held: Sequence[Held] = ()
    closed: Collection[str] = ()
    settled: Mapping[str, Collection[str]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def told(self) -> list[Event]:
        """What had occurred by now, oldest first."""
        return sorted((e for e in self.events if at(e) <= self.now), key=lambda e: (at(e), e["source"], e["id"]))

    @cached_property
    def known(self) -> list[Event]:
        """The same with the label of its order in place of each order's id, without what is of no order."""
        return oracle_of_stores.told_apart(self.told, oracle._one_customer)

    @cached_property
    def doubts(self) -> tuple[set[str], list[Event]]:
        """The orders of whose store something can't be told, and the facts that are of no order for want of it."""
        return oracle_of_stores.in_doubt(self.told, oracle._one_customer)

    @cached_property
    def referrals(self) -> dict[str, "Referral"]:
        """Every referral that has begun."""
        naming: dict[str, list[Event]] = {}
        for event in self.known:
            if event["data"].get("referral"):
                naming.setdefault(event["data"]["referral"], []).append(event)
        begun = (_begun(self, name, facts) for name, facts in naming.items())
        return {each.name: each for each in begun if each is not None}

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.known if event["type"] == kind]


@dataclass
class Referral:
    """One referral, as its facts tell of it."""

    world: World
    name: str
    program: str
    referrer: str
    began_at: datetime
    was_sent: bool
    facts: list[Event]

    @property
    def terms(self) -> Terms:
        return self.world.programs[self.program]

    @cached_property
    def stand(self) -> Stand:
        """Where §4 leaves it."""
        found = oracle.stood(self.world.events, self.terms, self.name, self.world.now)
        assert found is not None
        return found

    @property
    def closed(self) -> bool:
        return self.name in self.world.closed

    @cached_property
    def referee(self) -> set[str]:
        """The union of its invitation and of every claim that names it."""
        parts = set[str]()
        for fact in self.facts:
            parts |= oracle.identity(fact["data"].get("referee") or {})
        return parts

    @cached_property
    def conversions(self) -> list[Event]:
        """The referee's orders, each its earliest record."""
        records = oracle._orders(self.world.known).values()
        return sorted(
            (each for each in records if oracle.links(oracle.identity(each["data"]["customer"]), self.referee)),
            key=lambda each: (at(each), each["data"]["order"]),
        )

    @cached_property
    def q(self) -> Event:
        return next(each for each in self.conversions if each["data"]["order"] == self.order)

    @property
    def order(self) -> str | None:
        return self.stand.order

    @property
    def net(self) -> Decimal | None:
        return oracle._net(self.q, self.world.known)

    def of(self, kind: str) -> list[Event]:
        return [fact for fact in self.facts if fact["type"] == kind]


def _begun(world: World, name: str, facts: list[Event]) -> Referral | None:
    sents = [f for f in facts if f["type"] == "referral.sent"]
    claims = [f for f in facts if f["type"] == "referral.claimed" and "program" in f["data"]]
    if not sents and not claims:
        return None
    first = (sents or claims)[0]
    program = first["data"]["program"]
    referrer = first["data"].get("referrer") or _holder(world, program, first["data"]["referrer_code"])
    return Referral(world, name, program, referrer, at(first), bool(sents), facts)


def _holder(world: World, program: str, code: str) -> str:
    codes = (e["data"] for e in world.of("referrer.enrolled") if e["data"]["program"] == program)
    return next(data["referrer"] for data in codes if data.get("code") and _meant(data["code"]) == _meant(code))


def _meant(code: str) -> str:
    """A code as people type it: case, spaces and hyphens do not count."""
    return code.lower().replace(" ", "").replace("-", "")
