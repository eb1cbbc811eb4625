"""A case: a referral with its course through the four periods up to now, on the facts that count."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.programs.life import RUNNING, Life
from referral_rewards.domain.programs.life import newest as newest_of
from referral_rewards.domain.programs.terms import Terms, in_force
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.lifecycle import PAID
from referral_rewards.domain.referrals.origin import Origin, origin
from referral_rewards.domain.referrals.referral import LinkedFact, Referral
from referral_rewards.domain.referrals.signed_acts import NO_ACTS, SignedActs

#: As a referral's ``claim_version``: its claim must be assembled again on the current facts.
NEVER_JUDGED: Final = -1


@dataclass(frozen=True, slots=True)
class Case:
    """The input of every further judgement of a referral.

    ``program`` is what was decided on its program, whose ``newest`` terms in force set the budget. ``ahead_at`` is when
    the next fact that we already received takes effect: a source's clock may run minutes ahead of ours (SPEC §3).
    """

    row: Referral
    now: datetime
    version: int
    terms: Terms
    origin: Origin
    facts: tuple[Fact, ...]
    course: Course
    ahead_at: datetime | None = None
    program: Life = RUNNING
    newest: Terms | None = None
    #: The row as it stands in the database, while ``row`` holds changes that are decided and not saved yet.
    stored: Referral | None = None

    @property
    def acts(self) -> SignedActs:
        """What people decided about the referral's attribution."""
        return acts_of(self.row)

    def took_effect(self, fact: Fact) -> bool:
        """Return whether a fact that was already known has taken effect since the referral was last judged."""
        last = self.row.judged_at
        return last is not None and last < fact.occurred_at <= self.now


@dataclass(frozen=True, slots=True)
class Past:
    """What a case follows from, besides its row: the linked facts, the versions of the programs that they name and what
    was decided on these (``lives``), and when a standing leg was first approved (None: none is)."""

    linked: tuple[LinkedFact, ...]
    versions: Mapping[str, Sequence[tuple[int, Terms]]]
    approved_at: datetime | None
    lives: Mapping[str, Life]

    @property
    def facts(self) -> tuple[Fact, ...]:
        return tuple(each.fact for each in self.linked)


def case_on(row: Referral, now: datetime, facts: Sequence[Fact], past: Past) -> Case | None:
    """Return the case on these facts alone; None as for `open_case`."""
    admitted = _admitted(row, facts, past.approved_at)
    # Two machines' clocks may differ; time must not go back behind the last judgement.
    now = max(now, row.judged_at or now)
    ahead_at = next_ahead(facts, now)
    begun = origin(admitted, now)
    if begun is None:
        return None
    acts = acts_of(row)
    if acts.reassigned is not None:
        begun = replace(begun, referrer=acts.reassigned.referrer)
    versions = past.versions.get(begun.program, ())
    bound = in_force(versions, begun.began_at)
    if bound is None:
        return None
    version, terms = bound
    lived = periods.course if row.round == 1 else periods.reopened
    program = past.lives.get(begun.program, RUNNING)
    course = lived(admitted, terms, now, origin=begun, linked=acts.orders, program=program)
    return Case(row, now, version, terms, begun, admitted, course, ahead_at, program, newest_of(versions, now))


def payable_since(row: Referral, past: Past | None, now: datetime) -> datetime | None:
    """Return since when a referral's reward can be paid at the earliest: since its return period ended, by the facts
    alone, or since its conversion. None if neither is known."""
    case = case_on(row, now, past.facts, past) if past is not None else None
    return case.course.return_ends or row.conversion_at if case is not None else None


def exchange_of(case: Case) -> OrderName | None:
    """Return the order that would qualify in the place of the one that was paid for; None if none does."""
    other = other_conversion(case)
    return other.name if other is not None else None


def other_conversion(case: Case) -> Conversion | None:
    """Return the conversion that would qualify in the place of the one that was paid for; None if none does."""
    return periods.replacement(
        case.facts,
        case.terms,
        case.now,
        order=case.row.order,
        linked=acts_of(case.row).orders,
        program=case.program,
    )


def acts_of(row: Referral) -> SignedActs:
    """Return what people decided about a referral's attribution, as its row says; None of it is verified here."""
    return NO_ACTS if row.acts is None else _ACTS.validate_python(row.acts)


def acts_document(acts: SignedActs) -> dict[str, Any] | None:
    """Return the document that `acts_of` reads; None for no acts."""
    document: dict[str, Any] = _ACTS.dump_python(acts, mode="json")
    return None if acts == NO_ACTS else document


_ACTS: Final = TypeAdapter(SignedActs)


def next_ahead(facts: Iterable[Fact], now: datetime) -> datetime | None:
    """Return when the next of these facts takes effect; None if all of them have."""
    return min((fact.occurred_at for fact in facts if fact.occurred_at > now), default=None)


def _admitted(row: Referral, facts: Sequence[Fact], approved_at: datetime | None) -> tuple[Fact, ...]:
    """Return the facts that count.

    Withdrawals do not count if they came after a valid approval, or before a reopening that was decided in spite of
    them. After a payment, facts that would change the referral's origin do not count either.
    """
    facts = [fact for fact in facts if row.status not in PAID or not _begins_otherwise(row, fact)]
    withdrawals = [fact for fact in facts if fact.type is FactType.REFERRAL_WITHDRAWN]
    if not withdrawals:
        return tuple(facts)
    void = [f for f in withdrawals if row.round > 1 or (approved_at is not None and f.occurred_at >= approved_at)]
    return tuple(fact for fact in facts if fact not in void)


def _begins_otherwise(row: Referral, fact: Fact) -> bool:
    """Return whether a fact takes precedence over the one that the row names as the referral's origin."""
    began = (row.origin_rank, row.began_at, row.origin_source, row.origin_event)
    able = fact.type in _RANKS and "program" in fact.data and bool(fact.data.keys() & {"referrer", "referrer_code"})
    return able and (_RANKS[fact.type], *fact.precedence) < began


_RANKS: Final = {FactType.REFERRAL_SENT: keys.SENT, FactType.REFERRAL_CLAIMED: keys.CLAIMED}
