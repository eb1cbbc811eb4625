"""Compares two versions of terms, value by value."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from referral_rewards.domain.programs.terms import Terms


class Said(NamedTuple):
    """One value of the terms, by its path: ``rewards.referrer.tiers.0.amount`` is ``25.00``."""

    path: str
    value: str


class Changed(NamedTuple):
    """One path at which two versions differ; None for a version that has no value there."""

    path: str
    before: str | None
    after: str | None


def said(terms: Terms) -> list[Said]:
    """Return every value of the terms in the order of their sections, defaults included; empty ones are left out."""
    return [Said(".".join(path), value) for path, value in _values((), terms.canonical())]


def changes(before: Terms, after: Terms) -> list[Changed]:
    """Return every path at which they differ, in the order of the newer version; removed values come last."""
    old, new = dict(said(before)), dict(said(after))
    paths = dict.fromkeys((*new, *old))
    return [Changed(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)]


def _values(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    match value:
        case None:
            return
        case dict():
            for name, each in value.items():
                yield from _values((*path, name), each)
        case list() if any(isinstance(each, dict) for each in value):
            for place, each in enumerate(value):
                yield from _values((*path, str(place)), each)
        case list():
            if value:
                yield path, ", ".join(map(str, value))
        case bool():
            yield path, "yes" if value else "no"
        case _:
            yield path, str(value)
