"""Who told a fact: their row, which facts of one teller share until what they may tell changes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.facts.rights import Teller

_NAMESPACE: Final = UUID("9c3f3f0e-2f1c-5c55-9f0a-6f1d5a2f7b11")


def columns(teller: Teller) -> dict[str, Any]:
    """Return the parameters of a statement that stores facts of this teller; ``teller`` is None for ourselves."""
    user, token, may = teller
    sources, types = sorted(may.sources), sorted(may.types)
    said = "\x00".join((user or "", str(token), *sources, "", *types))
    return {
        "teller": None if user is None else uuid5(_NAMESPACE, said),
        "teller_user": user or "",
        "teller_token": token,
        "teller_sources": sources,
        "teller_types": types,
    }


def of_referrals(referrals: str) -> str:
    """Return the expression for the users who told a fact of any of the referrals that a query selects, with their
    marks, as `told_by` reads it."""
    return f"""coalesce((
        SELECT json_object_agg(u.name, u.marks) FROM app_user u WHERE u.name IN (
            SELECT t.username FROM ({referrals}) AS its(id) JOIN referral_fact rf ON rf.referral_id = its.id
            JOIN fact f ON f.id = rf.fact_id JOIN fact_teller t ON t.id = f.teller_id)
    ), '{{}}')"""  # noqa: S608 (queries of ours alone)


def told_by(found: Mapping[str, Sequence[str]]) -> Mapping[str, frozenset[str]]:
    """Return users with their marks from what `of_referrals` finds."""
    return {name: frozenset(marks) for name, marks in found.items()}


async def of_cycle(connection: AsyncConnection, cycle: UUID) -> Mapping[str, frozenset[str]]:
    """Return the users who told a fact of any referral that a payout cycle pays, with their marks."""
    return told_by((await connection.execute(_OF_CYCLE, {"id": cycle})).scalar_one())


_PAID_BY_CYCLE: Final = """
SELECT l.referral_id FROM payout p JOIN payout_leg pl ON pl.payout_id = p.id JOIN leg l ON l.id = pl.leg_id
WHERE p.cycle_id = :id AND pl.live
"""
_OF_CYCLE: Final = text(f"SELECT {of_referrals(_PAID_BY_CYCLE)}")
