"""What is known of referrals that meet each other: the ground on which claims are read (SPEC §5)."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Final

from referral_rewards.audit.reading import orders, periods, rewards, stores
from referral_rewards.audit.reading.periods import Linked, Stand
from referral_rewards.audit.reading.told import Terms, Told, in_turn, links, of_type

#: Statuses of §4 in which a referral holds a timely claim of its referee.
_HOLDING: Final = ("claimed", "in_return_period", "awaiting_approval")


@dataclass(frozen=True, slots=True)
class Acts:
    """What people decided about a referral's attribution: to whom they moved it, and which orders they linked."""

    referrer: str | None = None
    moved_at: datetime | None = None
    linked: Linked = periods.NOTHING


NOTHING_DECIDED: Final = Acts()


@dataclass(frozen=True, slots=True)
class Published:
    """A version of a program's terms, and from when it is in force."""

    effective_from: datetime
    terms: Terms


@dataclass(frozen=True)
class World:
    """Everything that is known at ``now``: what was told, published, approved before, and which referrals closed.

    ``programs`` holds the versions of each program's terms in the order of their numbers.
    ``settled`` are the claims that the approval of a claim settled with it; ``counts`` the referrer's approved rewards
    that a referral's first claim was reckoned with, once it had one; ``acts`` what people decided about a referral.
    """

    events: Sequence[Told]
    programs: Mapping[str, Sequence[Published]]
    now: datetime
    held: Sequence[rewards.Held] = ()
    closed: Collection[str] = ()
    settled: Mapping[str, Collection[str]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    acts: Mapping[str, Acts] = field(default_factory=dict)

    @cached_property
    def known(self) -> list[Told]:
        """What had occurred by now, oldest first."""
        return in_turn(event for event in self.events if event.at <= self.now)

    @cached_property
    def apart(self) -> list[Told]:
        """The same, with the orders of several stores told apart."""
        return stores.told_apart(self.known, periods.one_customer)

    @cached_property
    def doubts(self) -> stores.Doubts:
        """What can't be told of the stores of orders."""
        return stores.in_doubt(self.known, periods.one_customer)

    @cached_property
    def referrals(self) -> dict[str, "Referral"]:
        """Every referral that has begun."""
        naming: defaultdict[str, list[Told]] = defaultdict(list)
        for event in self.known:
            if event.data.get("referral"):
                naming[event.data["referral"]].append(event)
        begun = (_begun(self, name, facts) for name, facts in naming.items())
        return {each.name: each for each in begun if each is not None}

    def terms_of(self, program: str, began_at: datetime) -> Terms | None:
        """The terms that a referral which began then is judged by; None if none were in force (SPEC §1, law 5)."""
        able = [each for each in self.programs.get(program, ()) if each.effective_from <= began_at]
        newest = max(enumerate(able), key=lambda each: (each[1].effective_from, each[0]), default=None)
        return newest[1].terms if newest else None

    def of(self, kind: str) -> list[Told]:
        """What is known of this type."""
        return [event for event in self.known if event.type == kind]


@dataclass
class Referral:
    """One referral, as its facts tell of it. ``owners`` are those whom its beginning may mean as the referrer; it was
    ``requested`` if nothing but a request for a reward begins it. ``decided`` is the order for which people decided on
    it, whatever its periods say."""

    world: World
    name: str
    program: str
    terms: Terms
    owners: tuple[str, ...]
    began_at: datetime
    was_sent: bool
    facts: list[Told]
    requested: bool = False
    decided: str | None = None

    @property
    def acts(self) -> Acts:
        return self.world.acts.get(self.name, NOTHING_DECIDED)

    @property
    def referrer(self) -> str | None:
        """To whom people moved it, else whom its beginning names."""
        if self.acts.referrer is not None:
            return self.acts.referrer
        return self.owners[0] if len(self.owners) == 1 else None

    @cached_property
    def stand(self) -> Stand:
        """Where §4 leaves it; one that a request began has no periods."""
        if self.requested:
            return Stand("requested")
        found = periods.verdict(self.world.events, self.terms, self.name, self.world.now, self.acts.linked)
        assert found is not None  # it has begun
        return found

    @property
    def closed(self) -> bool:
        return self.name in self.world.closed

    @property
    def lives(self) -> bool:
        """Whether it holds a timely claim of its referee."""
        return not self.closed and self.stand.status in _HOLDING

    @cached_property
    def referee(self) -> frozenset[str]:
        """The union of its invitation and of every claim that names it."""
        return periods.referee_of(self.facts)

    @cached_property
    def conversions(self) -> list[Told]:
        """The referee's orders, each its earliest record."""
        records = orders.earliest(self.world.apart).values()
        its = [each for each in records if links(each.identity, self.referee) or self.acts.linked.holds(each)]
        return sorted(its, key=lambda each: (each.at, each.order or ""))

    @cached_property
    def found_q(self) -> Told | None:
        """*The* conversion, if the referee has it."""
        return next((each for each in self.conversions if each.order == self.label), None)

    @property
    def q(self) -> Told:
        """*The* conversion of a referral that has one."""
        assert self.found_q is not None
        return self.found_q

    @property
    def order(self) -> str | None:
        return self.decided if self.decided is not None else self.stand.order

    @property
    def label(self) -> str | None:
        """The label of its order: orders of several stores may share an id."""
        if self.decided is None or self.decided == self.stand.order:
            return self.stand.label
        return next((each.order for each in self.conversions if stores.id_of(each.order) == self.decided), None)

    def for_order(self, order: str) -> "Referral":
        """The same, for the order for which people decided on it."""
        return replace(self, decided=order)

    @property
    def net(self) -> Decimal | None:
        return periods.net(self.q, self.world.apart)

    def of(self, kind: str) -> list[Told]:
        return [fact for fact in self.facts if fact.type == kind]

    @property
    def place(self) -> tuple[datetime, datetime, str]:
        """Where it stands among its referrer's of one referee: by its claim, then its beginning, then its id."""
        lead = any(sent.data["channel"] == "lead" for sent in self.of("referral.sent")[:1])
        claims = [] if lead else self.of("referral.claimed")
        claimed_at = max([self.began_at, *(claim.at for claim in claims[:1])])
        return claimed_at, self.began_at, self.name

    def meets(self, other: "Referral") -> bool:
        """Whether another referral claims the same order, or in this program the same referee."""
        same_referee = other.program == self.program and bool(other.referee & self.referee)
        return same_referee or (self.label is not None and other.label == self.label)

    def is_of_referrer(self, fact: Told) -> bool:
        """Whether a fact names its referrer in its program."""
        return (fact.data.get("referrer"), fact.data.get("program")) == (self.referrer, self.program)


def _begun(world: World, name: str, facts: list[Told]) -> Referral | None:
    sents = of_type(facts, "referral.sent")
    claims = [fact for fact in of_type(facts, "referral.claimed") if fact.data.get("program")]
    asked = of_type(facts, "reward.requested")
    if not sents and not claims and not asked:
        return None
    first = (sents or claims or asked)[0]
    program, named = first.data["program"], first.data.get("referrer")
    terms = world.terms_of(program, first.at)
    if terms is None:  # its facts are parked
        return None
    owners = (named,) if named else _owners(world, first)
    return Referral(world, name, program, terms, owners, first.at, bool(sents), facts, not sents and not claims)


def _owners(world: World, first: Told) -> tuple[str, ...]:
    """Whose code it was when it was typed: an exact spelling wins over a folded one, and the first enrolment counts if
    there was none by then (SPEC §3, Identity)."""
    code, program = first.data.get("referrer_code") or "", first.data["program"]
    alike = [
        each
        for each in world.of("referrer.enrolled")
        if each.data["program"] == program and _meant(each.data.get("code") or "") == _meant(code)
    ]
    by_then = [each for each in alike if each.at <= first.at] or alike[:1]
    exact = [each for each in by_then if each.data["code"] == code]
    return tuple(sorted({each.data["referrer"] for each in exact or by_then}))


def _meant(code: str) -> str:
    """A code as people type it: case, spaces and hyphens do not count."""
    return code.casefold().replace(" ", "").replace("-", "")
