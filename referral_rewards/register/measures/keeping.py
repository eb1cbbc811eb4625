"""Keep the contributions and their daily sums up to date with the register, referral by referral.

Triggers note each referral whose contributions may have changed. A transaction takes a batch of these notes, derives
the contributions anew, and saves what differs. What commits while it works leaves a note for the next one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.figures import Contribution, Figure, contributions
from referral_rewards.register import typed_rows
from referral_rewards.register.locks import Lock, lock
from referral_rewards.register.measures.lives import lives

#: How many referrals one transaction brings up to date.
BATCH: Final = 500


class Owned(NamedTuple):
    """A contribution, and whose and which program's it is."""

    referral: str
    program: str
    its: Contribution


async def catch_up(connection: AsyncConnection, now: datetime) -> int:
    """Bring a batch of referrals up to date, and return how many notes were taken; zero if all is up to date."""
    await lock(connection, Lock.MEASURES)
    taken = (await connection.execute(_TAKE, {"limit": BATCH})).scalars().all()
    names = sorted(set(taken))
    if names:
        kept = await stored(connection, names)
        fresh = await derived(connection, names, now)
        await _remove(connection, kept, fresh)
        await _add(connection, Counter(fresh) - Counter(each.owned for each in kept))
        await _sum_up(connection, [each.owned for each in kept], fresh)
    return len(taken)


class Kept(NamedTuple):
    """A contribution that is stored."""

    id: int
    referral_id: str
    program: str
    figure: Figure
    part: str
    currency: str
    day: date
    n: int
    amount: int

    @property
    def owned(self) -> Owned:
        its = Contribution(self.figure, self.day, self.part, self.currency, self.n, self.amount)
        return Owned(self.referral_id, self.program, its)


async def stored(connection: AsyncConnection, referrals: Sequence[str]) -> tuple[Kept, ...]:
    """Return the contributions that are stored for these referrals."""
    return await typed_rows.read(connection, Kept, _STORED, {"referrals": list(referrals)})


async def derived(connection: AsyncConnection, referrals: Sequence[str], now: datetime) -> list[Owned]:
    """Return the contributions of these referrals, derived from the register."""
    return [
        Owned(each.life.referral, each.program, contribution)
        for each in await lives(connection, referrals, now)
        for contribution in contributions(each.life, each.terms.zone)
    ]


async def forget_all(connection: AsyncConnection) -> None:
    """Delete every contribution and sum, and note every referral: all are derived anew."""
    await lock(connection, Lock.MEASURES)
    await connection.execute(_FORGET)
    await connection.execute(_NOTE_ALL)


async def _remove(connection: AsyncConnection, kept: Iterable[Kept], fresh: Iterable[Owned]) -> None:
    """Delete what is stored and no longer derived. Of equal contributions as many stay as are derived."""
    wanted = Counter(fresh)
    gone = []
    for each in kept:
        if wanted[each.owned]:
            wanted[each.owned] -= 1
        else:
            gone.append(each.id)
    if gone:
        await connection.execute(_DELETE, {"ids": gone})


async def _add(connection: AsyncConnection, new: Counter[Owned]) -> None:
    rows = list(new.elements())
    if rows:
        whose = {"referrals": [each.referral for each in rows], "programs": [each.program for each in rows]}
        await connection.execute(_INSERT, {**whose, **_columns([each.its for each in rows])})


async def _sum_up(connection: AsyncConnection, before: Iterable[Owned], after: Iterable[Owned]) -> None:
    """Change the daily sums by what the contributions changed by."""
    changes: defaultdict[tuple[str, Contribution], list[int]] = defaultdict(lambda: [0, 0])
    for sign, each in [*((-1, each) for each in before), *((1, each) for each in after)]:
        change = changes[each.program, each.its._replace(n=0, amount=0)]
        change[0] += sign * each.its.n
        change[1] += sign * each.its.amount
    differ = {key: change for key, change in sorted(changes.items()) if any(change)}
    if differ:
        rows = [its._replace(n=n, amount=amount) for (_, its), (n, amount) in differ.items()]
        await connection.execute(_SUM, {"programs": [program for program, _ in differ], **_columns(rows)})


def _columns(rows: Sequence[Contribution]) -> Mapping[str, list[object]]:
    return {
        "figures": [each.figure.value for each in rows],
        "parts": [each.part for each in rows],
        "currencies": [each.currency for each in rows],
        "days": [each.day for each in rows],
        "ns": [each.n for each in rows],
        "amounts": [each.amount for each in rows],
    }


_TAKE: Final = text("""
DELETE FROM to_measure WHERE id IN (SELECT id FROM to_measure ORDER BY id LIMIT :limit) RETURNING referral_id
""")

_STORED: Final = text("""
SELECT id, referral_id, program, figure, part, currency, day, n, amount
FROM measured_contribution WHERE referral_id = ANY(CAST(:referrals AS text[])) ORDER BY id
""")

_DELETE: Final = text("DELETE FROM measured_contribution WHERE id = ANY(CAST(:ids AS bigint[]))")

_ROWS: Final = """CAST(:figures AS text[]), CAST(:parts AS text[]), CAST(:currencies AS text[]),
    CAST(:days AS date[]), CAST(:ns AS bigint[]), CAST(:amounts AS bigint[])"""

_INSERT: Final = text(f"""
INSERT INTO measured_contribution (referral_id, program, figure, part, currency, day, n, amount)
SELECT * FROM unnest(CAST(:referrals AS text[]), CAST(:programs AS text[]), {_ROWS})
""")  # noqa: S608 (words of ours)

_SUM: Final = text(f"""
INSERT INTO measured_total AS total (program, figure, part, currency, day, n, amount)
SELECT * FROM unnest(CAST(:programs AS text[]), {_ROWS})
ON CONFLICT (program, day, figure, part, currency)
DO UPDATE SET n = total.n + excluded.n, amount = total.amount + excluded.amount
""")  # noqa: S608 (words of ours)

_FORGET: Final = text("""
WITH notes AS (DELETE FROM to_measure), contributions AS (DELETE FROM measured_contribution)
DELETE FROM measured_total
""")
_NOTE_ALL: Final = text("INSERT INTO to_measure (referral_id) SELECT id FROM referral WHERE status IS NOT NULL")
