"""What became of decisions: carried out, void or forged. Effects are not signed: none takes a denial or hold back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.register import typed_rows


class Effect(NamedTuple):
    """The effect of a decision, ``applied``, ``void`` or ``forged``, since when and why."""

    decision_id: UUID
    effect: str
    at: datetime
    why: str


async def record(connection: AsyncConnection, decisions: Sequence[UUID], effect: str, at: datetime, why: str) -> None:
    """Record the effect of decisions. Repeating the call changes nothing."""
    if decisions:
        noted = {"ids": [str(each) for each in decisions], "effect": effect, "at": at, "why": why}
        await connection.execute(_RECORD, noted)


async def of(connection: AsyncConnection, decisions: Sequence[UUID]) -> Sequence[Effect]:
    """Return the recorded effects of decisions, oldest first."""
    return await typed_rows.read(connection, Effect, _OF, {"ids": list(decisions)})


#: Records an effect, as `record` does; also a part of a larger statement.
NOTE_EFFECT: Final = """
INSERT INTO decision_effect (decision_id, effect, at, why)
SELECT id, :effect, :at, :why FROM unnest(CAST(:ids AS uuid[])) AS decided(id) ON CONFLICT DO NOTHING
"""
_RECORD: Final = text(NOTE_EFFECT)

_OF: Final = text("""
SELECT decision_id, effect, at, why FROM decision_effect
WHERE decision_id = ANY(CAST(:ids AS uuid[])) ORDER BY at
""")
