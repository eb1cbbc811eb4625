"""The list of a cycle: its digest, which finance signs to release it, and its totals.

A leg that leaves its payout after the list was frozen stays listed, so that the digest never changes. A cycle may pay
less than its list, and never more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled, statement
from referral_rewards.domain.cycles.grouping import ListDigest, line_of
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import AT_REST, PayoutState
from referral_rewards.register import typed_rows


@dataclass(frozen=True, slots=True)
class CycleList:
    """A cycle's current list: its digest, and totals by rail and currency: payouts, legs, and the amount to send."""

    digest: str
    totals: Sequence[Mapping[str, Any]]


class _Line(NamedTuple):
    id: UUID
    payee: str
    rail: str
    currency: str
    legs: tuple[UUID, ...]
    amounts: tuple[int, ...]

    @property
    def digest(self) -> str:
        return line_of(self.id, self.payee, self.rail, self.currency, zip(self.legs, self.amounts, strict=True))


async def load(connection: AsyncConnection, cycle: UUID) -> CycleList:
    """Return the cycle's current list."""
    totals = [dict(row._mapping) for row in await connection.execute(_TOTALS, {"cycle": cycle})]
    return CycleList(await digest_of(connection, cycle), totals)


async def digest_of(connection: AsyncConnection, cycle: UUID) -> str:
    """Return the digest of the cycle's current list; it is streamed, so the list may be long."""
    return (await _read(connection, cycle))[0]


async def lists(connection: AsyncConnection, payout: Payout) -> bool:
    """Return whether a payout is on the frozen list of its cycle, exactly as its row says.

    Finance signs the digest of the whole list. The digest is computed once for each list, not for each payout.
    """
    cycle = (await connection.execute(_DIGEST, {"cycle": payout.cycle_id})).one()
    if cycle.digest not in _FROZEN:
        digest, lines = await _read(connection, cycle.id)
        if digest != cycle.digest:
            return False
        if len(_FROZEN) >= _FROZEN_MAX:
            _FROZEN.pop(next(iter(_FROZEN)))
        _FROZEN[digest] = lines
    line = await typed_rows.read_one(connection, _Line, _LINE, {"payout": payout.id})
    return line is not None and _FROZEN[cycle.digest].get(payout.id) == line.digest


#: A cache of lists' lines by digest. The digest covers every line, so an entry is never out of date.
_FROZEN: Final[dict[str, Mapping[UUID, str]]] = {}
_FROZEN_MAX: Final = 4


async def _read(connection: AsyncConnection, cycle: UUID) -> tuple[str, Mapping[UUID, str]]:
    digest, lines = ListDigest(), {}
    async for row in await connection.stream(_LIST, {"cycle": cycle}):
        line = typed_rows.of(_Line, row)
        lines[line.id] = line.digest
        digest.add(line.digest)
    return digest.hexdigest(), lines


async def outcome(connection: AsyncConnection, cycle: UUID) -> list[dict[str, Any]]:
    """Return totals of the payouts by state and currency."""
    return [dict(row._mapping) for row in await connection.execute(_OUTCOME, {"cycle": cycle})]


async def over(connection: AsyncConnection, cycle: UUID) -> bool:
    """Return whether every payout of the cycle is at rest."""
    return not (await connection.execute(_MOVING, {"cycle": cycle})).scalar_one()


_LINES: Final = """
SELECT p.id, p.payee, p.rail, p.currency, listed.legs, listed.amounts
FROM payout p CROSS JOIN LATERAL (
    SELECT array_agg(l.id) AS legs, array_agg(l.amount_minor) AS amounts
    FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = p.id
) AS listed
"""

_LIST: Final = text(_LINES + "WHERE p.cycle_id = :cycle AND listed.legs IS NOT NULL ORDER BY p.id")

_LINE: Final = text(_LINES + "WHERE p.id = :payout AND listed.legs IS NOT NULL")

_DIGEST: Final = text("SELECT id, digest FROM payout_cycle WHERE id = :cycle")

_TOTALS: Final = statement(
    """
SELECT p.rail, p.currency, count(*) AS payouts, CAST(sum(listed.legs) AS bigint) AS legs,
       CAST(sum(p.amount_minor) AS bigint) AS amount_minor
FROM payout p CROSS JOIN LATERAL (
    SELECT count(*) AS legs FROM payout_leg pl WHERE pl.payout_id = p.id AND pl.live
) AS listed
WHERE p.cycle_id = :cycle AND p.state <> :cancelled GROUP BY 1, 2 ORDER BY 1, 2
""",
    cancelled=PayoutState.CANCELLED,
)

_OUTCOME: Final = text("""
SELECT state, currency, count(*) AS payouts, CAST(sum(amount_minor) AS bigint) AS amount_minor
FROM payout WHERE cycle_id = :cycle GROUP BY 1, 2 ORDER BY 1, 2
""")

_MOVING: Final = text(
    spelled(
        """
SELECT EXISTS (
    SELECT 1 FROM payout WHERE cycle_id = :cycle
      AND state NOT IN :at_rest
)
""",
        at_rest=AT_REST,
    )
)
