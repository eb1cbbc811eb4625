"""Draw the facts that paid rewards rest on, and those of the referrals that they meet, by their keys (SPEC §3).

A page of rewards is drawn in a few statements, in rounds: what names the referrals, then what their people did and
said, then what became of their orders; the same for the referrals that they meet.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit import statements
from referral_rewards.audit.erased import erased
from referral_rewards.audit.evidence import Received
from referral_rewards.audit.reading.told import Told, of_kinds
from referral_rewards.audit.received import FactRow, received
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.keys import code_key
from referral_rewards.personal import opened_or_broken

_IDENTITY: Final = ("customer", "email", "phone")


class Facts:
    """The facts drawn so far, by the keys under which they are filed; a key is asked for once."""

    def __init__(self, connection: AsyncConnection, marker: Marker | None) -> None:
        self._connection, self._marker = connection, marker
        self._by_id: dict[UUID, Received] = {}
        self._filed: defaultdict[str, list[UUID]] = defaultdict(list)
        self._asked: set[str] = set()

    async def draw(self, keys: Iterable[str]) -> None:
        """Draw what is filed under these keys."""
        new = sorted(set(keys) - self._asked)
        if not new:
            return
        self._asked.update(new)
        for row in await self._connection.execute(statements.FACTS, {"keys": new}):
            if row.id not in self._by_id:
                envelope = opened_or_broken(self._connection, row.id, row.sealed)
                known = {**row._mapping, "envelope": envelope, "erased": erased(row.erased)}
                fact = FactRow(**{name: known[name] for name in FactRow._fields})
                self._by_id[fact.id] = received(fact, self._marker)
            self._filed[row.key].append(row.id)

    def under(self, keys: Iterable[str]) -> dict[UUID, Received]:
        """The facts that are filed under these keys, by their ids."""
        return {each: self._by_id[each] for key in keys for each in self._filed.get(key, ())}


def naming(referrals: Iterable[str]) -> set[str]:
    """The keys of what names these referrals."""
    return {f"referral:{each}" for each in referrals}


def people(facts: Iterable[Received]) -> set[str]:
    """The keys of what the referee did and said, by what identifies them in facts that name their referral."""
    found = set[str]()
    for each in facts:
        if each.told.type in ("referral.sent", "referral.claimed", "reward.requested"):
            found |= of_kinds(each.told.marks, _IDENTITY)
            found |= _of_code(each.told)
        if order := each.told.data.get("order"):
            found.add(f"order:{order}")
    return found


def referrer(name: str, programs: Collection[str]) -> set[str]:
    """The keys of what is told of a referrer: in every program, because the id means one person."""
    return {f"referrer:{program}/{name}" for program in programs}


def requests(program: str, name: str, marks: Iterable[str]) -> set[str]:
    """The keys of requests for a reward that mean the referee with these marks."""
    return {f"request:{program}/{name}/{mark}" for mark in of_kinds(marks, _IDENTITY)}


def orders(facts: Iterable[Received]) -> set[str]:
    """The keys of what became of the orders that are recorded in these facts."""
    return {f"order:{each.told.data['order']}" for each in facts if each.told.type == "conversion.recorded"}


def enrolled(facts: Iterable[Received]) -> set[str]:
    """The keys of purchases by the people who are enrolled in these facts."""
    marks = [of_kinds(each.told.marks, _IDENTITY) for each in facts if each.told.type == "referrer.enrolled"]
    return set[str]().union(*marks)


def referrers(facts: Iterable[Received]) -> set[str]:
    """Whom these facts name as referrers, or as those who have a code."""
    return {name for each in facts if (name := each.told.data.get("referrer"))}


def marks_of(facts: Iterable[Received]) -> set[str]:
    """What identifies those whom these facts are about."""
    return set[str]().union(*(of_kinds(each.told.marks, _IDENTITY) for each in facts))


async def listening(connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, Sequence[str]]:
    """The referrals that listen to each key."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in await connection.execute(statements.LISTENING, {"keys": sorted(keys)}):
        found[row.key].append(row.referral_id)
    return found


def _of_code(told: Told) -> set[str]:
    code, program = told.data.get("referrer_code"), told.data.get("program")
    return {code_key(program, code)} if code and program else set()
