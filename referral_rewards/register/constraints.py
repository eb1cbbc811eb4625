"""Translate a violated constraint into its meaning, by the name that the database reports."""

from collections.abc import Mapping
from typing import TypeVar

from sqlalchemy.exc import IntegrityError

T = TypeVar("T")


def meaning(error: IntegrityError, known: Mapping[str, T]) -> T:
    """Return the meaning of the violated constraint; ``known`` maps the constraints that the caller may violate.

    Raises:
        IntegrityError: the same error, if the constraint is not in ``known``: that is a bug.
    """
    name = violated(error)
    if name is None or name not in known:
        raise error
    return known[name]


def violated(error: IntegrityError) -> str | None:
    """Return the name of the constraint or unique index; None if a trigger refused, because it has no name."""
    name: str | None = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return name
