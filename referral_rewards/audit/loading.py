"""Stream the evidence of a program's paid rewards, page by page, in constant memory."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import yaml
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit import beside, drawing, statements
from referral_rewards.audit.drawing import Facts
from referral_rewards.audit.evidence import (
    Evidence,
    Made,
    Received,
    Reward,
    Span,
    Version,
)
from referral_rewards.audit.reading import arithmetic
from referral_rewards.audit.signed import DecisionRow, Keys, verified
from referral_rewards.domain.facts.identity import Marker

_PAGE: Final = 100
_FIRST: Final = UUID(int=0)
#: Words of the history of payments.
_SETTLED, _SENT, _SHUT_OUT = "settled", ["sent", "adopted"], "shut_out"


@dataclass(frozen=True, slots=True)
class Means:
    """What an audit verifies with: the public keys that are believed, and the installation's marker if it is at hand.

    Without the marker the marks of facts are believed as they stand.
    """

    keys: Keys
    marker: Marker | None = None


async def evidence(
    connection: AsyncConnection, span: Span, means: Means, referrals: Collection[str] | None = None
) -> AsyncIterator[Evidence]:
    """Yield the evidence of each paid reward of a span, by the id of its leg; of some ``referrals`` alone if they are
    named. The connection's transaction must see one moment."""
    versions = await published(connection)
    if span.program not in versions:
        return
    after = _FIRST
    while page := await _page(connection, span, versions[span.program][-1], after, referrals):
        for each in await _evidence(connection, page, versions, means):
            yield each
        after = page[-1].leg


async def published(connection: AsyncConnection) -> Mapping[str, Sequence[Version]]:
    """Every version of every program, oldest first."""
    found: defaultdict[str, list[Version]] = defaultdict(list)
    for row in await connection.execute(statements.VERSIONS):
        its = Version(row.program, row.version, row.effective_from, row.published_at, _terms(row.source), row.terms)
        found[row.program].append(its)
    return found


@lru_cache
def _terms(source: str) -> Mapping[str, Any]:
    """The terms of a version as they were written. An audit reads them once for every hundred payments."""
    terms: Mapping[str, Any] = yaml.safe_load(source)
    return terms


async def _page(
    connection: AsyncConnection, span: Span, newest: Version, after: UUID, referrals: Collection[str] | None
) -> Sequence[Reward]:
    zone = arithmetic.zone_of(newest.terms)
    since, until = (
        None if day is None else datetime.combine(day, time.min, zone).astimezone(UTC)
        for day in (span.since, span.until)
    )
    asked = {
        "program": span.program,
        "cycle": span.cycle,
        "since": since,
        "until": until,
        "after": after,
        "limit": _PAGE,
        "settled": _SETTLED,
        "sent": _SENT,
        "shut_out": _SHUT_OUT,
        "referrals": None if referrals is None else sorted(referrals),
    }
    statement = statements.REWARDS if referrals is None else statements.REWARDS_OF
    rows = await connection.execute(statement, asked)
    return [
        Reward(**{**row._mapping, "decisions": tuple(row.decisions), "sight": tuple(row.sight or ())}) for row in rows
    ]


async def _evidence(
    connection: AsyncConnection, page: Sequence[Reward], versions: Mapping[str, Sequence[Version]], means: Means
) -> list[Evidence]:
    """The evidence of a page of rewards."""
    drawn = await _Drawn.of(connection, page, versions, means)
    rivals = frozenset[str]().union(*(drawn.rivals_of(each) for each in page))
    names = sorted({each.referral for each in page} | rivals)
    decisions, forged = await _decisions(connection, [*names, *(f"program {each}" for each in versions)], means.keys)
    claims = await beside.claims(connection, page)
    steps = await beside.steps(connection, rivals)
    asked = await beside.asked(connection, names)
    held = await beside.held_of_referrals(connection, rivals)
    legs = await beside.legs(connection, page)
    found = []
    for each in page:
        claim, its = claims.get(each.claim_id), drawn.rivals_of(each)
        its_held = [one for rival in sorted(its) for one in held[rival]]
        its_held += await beside.held_of_referrer(connection, each, versions)
        found.append(
            Evidence(
                reward=each,
                claim=claim,
                facts=drawn.facts_of(each),
                decisions=decisions[each.referral],
                forged=forged[each.referral],
                program_acts=decisions[f"program {each.program}"],
                versions=versions,
                asked=asked[each.referral],
                legs=legs[each.claim_id],
                held=its_held,
                rivals=its,
                steps={rival: steps[rival] for rival in its},
                rival_decisions={rival: decisions[rival] for rival in its},
                counted=await beside.counted(connection, each, claim, versions),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The facts of a page: which keys each referral's are filed under, and whom each referral meets."""

    facts: Facts
    keys: Mapping[str, frozenset[str]]
    meets: Mapping[str, frozenset[str]]

    def rivals_of(self, reward: Reward) -> frozenset[str]:
        return self.meets[reward.referral]

    def facts_of(self, reward: Reward) -> list[Received]:
        names = (reward.referral, *sorted(self.meets[reward.referral]))
        return list(self.facts.under(key for name in names for key in sorted(self.keys[name])).values())

    @classmethod
    async def of(
        cls,
        connection: AsyncConnection,
        page: Sequence[Reward],
        versions: Mapping[str, Sequence[Version]],
        means: Means,
    ) -> "_Drawn":
        facts, programs = Facts(connection, means.marker), sorted(versions)
        own = sorted({each.referral for each in page})
        keys = await _keys(facts, own)
        paid = {each.referral: each for each in page}
        for name, reward in paid.items():
            keys[name].add(f"order:{reward.order}")  # also of one that people linked by hand
        await facts.draw(f"order:{each.order}" for each in page)
        met_by = await drawing.listening(connection, _meeting_keys(facts, keys, paid))
        meets = {
            name: frozenset(
                rival
                for key in _meeting(facts, keys[name], paid[name])
                for rival in met_by.get(key, ())
                if rival != name
            )
            for name in own
        }
        rivals = sorted(set().union(*meets.values()) - set(own))
        keys |= await _keys(facts, rivals)
        for name in own:
            keys[name] |= await _of_referrers(facts, keys[name], paid[name], programs)
        return cls(facts, {name: frozenset(its) for name, its in keys.items()}, meets)


async def _keys(facts: Facts, names: Sequence[str]) -> dict[str, set[str]]:
    """The keys under which the facts of some referrals are filed, all drawn: what names them, what their referees did
    and said, and what became of the orders."""
    found = {name: drawing.naming([name]) for name in names}
    for follow in (drawing.people, drawing.orders):
        await facts.draw(key for its in found.values() for key in its)
        for its in found.values():
            its |= follow(facts.under(its).values())
    await facts.draw(key for its in found.values() for key in its)
    return found


async def _of_referrers(facts: Facts, its: Iterable[str], reward: Reward, programs: Collection[str]) -> set[str]:
    """The keys of what is told of a referral's referrers, of what they bought, and of requests for its reward."""
    its = set(its)
    told = facts.under(its).values()
    names = drawing.referrers(told) | {reward.referrer} - {""}
    found = set[str]().union(*(drawing.referrer(name, programs) for name in names))
    naming = [each for each in told if each.told.type in ("referral.sent", "referral.claimed")]
    found |= drawing.requests(reward.program, reward.referrer, drawing.marks_of(naming))
    await facts.draw(found)
    found |= drawing.enrolled(facts.under(found).values())
    await facts.draw(found)
    return found


def _meeting(facts: Facts, its: Iterable[str], reward: Reward) -> set[str]:
    """The keys to which a referral listens that meets this one: its referee's, its order's and those of whoever bought
    on that."""
    order = f"order:{reward.order}"
    naming = [e for e in facts.under(its).values() if e.told.type in ("referral.sent", "referral.claimed")]
    bought = [e for e in facts.under([order]).values() if e.told.type == "conversion.recorded"]
    return {order} | drawing.marks_of((*naming, *bought))


def _meeting_keys(facts: Facts, keys: Mapping[str, Iterable[str]], paid: Mapping[str, Reward]) -> set[str]:
    return set[str]().union(*(_meeting(facts, keys[name], reward) for name, reward in paid.items()))


async def _decisions(
    connection: AsyncConnection, listed: Sequence[str], keys: Keys
) -> tuple[defaultdict[str, list[Made]], defaultdict[str, list[UUID]]]:
    """The decisions under each name whose signatures verify, oldest first, and the ids of the others."""
    genuine: defaultdict[str, list[Made]] = defaultdict(list)
    forged: defaultdict[str, list[UUID]] = defaultdict(list)
    for row in await connection.execute(statements.DECISIONS, {"listed": list(listed)}):
        decision = DecisionRow(*row)
        if (made := verified(decision, keys)) is None:
            forged[decision.referral_id].append(decision.id)
        else:
            genuine[decision.referral_id].append(made)
    return genuine, forged
