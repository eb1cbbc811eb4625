"""Where a referral stands by the four periods (SPEC §4).

It *lives* each referral: it walks from instant to instant, knows at each only what had occurred, and stops at the first
closing, because a back-fill must reach the verdict of a referral lived in real time. Every fact counts as of a finished
file, so a closing waits for the arrival allowance past its deadline and for nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from referral_rewards.audit.reading import arithmetic, disputes, orders, stores
from referral_rewards.audit.reading.told import Terms, Told, in_turn, links, of_type

CLOSED: Final = ("expired", "denied", "withdrawn")


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a referral stands at an instant.

    ``deadline`` is the end of what it waits for, the allowance left out; ``wake`` is when its stand changes without any
    news. ``order`` is the id of *the* conversion, ``label`` its label, ``net_minor`` its net amount.
    """

    status: str
    reason: str | None = None
    deadline: datetime | None = None
    label: str | None = None
    net_minor: int | None = None
    return_ends: datetime | None = None
    wake: datetime | None = None

    @property
    def order(self) -> str | None:
        return stores.id_of(self.label)


@dataclass(frozen=True, slots=True)
class Linked:
    """Orders that people linked to a referral by hand, by their ids: it hears of them like its referee's own."""

    orders: frozenset[str] = frozenset()

    def holds(self, record: Told) -> bool:
        """Whether the record is of such an order."""
        return stores.id_of(record.order) in self.orders


NOTHING: Final = Linked()


def verdict(
    facts: Iterable[Told], terms: Terms, referral: str, now: datetime, linked: Linked = NOTHING
) -> Stand | None:
    """Where the referral stands at ``now``, by these facts; None while nothing has begun it."""
    known = [fact for fact in concerning(facts, referral, linked) if fact.at <= now]
    news = sorted({fact.at for fact in known})
    stand: Stand | None = None
    while stand is None or stand.status not in CLOSED:
        wake = stand.wake if stand is not None else None
        upcoming = [instant for instant in (*news[:1], wake) if instant is not None and instant <= now]
        if not upcoming:
            break
        t = min(upcoming)
        news = [instant for instant in news if instant > t]
        stand = _stand([fact for fact in known if fact.at <= t], terms, referral, t, linked)
    return stand


def concerning(facts: Iterable[Told], referral: str, linked: Linked = NOTHING) -> list[Told]:
    """What can matter to the referral at any time: facts that name it, and all of each order its referee is in."""
    facts = list(facts)
    naming = [fact for fact in facts if fact.data.get("referral") == referral]
    referee = referee_of(naming)
    its = {
        record.order
        for record in of_type(facts, "conversion.recorded")
        if record.identity & referee or linked.holds(record)
    }
    about = [fact for fact in facts if fact.type.startswith("conversion.") and fact.order in its]
    return naming + [fact for fact in about if fact.data.get("referral") != referral]


def referee_of(facts: Iterable[Told]) -> frozenset[str]:
    """The union of the invitation and of every claim, or of requests if there is nothing else: who the referee is."""
    facts = list(facts)
    said = [fact.identity for fact in facts if fact.type in ("referral.sent", "referral.claimed")]
    asked = [fact.identity for fact in facts if fact.type == "reward.requested"]
    return frozenset().union(*(said or asked))


def one_customer(one: Told, other: Told) -> bool:
    """Whether two records name one customer."""
    return links(one.identity, other.identity)


def net(record: Told, known: Sequence[Told]) -> Decimal | None:
    """Its latest amount less what was taken of it, never below zero; None for an order without an amount."""
    latest = orders.amounts(record, known).latest
    if latest is None:
        return None
    taken, _ = disputes.taken(known, record.order, latest, record.data["currency"])
    return max(latest - taken, Decimal(0))


def _stand(known: Sequence[Told], terms: Terms, referral: str, t: datetime, linked: Linked) -> Stand | None:
    """The verdict at ``t`` on what had occurred by then, and on whether a withdrawal came in time."""
    life = _life(known, terms, referral, linked)
    if life is None:
        return None
    stand = life.at(t)
    # The closing that would else have come: of one that came it is the deadline (a denial "at once" has its own
    # instant), of an open one the deadline it waits for. Nothing but a person closes what has a conversion.
    closing = None if stand.label else stand.deadline
    for fact in of_type(known, "referral.withdrawn"):
        if fact.data["referral"] == referral and (closing is None or fact.at < closing):
            return Stand("withdrawn")
    return Stand(stand.status, stand.reason) if stand.status in CLOSED else stand


def _life(known: Sequence[Told], terms: Terms, referral: str, linked: Linked) -> "_Life | None":
    apart = stores.told_apart(in_turn(known), one_customer)
    sents = [fact for fact in of_type(apart, "referral.sent") if fact.data["referral"] == referral]
    claims = [fact for fact in of_type(apart, "referral.claimed") if fact.data.get("referral") == referral]
    if not sents and not any(fact.data.get("program") for fact in claims):
        return None
    first = sents[0] if sents else claims[0]
    referee = referee_of((*sents, *claims))
    conversions = [
        record
        for record in orders.earliest(apart).values()
        if record.data["kind"] in terms["qualifying"]["kinds"]
        and (links(record.identity, referee) or linked.holds(record))
    ]
    channel = first.data.get("channel")
    return _Life(apart, terms, first.at, bool(sents), channel, _claimed_at(first, claims), conversions)


def _claimed_at(first: Told, claims: Sequence[Told]) -> datetime | None:
    """``c``: the first claim, not before ``R``; a lead is claimed at ``R``."""
    if first.type == "referral.sent" and first.data.get("channel") == "lead":
        return first.at
    return max(first.at, claims[0].at) if claims else None


@dataclass(frozen=True, slots=True)
class _Life:
    """One referral by what had occurred: ``began_at`` is ``R``, ``claimed_at`` is ``c``."""

    known: Sequence[Told]
    terms: Terms
    began_at: datetime
    was_sent: bool
    channel: str | None
    claimed_at: datetime | None
    conversions: Sequence[Told]

    def at(self, t: datetime) -> Stand:
        """Where it stands if nobody withdraws; a closed stand carries the deadline at which it closed."""
        invite_ends = self._invite_ends()
        openers = [x for x in self.conversions if self.began_at <= x.at and (invite_ends is None or x.at < invite_ends)]
        claim_by = None
        if invite_ends is not None:
            claim_by = max([invite_ends, *(self._end(x.at, "grace") for x in openers)])
        if self.claimed_at is None or (claim_by is not None and not self.claimed_at < claim_by):
            return self._unclaimed(claim_by, bool(openers), t)
        return self._claimed(self.claimed_at, t)

    def _invite_ends(self) -> datetime | None:
        """Rule 1, expiry: only what was sent over a channel that the terms name has one, and no lead."""
        expiry = self.terms["periods"].get("expiry", {})
        if self.was_sent and self.channel != "lead" and self.channel in expiry:
            return arithmetic.end(self.began_at, expiry[self.channel], self.terms)
        return None

    def _unclaimed(self, claim_by: datetime | None, opened: bool, t: datetime) -> Stand:
        """Rule 2, claim."""
        wake = None if claim_by is None else claim_by + self._allowance
        if wake is not None and t >= wake:
            return Stand("expired", "grace_period_ended" if opened else "invitation_not_claimed", claim_by)
        return Stand("purchased_unclaimed" if opened else "invited", deadline=claim_by, wake=wake)

    def _claimed(self, claimed_at: datetime, t: datetime) -> Stand:
        """Rule 3, offer and grace."""
        offer_ends = self._end(claimed_at, "offer")
        candidates = [x for x in self.conversions if self._in_time(x.at, claimed_at, offer_ends)]
        qualifying = [x for x in candidates if self._counts(x)]
        if qualifying:
            return self._converted(min(qualifying, key=lambda x: (x.at, x.order)), t)
        would_have = any(self._would_have_counted(x) for x in candidates)
        if would_have and t >= offer_ends:
            return Stand("denied", "conversion_reversed", deadline=t)
        if t >= offer_ends + self._allowance:
            return Stand("expired", "no_conversion", deadline=offer_ends)
        return Stand("claimed", deadline=offer_ends, wake=offer_ends if would_have else offer_ends + self._allowance)

    def _converted(self, q: Told, t: datetime) -> Stand:
        """Rule 4, return."""
        left = net(q, self.known)
        net_minor = None if left is None else arithmetic.minor(left, q.data["currency"])
        return_ends = self._end(q.at, "return")
        found = Stand("awaiting_approval", label=q.order, net_minor=net_minor, return_ends=return_ends)
        if t < return_ends + self._allowance:
            return replace(found, status="in_return_period", deadline=return_ends, wake=return_ends + self._allowance)
        return found

    def _in_time(self, p: datetime, c: datetime, offer_ends: datetime) -> bool:
        in_offer = c <= p < offer_ends
        in_grace = p < c < self._end(p, "grace")
        return (in_offer or in_grace) and (not self.was_sent or p >= self.began_at)

    def _counts(self, record: Told) -> bool:
        left = net(record, self.known)
        if left is None:
            return not disputes.takes_any(self.known, record.order)
        return self._reaches_minimum(record, left)

    def _would_have_counted(self, record: Told) -> bool:
        largest = orders.amounts(record, self.known).largest
        return largest is None or self._reaches_minimum(record, largest)

    def _reaches_minimum(self, record: Told, amount: Decimal) -> bool:
        minimum = Decimal(self.terms["qualifying"].get("minimum") or "0")
        if record.data["currency"] != self.terms["currency"]:
            minimum = Decimal(0)
        return amount > 0 and amount >= minimum

    def _end(self, start: datetime, name: str) -> datetime:
        return arithmetic.end(start, self.terms["periods"][name], self.terms)

    @property
    def _allowance(self) -> timedelta:
        return arithmetic.length(self.terms["periods"].get("arrival_allowance", "PT1H"))
