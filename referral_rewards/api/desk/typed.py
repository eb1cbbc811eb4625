"""What people type into fields, as values."""

from datetime import date
from uuid import UUID

from referral_rewards.domain.errors import RequestInvalid


def day_in(typed: str, field: str) -> date | None:
    """The day in a form's field; None if it was left empty.

    Raises:
        RequestInvalid: if it is no day.
    """
    if not typed.strip():
        return None
    try:
        return date.fromisoformat(typed.strip())
    except ValueError:
        raise RequestInvalid(f"{typed!r} is no day such as 2026-07-01", field) from None


def words_in(**typed: str) -> dict[str, str]:
    """What a list is searched by, by the names of its fields, as PostgreSQL takes it."""
    return {name: value.replace("\0", "").strip() for name, value in typed.items()}


def id_in(typed: str) -> UUID | None:
    """The place in a list that an address names; None, its beginning, for one that names none."""
    try:
        return UUID(typed) if typed else None
    except ValueError:
        return None
