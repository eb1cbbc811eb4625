"""Reads ids, amounts and moments out of a vendor's object, in the forms in which vendors write them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NoReturn

from referral_rewards.domain import money
from referral_rewards.vendors.port import Unreadable
from referral_rewards.vendors.reading import part

_DAY_LENGTH: Final = len("2026-06-01")
_NO_JSON: Final = "send the events of this vendor to this address, as JSON"


def document(body: bytes) -> Any:
    """Return the JSON of a body. Numbers with a fraction are texts, as they were written: no amount becomes a float.

    Raises:
        Unreadable: if it is no JSON.
    """
    try:
        return json.loads(body, parse_float=str, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Unreadable("", "the body is no JSON", _NO_JSON) from None


def as_told(found: object) -> bytes:
    """Return a part of a vendor's JSON as the body of an event, equal ones alike. Half of a surrogate pair stays an
    escape: it is left where a text was cut within an emoji, and can't stand in UTF-8."""
    return json.dumps(found, sort_keys=True).encode()


def objects(within: object, *path: str) -> list[Mapping[str, Any]]:
    """Return the objects of the list at a path; none if there is no list."""
    found = part(within, *path)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def name(within: object, *path: str) -> str | None:
    """Return the id or other text at a path; a whole number is an id too. None if there is none."""
    found = part(within, *path)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return (found.strip() or None) if isinstance(found, str) else None


def needed_name(within: object, *path: str) -> str:
    """Return the same.

    Raises:
        Unreadable: if there is none.
    """
    found = name(within, *path)
    if found is None:
        raise Unreadable(".".join(path), "is missing", "send the whole object, without a selection of its fields")
    return found


def decimal(within: object, *path: str) -> Decimal:
    """Return the amount at a path, also a negative one; zero if there is none.

    Raises:
        Unreadable: if it is no decimal number.
    """
    found = name(within, *path)
    try:
        return Decimal(0) if found is None else money.parse_decimal(found)
    except ValueError:
        raise Unreadable(".".join(path), "is no amount", 'it should be a decimal such as "80.00"') from None


def moment(within: object, *path: str) -> datetime | None:
    """Return the moment at a path: ISO 8601 with an offset, or milliseconds since 1970. A day is its start in UTC.

    Raises:
        Unreadable: if something else stands there.
    """
    found = name(within, *path)
    try:
        return None if found is None else _moment(found)
    except (ValueError, OverflowError, OSError):
        right = "it should be ISO 8601 with an offset, or milliseconds since 1970"
        raise Unreadable(".".join(path), "is no moment", right) from None


def first_moment(within: object, *names: str) -> datetime:
    """Return the first of these moments that is there.

    Raises:
        Unreadable: if none is.
    """
    for each in names:
        if (found := moment(within, *each.split("."))) is not None:
            return found
    raise Unreadable(names[0], "is missing", "send the whole object, without a selection of its fields")


def _moment(text: str) -> datetime:
    if text.isascii() and text.isdecimal():
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    found = datetime.fromisoformat(text)
    if found.tzinfo is None and len(text) > _DAY_LENGTH:
        raise ValueError(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)
