"""What is kept of an erasing outside of PostgreSQL, so that a restored register erases the person again. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

#: After a restore sources tell again what was lost. For so long the person is erased again each time.
TOLD_AGAIN_FOR: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class KeptErasing:
    """An erasing by ids and keyed hashes, of which nobody reads a person. No text, no name of staff.

    The keyed hashes are kept no longer than the backups that hold them anyway.
    """

    id: UUID
    names: tuple[str, ...]
    asked_at: datetime


def told_again_until(restored_at: datetime | None) -> datetime | None:
    """Return until when sources may tell again of a person whose erasing a restored register lacked; None if it did
    not."""
    return None if restored_at is None else restored_at + TOLD_AGAIN_FOR
