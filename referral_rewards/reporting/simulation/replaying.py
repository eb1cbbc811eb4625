"""Replay a program's referrals: judge them again under given terms, without people's decisions.

Facts are read in pages; only a small record of each referral stays in memory.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims import claim as claims
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.inquiries import Answer, Answers, SourceAnswer
from referral_rewards.domain.referrals.origin import origin, referee_identity
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.claims import dossier
from referral_rewards.register.referrals import inquiries
from referral_rewards.register.referrals.rows import TELLER, fact_of, of_row
from referral_rewards.reporting.simulation.outcomes import of_claim, of_life
from referral_rewards.reporting.simulation.runs import Run

_PAGE: Final = 200

#: The version number of the terms that a referral is judged by, and the terms.
Numbered = tuple[int, Terms]


async def pages(
    connection: AsyncConnection, names: Sequence[str], progress: Callable[[int], None]
) -> AsyncIterator[tuple[str, Referral, tuple[Fact, ...]]]:
    """Yield each of these referrals with its row and all its facts, in the order given."""
    for start in range(0, len(names), _PAGE):
        page = list(names[start : start + _PAGE])
        rows = {row.id: of_row(row) for row in await connection.execute(_ROWS, {"referrals": page})}
        facts: defaultdict[str, list[Fact]] = defaultdict(list)
        for row in await connection.execute(_FACTS, {"referrals": page}):
            facts[row.referral_id].append(fact_of(row))
        for name in page:
            yield name, rows[name], tuple(facts[name])
        progress(len(page))


async def names_of(connection: AsyncConnection, program: str) -> Sequence[str]:
    """Return the ids of the program's referrals, sorted."""
    return (await connection.execute(_NAMES, {"program": program})).scalars().all()


async def decide(
    connection: AsyncConnection,
    run: Run,
    terms_of: Mapping[str, Numbered],
    *,
    approve_flagged: bool,
    progress: Callable[[int], None],
) -> None:
    """Decide every referral of the run; claims are decided in the order in which they reach review."""
    for name, each in run.lives.items():
        if not each.comes_before_approver:
            run.verdicts[name] = of_life(each)
    waiting = [name for name, each in run.lives.items() if each.comes_before_approver]
    waiting.sort(key=lambda name: (run.lives[name].until, name))
    async for name, row, facts in pages(connection, waiting, progress):
        version, terms = terms_of[name]
        case = _case(row, facts, version, terms, run.lives[name].until)
        claim = await _claim(connection, run, case)
        run.decide(name, claim, of_claim(claim, terms.currency, approve_flagged=approve_flagged), terms)


def _case(row: Referral, facts: Sequence[Fact], version: int, terms: Terms, moment: datetime) -> Case:
    """Return the case on the facts up to that time, in its first round and without people's decisions."""
    untouched = replace(row, round=1, settled_rivals=None, late_facts=0, moved_to=None, acts=None)
    seen = tuple(fact for fact in facts if fact.occurred_at <= moment)
    begun = origin(seen, moment)
    assert begun is not None  # its life came this far
    course = periods.course(seen, terms, moment, origin=begun)
    return Case(untouched, moment, version, terms, begun, seen, course)


async def _claim(connection: AsyncConnection, run: Run, case: Case) -> RewardClaim:
    """Return the claim that the rules make of a case; everything that depends on approvals comes from the run."""
    gathered = await dossier.gather(
        connection, case, answers=_confirmed(case), approved_rewards=run.rewards_of(case.origin.referrer)
    )
    marks = sorted(referee_identity(case.facts, case.now))
    found = await connection.execute(_SAME_REFEREE, {"marks": marks, "program": run.program})
    same_referee = {row.id: bool(row.only_mailbox) for row in found}
    return claims.assemble(
        replace(
            gathered,
            usage=run.usage(case.origin.referrer, case.terms, case.now),
            tax=run.tax(gathered),
            rivals=run.rivals(gathered, same_referee),
        )
    )


def _confirmed(case: Case) -> Answers:
    """Return answers in which each source in the terms confirms what is on record; a replay asks no source."""
    told, sources = "It is taken as confirmed: a replay asks nobody.", case.terms.sources
    return Answers(
        inquiries.question_of(case),
        SourceAnswer(Answer.CONFIRMED, told, sources.conversions),
        SourceAnswer(Answer.CONFIRMED, told, sources.customers) if sources.customers else None,
    )


_NAMES: Final = text("SELECT id FROM referral WHERE program = :program AND merged_into IS NULL ORDER BY id")

_ROWS: Final = text("SELECT * FROM referral WHERE id = ANY(CAST(:referrals AS text[]))")

# A replay ignores when we received a fact: each is read as part of a finished batch, which waits for no stragglers.
_FACTS: Final = text(f"""
SELECT rf.referral_id, f.id, f.source, f.event_id, f.type, f.occurred_at, f.received_at, f.data, f.marks, f.digest,
       true AS batch_finished, {TELLER}
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id WHERE rf.referral_id = ANY(CAST(:referrals AS text[]))
""")  # noqa: S608 (words of ours alone)

_SAME_REFEREE: Final = text("""
SELECT r.id, bool_and(rk.key LIKE 'email:%') AS only_mailbox
FROM referral_key rk JOIN referral r ON r.id = rk.referral_id
WHERE rk.key = ANY(CAST(:marks AS text[])) AND r.program = :program AND r.merged_into IS NULL
GROUP BY r.id
""")
