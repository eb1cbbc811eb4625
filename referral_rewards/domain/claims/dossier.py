"""The dossier: everything a reward claim is judged from. The caller gathers it, so that judging stays pure.

An input that could not be gathered is ``None``, and its check *could not run*; one that was looked up and does not
exist is empty. What the records around a referral show are counts and names of kinds that identify no person.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property, partial

from referral_rewards.domain.claims.adjustments import Adjustment
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.identity import links
from referral_rewards.domain.facts.orders import OrderName, order_named
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.programs.life import RUNNING, Life
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals import origin as origins
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.inquiries import SourceAnswer
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, Side
from referral_rewards.domain.referrals.origin import Origin
from referral_rewards.domain.referrals.signed_acts import NO_ACTS, LinkedOrder, SignedActs


@dataclass(frozen=True, slots=True)
class Pace:
    """The number of referrals that the referrer began: in the hour and in the day up to and including this one, and in
    the 30 days before that hour and before that day."""

    hour: int
    before_hour: int
    day: int
    before_day: int


@dataclass(frozen=True, slots=True)
class Refunds:
    """Of the referrer's latest referrals before this one, 50 at most: the number with a conversion, and the number of
    those that were fully reversed."""

    converted: int
    reversed: int


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the records around a referral show, for the signals to which the terms give a weight; each part feeds one or
    two.

    A part that is ``None`` was not requested, or could not be read within its bounds; its signals then could not run.
    """

    #: The number of people (three or four) in the shortest circle of referrals through this one; 0 if there is none.
    #: A pair is `Dossier.reciprocal` instead.
    ring: int | None = None
    pace: Pace | None = None
    refunds: Refunds | None = None
    #: How many other enrolments of the referrer, in other programs or under other ids, are suspended now.
    barred: int | None = None
    #: The kinds of either side's marks that are on the blocklist.
    blocked: frozenset[str] | None = None
    #: How many other people whom the referrer referred showed the referee's payment instrument or device.
    reused: int | None = None
    #: How many referrals with that instrument or device were denied for fraud.
    denied: int | None = None
    #: The most referrals, this one counted, that a network address of its claim or conversion saw within 24 hours.
    crowd: int | None = None
    #: Names of the parameters by which advertisers mark a paid click.
    clicks: frozenset[str] | None = None
    #: The registrable domains that the referee came from or landed on.
    sites: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Rival:
    """Another referral of the same referee or the same order, in its present status.

    ``settled`` is True for a referral that was closed by the decision on its dispute. It stays in the dispute digest,
    otherwise the decision's own effect would change the digest it was made against.
    """

    referral: str
    referrer: str | None
    program: str
    order: str | None
    status: ReferralStatus
    timely_claim: bool
    rewarded: bool = False
    same_referee: bool = False
    #: Whether only addresses without their ``+tag`` make its referee the same: that denies nothing by rule.
    only_mailbox: bool = False
    claimed_at: datetime | None = None
    began_at: datetime | None = None
    core_digest: str | None = None
    settled: bool = False
    #: Whether its approval settled the attribution dispute against this referral.
    won: bool = False
    #: That of its order, if one is known.
    store: str | None = None

    @property
    def name(self) -> OrderName | None:
        """The name of its order; None while it has no conversion."""
        return None if self.order is None else OrderName(self.order, self.store)


@dataclass(frozen=True, slots=True)
class Usage:
    """The part of the limits that other rewards already use (without this referral's own reservation), minor units.

    ``rewards`` and ``amount_minor`` are the referrer's in the rolling period, ``budget_minor`` the program's.
    ``reserved_minor`` is what this referral has reserved of the budget: nothing that is published later takes it away.
    """

    rewards: int = 0
    amount_minor: int = 0
    budget_minor: int = 0
    reserved_minor: int = 0


@dataclass(frozen=True, slots=True)
class TaxPosition:
    """A payee's total in the calendar year without this referral, in minor units of the regime's currency; whether a
    form is in force, and the percentage that it requires to be withheld."""

    year_total_minor: int = 0
    form_on_file: bool = False
    withholding_percent: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Similarity:
    """Plaintext that only the fraud score reads; no claim contains it. A field is None if the person has none."""

    referrer_email: str | None = None
    referee_email: str | None = None
    referrer_name: str | None = None
    referee_name: str | None = None
    referrer_country: str | None = None
    referee_country: str | None = None


@dataclass(frozen=True)
class Dossier:
    """The input for judging a reward claim. ``facts`` are all that are linked to the referral, in any order."""

    referral: str
    version: int
    terms: Terms
    origin: Origin
    course: Course
    facts: tuple[Fact, ...]
    now: datetime
    #: What was decided on the program, and its newest terms in force; None: the referral's own.
    program: Life = RUNNING
    newest: Terms | None = None
    #: Of the referrer's enrolments and own conversions.
    referrer_marks: frozenset[str] = frozenset()
    rivals: tuple[Rival, ...] | None = ()
    #: The number of the referrer's approved rewards in the program so far, frozen by the caller: it chooses the tier.
    approved_rewards: int = 0
    usage: Usage | None = Usage()
    #: By payee; a missing payee could not be looked up.
    tax: Mapping[str, TaxPosition] = field(default_factory=dict)
    personal: Similarity | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)
    #: Whether the referee once referred the referrer.
    reciprocal: bool | None = None
    revalidation: SourceAnswer | None = None
    #: The answer about the referee from the source of customers that the terms name.
    customer_record: SourceAnswer | None = None
    #: Whether a reopening admits facts that came after the referral had closed.
    late_facts: bool = False
    #: Whether a person already decided on the referral: reopened it, or approved the claim. Then only what stands now
    #: denies it by rule. Before, what denied it at any instant of its review closed it for good (SPEC §4).
    is_decided: bool = False
    #: What people decided about its attribution; and the referrals whose referee an order matches that they linked,
    #: None if these could not be looked up.
    acts: SignedActs = NO_ACTS
    matched_elsewhere: tuple[str, ...] | None = ()
    #: Adjustments that may hold, oldest first: those of the present claim, and those made on it since.
    adjustments: tuple[Adjustment, ...] = ()
    #: Users who entered facts of this referral by hand: they do not decide on it.
    manual_entry_by: frozenset[str] = frozenset()
    #: The destinations that the claim's approval signed, by role, beneficiary and rail; None: it is not approved. What
    #: is told of a payee's methods after an approval changes no digest.
    approved_destinations: Mapping[tuple[str, str | None, str], str | None] | None = None
    #: The sides whose reward for an earlier conversion of this referral was not recovered in full: they get no second.
    standing: frozenset[Side] = frozenset()

    @property
    def referrer(self) -> str | None:
        return self.origin.referrer

    @property
    def budget_minor(self) -> int | None:
        """The program's budget in minor units: the newest figure and all additions; None if it has none."""
        newest = self.newest
        return self.program.budget_minor(
            newest if newest is not None and newest.currency == self.terms.currency else self.terms
        )

    @property
    def linked_by_hand(self) -> LinkedOrder | None:
        """The link through which the referral hears of its conversion; None if its referee's identity matches."""
        q = self.conversion
        if q is None or links(q.record.identity, self.referee_identity):
            return None
        return next((link for link in self.acts.links if q.which.is_named(link.name)), None)

    @property
    def conversion(self) -> Conversion | None:
        """The conversion ``q`` that the reward is for."""
        return self.course.conversion

    @property
    def review_began_at(self) -> datetime | None:
        """Since when whatever denies the claim by rule closes it for good; None if that is only what stands now."""
        begins_at = None if self.is_decided else periods.review_begins(self.course, self.terms)
        if begins_at is None:
            return None
        return max([begins_at, *(link.at for link in self.acts.links)])

    @cached_property
    def seen(self) -> tuple[Fact, ...]:
        """The facts that have occurred by now, in their order of precedence."""
        return tuple(sorted((f for f in self.facts if f.occurred_at <= self.now), key=lambda fact: fact.precedence))

    def of(self, *types: FactType) -> tuple[Fact, ...]:
        """Return the facts of these types."""
        return tuple(fact for fact in self.seen if fact.type in types)

    @property
    def requests(self) -> tuple[Fact, ...]:
        """The referrer's own requests for a reward: they begin a manual referral, and are evidence on any other."""
        return self.of(FactType.REWARD_REQUESTED)

    def of_referrer(self, *types: FactType) -> tuple[Fact, ...]:
        """Return the facts of these types about this referrer in this program."""
        about = (self.referrer, self.origin.program)
        return tuple(f for f in self.of(*types) if (f.data.get("referrer"), f.data.get("program")) == about)

    def of_referee(self, *types: FactType) -> tuple[Fact, ...]:
        """Return the facts of these types that share an identity with the referee."""
        return tuple(fact for fact in self.of(*types) if links(fact.identity, self.referee_identity))

    @cached_property
    def referee_identity(self) -> frozenset[str]:
        """The marks that identify the referee."""
        return origins.referee_identity(self.facts, self.now)

    @cached_property
    def referee_marks(self) -> frozenset[str]:
        """Every mark of the referee: of the invitation, the claims, and the conversions of the referee or linked."""
        said = self.of(FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED, FactType.REWARD_REQUESTED)
        by_hand = [order for order in map(partial(order_named, self.seen), self.acts.orders) if order is not None]
        linked = [fact for order in by_hand for fact in order.records]
        return _union(said) | _union(self.of_referee(FactType.CONVERSION_RECORDED)) | _union(linked)


def _union(facts: Iterable[Fact]) -> frozenset[str]:
    return frozenset(mark for fact in facts for mark in fact.marks)
