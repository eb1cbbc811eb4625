"""What erasings are to be kept outside of the register, and which of those that are kept a restored register lacks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.persons.kept_outside import KeptErasing
from referral_rewards.register import audit, typed_rows

#: The act in the audit log; its subject is the erasing.
RESTORED: Final = "person.erasing_restored"
#: Who asks for the erasings that a restore lost.
FINDER: Final = "what is kept of erasings"


async def to_keep(connection: AsyncConnection, limit: int) -> Sequence[KeptErasing]:
    """Return erasings that are not kept yet: some that were asked for, or carried out since they were kept."""
    return await typed_rows.read(connection, KeptErasing, _TO_KEEP, {"limit": limit})


async def note_kept(connection: AsyncConnection, erasure: UUID, at: datetime) -> None:
    """Record that an erasing is kept outside."""
    await connection.execute(_KEPT, {"id": erasure, "at": at})


async def ask_again(connection: AsyncConnection, kept: Sequence[KeptErasing], at: datetime) -> int:
    """Ask again for each erasing that the register lacks, and return how many those were. Who is known by nothing here
    was forgotten with it: that is tried until sources have told again what was lost."""
    given = {
        "ids": [each.id for each in kept],
        "asked": [each.asked_at for each in kept],
        "by": FINDER,
        "at": at,
    }
    lacking = set((await connection.execute(_LACKING, given)).scalars())
    for each in kept:
        if each.id in lacking:
            row = {"id": each.id, "names": list(each.names), "asked_at": each.asked_at, "by": FINDER, "at": at}
            await connection.execute(_ASK, row)
            await audit.note(connection, actor=FINDER, act=RESTORED, subject=str(each.id), at=at)
    return len(lacking)


_TO_KEEP: Final = text("""
SELECT id, names, asked_at FROM person_erasure
WHERE kept_at IS NULL OR kept_at < erased_at ORDER BY asked_at, id LIMIT :limit
""")

_KEPT: Final = text("UPDATE person_erasure SET kept_at = CAST(:at AS timestamptz) WHERE id = :id")

_LACKING: Final = text("""
SELECT k.id FROM unnest(CAST(:ids AS uuid[])) AS k(id)
WHERE NOT EXISTS (SELECT 1 FROM person_erasure e WHERE e.id = k.id)
""")

# Tried at once: it was tried last before anything else.
_ASK: Final = text("""
INSERT INTO person_erasure (id, names, asked_by, asked_at, tried_at, restored_at)
VALUES (:id, :names, :by, CAST(:asked_at AS timestamptz), CAST(:asked_at AS timestamptz), CAST(:at AS timestamptz))
ON CONFLICT DO NOTHING
""")
