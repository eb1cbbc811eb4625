"""Who is who, and what was said, for the claim of a referral (SPEC §3 Identity, §5)."""

from collections.abc import Iterator
from decimal import Decimal

from referral_rewards.audit.reading import arithmetic, orders
from referral_rewards.audit.reading.told import Told, links, of_kinds, of_type, standing
from referral_rewards.audit.reading.world import Referral


def referrer_parts(mine: Referral) -> frozenset[str]:
    """What identifies the referrer: enrolments in whatever program, and purchases by the same person."""
    enrolments = [each for each in mine.world.of("referrer.enrolled") if each.data["referrer"] == mine.referrer]
    parts = frozenset[str]().union(*(each.telltale for each in enrolments))
    known = of_kinds(parts, ("customer", "email", "phone"))
    bought = [each.telltale for each in mine.world.of("conversion.recorded") if each.identity & known]
    return parts.union(*bought)


def referee_parts(mine: Referral) -> frozenset[str]:
    """What identifies the referee: the facts of the referral, and their orders."""
    said = [fact.telltale for fact in (*mine.of("referral.sent"), *mine.of("referral.claimed"), *mine.conversions)]
    return frozenset[str]().union(*said)


def existing(mine: Referral) -> tuple[bool, bool]:
    """Whether the referee certainly was a customer before, and whether at least a mailbox says so.

    By ``new_customer: false``, or an earlier conversion that the terms reward or that cost something; read up to the
    referee's first one in the referral.
    """
    own = [each for each in mine.conversions if _before(mine, each)]
    own += [each for each in mine.conversions if not _before(mine, each)][:1]
    against = [each for each in own if _makes_a_customer(mine, each)]
    certain = any(
        of_kinds(each.identity & mine.referee, ("customer", "phone", "alias")) or mine.acts.linked.holds(each)
        for each in against
    )
    alike = [
        each
        for each in orders.earliest(mine.world.apart).values()
        if each.identity & mine.referee and _before(mine, each) and _makes_a_customer(mine, each)
    ]
    return certain, bool(against or alike)


def customer(mine: Referral) -> str | None:
    """The referee's customer id: of a claim, else of the invitation, else the order's. It gets the referee leg."""
    said = [fact.data.get("referee") or {} for fact in (*mine.of("referral.claimed"), *mine.of("referral.sent"))]
    people = [*said, mine.q.data.get("customer") or {}]
    return next((person["customer"] for person in people if person.get("customer")), None)


def partner(mine: Referral) -> str | None:
    """Whose partner the referrer was at the conversion, by the latest enrolment until then; the text is silent."""
    enrolments = [e for e in mine.world.of("referrer.enrolled") if mine.is_of_referrer(e) and e.at <= mine.q.at]
    return enrolments[-1].data.get("partner") if enrolments else None


def word(mine: Referral, scope: str) -> bool | None:
    """The latest word on a consent: of a claim, or of the CRM about the referee; None if nobody said anything."""
    its = words(mine, scope)
    stand, _ = standing(list(its), lambda fact: not its[fact])
    return not stand if its else None


def words(mine: Referral, scope: str) -> dict[Told, bool]:
    """Each word on a consent, and whether it is a yes."""
    return dict(_words(mine, scope))


def is_doubted(mine: Referral, scope: str) -> bool:
    """Whether a consent was given by somebody who may not tell what took it back."""
    its = words(mine, scope)
    return standing(list(its), lambda fact: not its[fact])[1]


def issues(mine: Referral) -> list[list[Told]]:
    """What was told of each of the referee's issues."""
    found: dict[str, list[Told]] = {}
    for fact in of_type(mine.world.known, "customer.issue_opened", "customer.issue_resolved"):
        if links(fact.identity, mine.referee):
            found.setdefault(fact.data["issue"], []).append(fact)
    return list(found.values())


def _words(mine: Referral, scope: str) -> "Iterator[tuple[Told, bool]]":
    if scope == "contact":
        for fact in mine.of("referral.claimed"):
            if fact.data.get("consent") is not None:
                yield fact, fact.data["consent"]
    for fact in of_type(mine.world.known, "consent.granted", "consent.withdrawn"):
        if fact.data["scope"] == scope and links(fact.identity, mine.referee):
            yield fact, fact.type == "consent.granted"


def _before(mine: Referral, record: Told) -> bool:
    """Whether a conversion is too early for the referral: before ``R`` or, if a claim began it, before its grace."""
    if mine.was_sent or not record.at < mine.began_at:
        return record.at < mine.began_at
    return not mine.began_at < arithmetic.end(record.at, mine.terms["periods"]["grace"], mine.terms)


def _makes_a_customer(mine: Referral, record: Told) -> bool:
    if record.data.get("new_customer") is False:
        return True
    rewarded = record.data["kind"] in mine.terms["qualifying"]["kinds"]
    return _before(mine, record) and (rewarded or Decimal(record.data.get("amount") or 0) > 0)
