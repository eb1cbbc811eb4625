"""Simulating: a program's past, lived once under the terms that hold for it and once under others. Writes nothing.

What people decided is not replayed. In either run a claim is judged at the moment at which it came before its approver,
on what had happened by then, and what the rules recommend counts as decided there and then.
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

#: Is told what is being done, how many more referrals are done, and how many there are of them.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Other terms of a program for a period of its past: how would its referrals have fared under them?

    The period holds those that began at or after ``since`` and before ``until``; None is no bound. ``approve_flagged``
    approves what a person would have to look at, except what the rules advise against.
    """

    terms: Terms
    now: datetime
    since: datetime | None = None
    until: datetime | None = None
    approve_flagged: bool = False

    @property
    def program(self) -> str:
        """The program whose terms they are."""
        return self.terms.program

    @property
    def period(self) -> str:
        """The period for people, in the program's days; empty without bounds."""
        bounds = (("from", self.since), ("before", self.until))
        return " and ".join(f"{word} {at.astimezone(self.terms.zone):%Y-%m-%d}" for word, at in bounds if at)

    def holds(self, began_at: datetime) -> bool:
        """Whether a referral that began then is asked about."""
        return (self.since is None or began_at >= self.since) and (self.until is None or began_at < self.until)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came of it: each referral of the period, by its id. ``unbound`` counts those that no terms hold for."""

    proposal: Proposal
    compared: tuple[Compared, ...]
    unbound: int = 0


@dataclass(slots=True)
class _Past:
    """Every referral that is replayed: its terms and its life, before and after. The same ones if begun too early."""

    own_terms: dict[str, Numbered] = field(default_factory=dict)
    new_terms: dict[str, Numbered] = field(default_factory=dict)
    before: dict[str, Life] = field(default_factory=dict)
    after: dict[str, Life] = field(default_factory=dict)
    unbound: int = 0


async def simulate(connection: AsyncConnection, proposal: Proposal, progress: Progress) -> Simulation:
    """Replays the program under its own terms and under those of the proposal.

    ``connection`` is in a transaction in which nothing was done yet: it becomes one that can write nothing and sees one
    state of the register throughout. Referrals that began before the period are replayed under their own terms in both
    runs, for what they take of caps and budget; those that began after it are left out.

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
    """How far time takes each referral, under its own and under the new terms."""
    # Whatever day the new terms name, here they hold for the whole period.
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
