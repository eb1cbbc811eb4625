"""Reads values out of a vendor's object. What has another form than the vendor documents is unreadable."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from referral_rewards.vendors.port import Unreadable

_EARLIEST, _LATEST = 0, 253_402_300_799


def part(document: object, *path: str) -> Any:
    """Return the value at a path, None if there is none."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def word(document: object, *path: str) -> str | None:
    """Return the text at a path, None if nothing stands there.

    Raises:
        Unreadable: if something else stands there.
    """
    found = part(document, *path)
    if found is None or found == "":
        return None
    if not isinstance(found, str):
        raise Unreadable(".".join(path), "is no text", _DOCUMENTED)
    return found


def needed(document: object, *path: str) -> str:
    """Return the text at a path.

    Raises:
        Unreadable: if there is none.
    """
    found = word(document, *path)
    if found is None:
        raise Unreadable(".".join(path), "is missing", _DOCUMENTED)
    return found


def reference(document: object, *path: str) -> str | None:
    """Return the id of another object at a path: the id itself, or that of the object in its place (expanded)."""
    found = part(document, *path)
    return word(found, "id") if isinstance(found, Mapping) else word(document, *path)


def whole(document: object, *path: str, usual: int | None = None) -> int:
    """Return the whole number at a path, ``usual`` if nothing stands there.

    Raises:
        Unreadable: if there is none, or something else.
    """
    found = part(document, *path)
    if found is None and usual is not None:
        return usual
    if not isinstance(found, int) or isinstance(found, bool):
        raise Unreadable(".".join(path), "is missing" if found is None else "is no whole number", _DOCUMENTED)
    return found


def second(document: object, *path: str) -> datetime:
    """Return the instant at a path, which is a number of seconds since 1970.

    Raises:
        Unreadable: if there is none, or it lies outside the calendar.
    """
    found = whole(document, *path)
    if not _EARLIEST <= found <= _LATEST:
        raise Unreadable(".".join(path), "lies outside the calendar", "seconds since 1970")
    return datetime.fromtimestamp(found, UTC)


_DOCUMENTED: Final = "send the event in the form that its vendor documents"
