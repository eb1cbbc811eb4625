"""What a violated constraint means. Which one it is, the database says by its name; nobody guesses."""

from collections.abc import Mapping
from typing import TypeVar

from sqlalchemy.exc import IntegrityError

T = TypeVar("T")


def meaning(error: IntegrityError, known: Mapping[str, T]) -> T:
    """What the violated constraint means, by the names of those that whoever asks may violate.

    Raises:
        IntegrityError: the same error, where the constraint is none of them: it is a bug.
    """
    name = violated(error)
    if name is None or name not in known:
        raise error
    return known[name]


def violated(error: IntegrityError) -> str | None:
    """The name of the constraint or unique index; None where a trigger refused, which names none."""
    name: str | None = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return name
