"""The pilots of a program for display: what was promised, what was measured, and go or no-go."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.loading import Means
from referral_rewards.domain.cycles.grouping import next_due
from referral_rewards.domain.decisions.act_kinds import PILOT_MEASURED, MoneyAct
from referral_rewards.domain.decisions.pilot_acts import Pilot, PilotSubject
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.measures.measures import Days, Measures
from referral_rewards.domain.pilots.outcome import (
    Checked,
    Evidence,
    Go,
    Measured,
    Outcome,
    SixParts,
    Verdict,
    outcome,
)
from referral_rewards.domain.pilots.plan import ALL
from referral_rewards.domain.programs.sections import PayoutCycle
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.lifecycle import Side
from referral_rewards.register import programs
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.measures import keeping
from referral_rewards.register.pilots import subject as register
from referral_rewards.register.pilots.course import Course, course
from referral_rewards.reporting import decisions
from referral_rewards.reporting.decisions import ActShown
from referral_rewards.reporting.measures.program import Figures
from referral_rewards.reporting.pilots.verifying import verify
from referral_rewards.reporting.programs import life
from referral_rewards.reporting.shape import Instant, Shape

_AT_ONCE: Final = 500


class SampleShown(Shape):
    """Which claims count: the first so many, those of referrals, those of partners' referrers, or every claim."""

    first: int | None
    referrals: tuple[str, ...]
    partners: tuple[str, ...]
    in_words: str


class RewardShown(Shape):
    """A reward that was paid in the pilot, in minor units; ``failing`` are the parts that it does not hold, null where
    nobody verified it; ``findings`` say why, in sentences."""

    referral: str
    role: Side
    kind: str
    amount_minor: int
    currency: str
    settled_at: Instant
    payout: UUID
    failing: tuple[SixParts, ...] | None
    findings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.failing == ()


class SignedShown(Shape):
    """How a pilot ended: the verdict that was signed, by whom and when, and on which figures."""

    verdict: Go
    measured: Go
    paid: int
    accurate: int
    reason: str
    by: str
    roles: tuple[str, ...]
    at: Instant

    @property
    def as_measured(self) -> Measured:
        """The figures that were signed."""
        return Measured(self.measured, self.paid, self.accurate)


class PilotShown(Shape):
    """One pilot: its promise, its figures, and what it comes to.

    It lasts one payout cycle, the one due on ``cycle_due_on`` (null before it opens; ``cycle_expected_on`` is the next
    that is due), or the period ``lasts`` until ``ends_at``. ``over_at`` is null while it runs. ``verdict`` is what is
    measured now, ``ended`` what was signed; ``why`` are reasons, ``undecided`` what is open yet. ``figures`` are those
    of its claims alone, until now. Of ``rewards``, those that do not hold come first.
    """

    number: int
    owner: str
    sample: SampleShown
    threshold_percent: str
    terms_version: int
    started_at: Instant
    started_by: str
    lasts: str | None
    ends_at: Instant | None
    cycle: UUID | None
    cycle_due_on: date | None
    cycle_expected_on: date | None
    cycle_state: str | None
    over_at: Instant | None
    verdict: Go
    why: tuple[str, ...]
    undecided: tuple[str, ...]
    ended: SignedShown | None
    claims: int
    waiting: int
    unpaid: int
    moving: int
    paid: int
    accurate: int
    rewards: tuple[RewardShown, ...]
    figures: Figures

    @property
    def measured(self) -> Measured:
        return Measured(self.verdict, self.paid, self.accurate)

    @property
    def promise(self) -> str:
        """How many of the paid rewards must hold all six parts, in words."""
        every = Decimal(self.threshold_percent) == ALL
        return "all paid rewards" if every else f"at least {self.threshold_percent} % of the paid rewards"

    @property
    def ended_early(self) -> bool:
        """Whether somebody ended it for another reason than what was measured."""
        return self.ended is not None and self.ended.reason != PILOT_MEASURED

    @property
    def comes_to(self) -> Go:
        """What was signed, else what is measured now."""
        return self.ended.verdict if self.ended else self.verdict


class PilotsOfProgram(Shape):
    """A program's pilots: how many it had, the one that is shown (the newest, if none was named; null without any), the
    program's budget in minor units, and what a decision on them needs."""

    program: str
    name: str
    timezone: str
    as_of: Instant
    pilots: int
    pilot: PilotShown | None
    currency: str
    budget_minor: int | None
    used_minor: int
    version: int
    pays_in_cycles: bool
    digest: str
    takes: tuple[MoneyAct, ...]
    decisions: tuple[ActShown, ...]


async def pilots(
    connection: AsyncConnection, program: str, number: int | None, now: datetime, keys: KeyRing, means: Means
) -> PilotsOfProgram:
    """Return a program's pilots, and the one with that number; ``means`` is what paid rewards are verified with. The
    connection's transaction must see one moment.

    Raises:
        NotFound: if there is no such program, or no such pilot of it.
    """
    stands = await register.shown(connection, program, now, keys)
    its = _numbered(stands, number)
    shown = None if its is None else await _shown(connection, program, its, now, means)
    if stands.running is not None:
        running = shown if its is stands.running else await _shown(connection, program, stands.running, now, means)
        assert running is not None, "what runs is shown"
        stands = await register.shown(connection, program, now, keys, running.measured)
    alive = await life.life(connection, program, now, keys)
    newest = (await programs.versions(connection, program))[-1][1]
    return PilotsOfProgram(
        program=program,
        name=newest.name,
        timezone=newest.timezone,
        as_of=now,
        pilots=len(stands.pilots),
        pilot=shown,
        currency=stands.currency,
        budget_minor=alive.budget_minor,
        used_minor=alive.used_minor,
        version=stands.around.version,
        pays_in_cycles=stands.around.in_cycles,
        digest=stands.digest,
        takes=tuple(act for act in MoneyAct if act in stands.takes),
        decisions=await decisions.on_subject(connection, stands.id, keys),
    )


def _numbered(stands: PilotSubject, number: int | None) -> Pilot | None:
    if number is None:
        return stands.pilots[-1] if stands.pilots else None
    if not 1 <= number <= len(stands.pilots):
        raise NotFound("pilot", f"{stands.program} {number}")
    return stands.pilots[number - 1]


async def _shown(connection: AsyncConnection, program: str, its: Pilot, now: datetime, means: Means) -> PilotShown:
    terms = await programs.find(connection, program, its.plan.version)
    assert terms is not None, "a pilot names a version that was published"
    goes = await course(connection, program, its, terms, now)
    found = outcome(its.plan, _evidence(goes, await verify(connection, program, goes.paid, means)))
    return PilotShown(
        number=its.number,
        owner=its.plan.owner,
        sample=_sample(its),
        threshold_percent=str(its.plan.threshold),
        terms_version=its.plan.version,
        started_at=its.started_at,
        started_by=its.started_by,
        lasts=str(its.plan.lasts) if its.plan.lasts else None,
        ends_at=goes.ends_at,
        cycle=goes.cycle.id if goes.cycle else None,
        cycle_due_on=goes.cycle.due_on if goes.cycle else None,
        cycle_expected_on=_expected_on(its, goes, terms, now),
        cycle_state=goes.cycle.state if goes.cycle else None,
        over_at=goes.over_at,
        verdict=found.verdict,
        why=found.why,
        undecided=found.undecided,
        ended=_signed(its),
        claims=len(goes.claims),
        waiting=goes.waiting,
        unpaid=goes.unpaid,
        moving=goes.moving,
        paid=found.measured.paid,
        accurate=found.measured.accurate,
        rewards=_rewards(found),
        figures=await _figures(connection, goes.claims, now),
    )


def _evidence(goes: Course, verdicts: Sequence[Verdict]) -> Evidence:
    claims = len(goes.claims)
    return Evidence(goes.over_at, claims, goes.waiting, goes.unpaid, goes.moving, goes.paid, verdicts, goes.given_up)


def _expected_on(its: Pilot, goes: Course, terms: Terms, now: datetime) -> date | None:
    """Return the day of the next cycle, while the pilot waits for its own to open."""
    timing = terms.payouts.timing
    waits = goes.cycle is None and its.plan.lasts is None and its.ended is None
    return next_due(timing, terms.zone, now) if waits and isinstance(timing, PayoutCycle) else None


def _sample(its: Pilot) -> SampleShown:
    sample = its.plan.sample
    return SampleShown(
        first=sample.first, referrals=sample.referrals, partners=sample.partners, in_words=sample.in_words
    )


def _signed(its: Pilot) -> SignedShown | None:
    ended = its.ended
    if ended is None:
        return None
    return SignedShown(
        verdict=ended.verdict,
        measured=ended.measured.verdict,
        paid=ended.measured.paid,
        accurate=ended.measured.accurate,
        reason=ended.reason,
        by=ended.by,
        roles=tuple(sorted(ended.roles)),
        at=ended.at,
    )


def _rewards(found: Outcome) -> tuple[RewardShown, ...]:
    return tuple(map(_reward, found.rewards))


def _reward(each: Checked) -> RewardShown:
    return RewardShown(**each.reward._asdict(), failing=each.failing, findings=each.findings)


async def _figures(connection: AsyncConnection, claims: Sequence[str], now: datetime) -> Figures:
    """Return the measures of these referrals alone, derived from the register."""
    added = [
        each.its
        for first in range(0, len(claims), _AT_ONCE)
        for each in await keeping.derived(connection, claims[first : first + _AT_ONCE], now)
    ]
    return Figures.of(Measures.over(added, Days()))
