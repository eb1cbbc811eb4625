"""What people type into fields, as values."""

from datetime import date

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
