"""Simulate a program's past under its own terms and under others. This writes nothing.

People's decisions are not replayed. In both runs a claim is judged when it reaches review, on the facts up to then, and
the rules' recommendation counts as decided at that time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.programs.terms import Terms, in_force
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.register import programs
from referral_rewards.reporting.simulation.lives import Life, life
from referral_rewards.reporting.simulation.outcomes import Compared
from referral_rewards.reporting.simulation.replaying import Numbered, decide, names_of, pages
from referral_rewards.reporting.simulation.runs import Run

#: Called with the current task, how many more referrals are done, and how many there are in total.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Other terms for a program, to be tried on a period of its past.

    The period has the referrals that began at or after ``since`` and before ``until``; None is no bound.
    ``approve_flagged`` approves flagged claims too, unless the rules advise to deny them.
    """

    terms: Terms
    now: datetime
    since: datetime | None = None
    until: datetime | None = None
    approve_flagged: bool = False

    @property
    def program(self) -> str:
        """The program of the terms."""
        return self.terms.program

    @property
    def period(self) -> str:
        """The period in words, with days in the program's time zone; empty without bounds."""
        bounds = (("from", self.since), ("before", self.until))
        return " and ".join(f"{word} {at.astimezone(self.terms.zone):%Y-%m-%d}" for word, at in bounds if at)

    def holds(self, began_at: datetime) -> bool:
        """Return whether a referral that began then is in the period."""
        return (self.since is None or began_at >= self.since) and (self.until is None or began_at < self.until)


@dataclass(frozen=True, slots=True)
class Simulation:
    """The result: each referral of the period, sorted by id. ``unbound`` counts those to which no terms apply."""

    proposal: Proposal
    compared: tuple[Compared, ...]
    unbound: int = 0


@dataclass(slots=True)
class _Past:
    """The terms and life of every replayed referral, before and after; the same for those begun before the period."""

    own_terms: dict[str, Numbered] = field(default_factory=dict)
    new_terms: dict[str, Numbered] = field(default_factory=dict)
    before: dict[str, Life] = field(default_factory=dict)
    after: dict[str, Life] = field(default_factory=dict)
    unbound: int = 0


async def simulate(connection: AsyncConnection, proposal: Proposal, progress: Progress) -> Simulation:
    """Replay the program under its own terms and under the proposal's.

    The transaction of ``connection`` must be fresh: it becomes read-only and reads one snapshot. Referrals that began
    before the period are replayed under their own terms in both runs, because they use caps and budget. Referrals that
    began after it are left out.

    Raises:
        NotFound: if the program has no terms.
    """
    await connection.execute(_READ_ONLY)
    versions = await programs.versions(connection, proposal.program)
    if not versions:
        raise await programs.unknown(connection, proposal.program)
    past = await _lived(connection, proposal, versions, progress)
    runs = []
    for what, lives, terms_of in (
        ("claims under their own terms", past.before, past.own_terms),
        ("claims under the new terms", past.after, past.new_terms),
    ):
        run, total = Run(proposal.program, lives), sum(each.comes_before_approver for each in lives.values())
        told = _counting(progress, what, total)
        await decide(connection, run, terms_of, approve_flagged=proposal.approve_flagged, progress=told)
        runs.append(run)
    before, after = (run.verdicts for run in runs)
    asked = sorted(name for name, each in past.before.items() if proposal.holds(each.began_at))
    return Simulation(proposal, tuple(Compared(name, before[name], after[name]) for name in asked), past.unbound)


async def _lived(
    connection: AsyncConnection, proposal: Proposal, versions: Sequence[Numbered], progress: Progress
) -> _Past:
    """Return each referral's life under its own and under the new terms."""
    # The new terms apply to the whole period, whatever their effective_from.
    earliest = min(terms.effective_from for _, terms in versions)
    new = (0, proposal.terms.model_copy(update={"effective_from": earliest}))
    names, past = await names_of(connection, proposal.program), _Past()
    async for name, _, facts in pages(connection, names, _counting(progress, "referrals", len(names))):
        begun = origin(facts, proposal.now)
        if begun is None or (proposal.until is not None and begun.began_at >= proposal.until):
            continue
        own, asked = in_force(versions, begun.began_at), proposal.holds(begun.began_at)
        if own is None:
            past.unbound += asked
            continue
        past.own_terms[name], past.new_terms[name] = own, new if asked else own
        past.before[name] = lived = life(facts, own[1], proposal.now, begun)
        past.after[name] = life(facts, new[1], proposal.now, begun) if asked else lived
    return past


def _counting(progress: Progress, what: str, total: int) -> Callable[[int], None]:
    progress(what, 0, total)
    return lambda more: progress(what, more, total)


_READ_ONLY: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
