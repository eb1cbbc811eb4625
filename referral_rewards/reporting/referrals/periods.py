"""The four periods of a referral for display, and the explanation of its status to the people concerned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.programs.life import Life as ProgramLife
from referral_rewards.domain.programs.terms import Terms, in_force
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.case import acts_of
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.explanation import Situation, explain
from referral_rewards.domain.referrals.lifecycle import Reason
from referral_rewards.domain.referrals.origin import Origin, OriginKind, origin, referee_identity
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import programs
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting.decisions import ClaimDecision
from referral_rewards.reporting.shape import Instant, Shape


class ConversionSeen(Shape):
    """A conversion of the referee, in minor units. ``counts``: its remaining amount qualifies; ``grace_ends`` is the
    deadline for a claim after it, null for a kind that the terms don't reward."""

    order: str
    store: str | None
    kind: str
    occurred_at: Instant
    grace_ends: Instant | None
    gross_minor: int | None
    net_minor: int | None
    currency: str | None
    counts: bool


class Periods(Shape):
    """When the four periods begin and end. Ends are exclusive, and null while a period has not begun. From ``claim_by``
    on a claim is too late; ``minimum`` is the minimum amount of a conversion, in major units."""

    timezone: str
    began_at: Instant
    began_by: OriginKind
    invitation_ends: Instant | None
    claim_by: Instant | None
    claimed_at: Instant | None
    offer_ends: Instant | None
    return_ends: Instant | None
    minimum: str | None
    conversions: tuple[ConversionSeen, ...]


class Told(Shape):
    """The explanation of a referral's status, in words for the people concerned."""

    why: str
    next: str | None
    appeal: str | None


class Moved(Shape):
    """When its rewards were paid and last taken back, and the reason code of the decision that took them back."""

    paid_at: Instant | None = None
    taken_back_at: Instant | None = None
    taken_back_for: str | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """The course of the four periods on the judged facts; for a closed referral, on the facts at its closing.

    ``linked`` are the orders that people linked to it by hand.
    """

    terms: Terms
    begun: Origin
    course: Course
    facts: Sequence[Fact]
    judged_at: datetime
    program: ProgramLife
    linked: frozenset[OrderName] = frozenset()


async def life(connection: AsyncConnection, row: Referral, keys: KeyRing) -> Life | None:
    """Return the life of a referral; None if no fact has begun it, or no terms were in force when it began."""
    its = await referrals.facts(connection, row.id)
    last = row.closed_version if row.closed_version is not None else row.judged_version
    facts = [each.fact for each in its if each.version <= last]
    judged_at = max([row.closed_at or row.began_at, *(fact.received_at for fact in facts)])
    begun = origin(facts, judged_at)
    if begun is None:
        return None
    bound = in_force(await programs.versions(connection, begun.program), begun.began_at)
    if bound is None:
        return None
    _, terms = bound
    program = await program_acts.of_program(connection, begun.program, keys)
    linked = acts_of(row).orders
    course = periods.course(facts, terms, judged_at, origin=begun, linked=linked, program=program)
    return Life(terms, begun, course, facts, judged_at, program, linked)


def shown(life: Life) -> Periods:
    """Return the periods of a life for display."""
    course, minimum = life.course, life.terms.qualifying.minimum
    return Periods(
        timezone=life.terms.timezone,
        began_at=course.began_at,
        began_by=life.begun.kind,
        invitation_ends=course.invite_ends,
        claim_by=course.claim_by,
        claimed_at=course.claimed_at,
        offer_ends=course.offer_ends,
        return_ends=course.return_ends,
        minimum=str(minimum) if minimum is not None else None,
        conversions=_conversions(life),
    )


def told(row: Referral, life: Life, made: Sequence[ClaimDecision], moved: Moved) -> Told:
    """Where a referral stands by its row, its life, the decisions on it and what was moved for it."""
    assert row.status is not None, "a referral with a life has been judged"
    denials = [each for each in made if each.genuine and each.kind == DecisionKind.DENY and each.facts_known is None]
    denial = denials[-1] if denials else None
    return Told.model_validate(
        explain(
            Situation(
                status=row.status,
                reason=Reason(row.reason) if row.reason else None,
                terms=life.terms,
                began_at=life.course.began_at,
                deadline=row.deadline,
                claim_by=life.course.claim_by,
                offer_ends=life.course.offer_ends,
                converted_at=row.conversion_at,
                decided_for=denial.reason if denial else None,
                decided_at=denial.decided_at if denial else None,
                paid_at=moved.paid_at,
                taken_back_at=moved.taken_back_at,
                taken_back_for=moved.taken_back_for,
                program_ended_at=life.program.ended_at,
            )
        )
    )


def _conversions(life: Life) -> tuple[ConversionSeen, ...]:
    terms = life.terms
    return tuple(
        ConversionSeen(
            order=each.order,
            store=each.name.store,
            kind=each.kind,
            occurred_at=each.occurred_at,
            grace_ends=terms.end(each.occurred_at, terms.periods.grace) if each.of_kind else None,
            gross_minor=each.gross_minor,
            net_minor=each.net_minor,
            currency=each.currency,
            counts=each.counts and each.of_kind,
        )
        for each in conversions(life.facts, referee_identity(life.facts, life.judged_at), terms, life.linked)
    )
