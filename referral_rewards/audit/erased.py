"""Whether the marks of a fact whose text was erased are its own, or went at the end of their retention.

Its envelope, of which marks are made, is gone. What stands instead is a seal over them, kept since the erasing, and
when they went, under which setting. Marks that are missing otherwise were removed by somebody.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

#: What is left of a mark: its kind and a random number.
_LEFT: Final = re.compile(r"(?!customer:)[a-z_]+:erased-[0-9a-f]{32}")
#: The shortest retention that the product takes.
_DAYS_MIN: Final = 30


@dataclass(frozen=True, slots=True)
class Erased:
    """What is on record of an erased fact: the seal over its marks, and when these went; ``asked`` is when its erasing
    was carried out, None if there is none on record."""

    seal: str
    asked: datetime | None
    removed_at: datetime | None
    paid_days: int | None
    unpaid_days: int | None


def erased(document: Mapping[str, Any] | None) -> Erased | None:
    """Return what a statement read by `ERASED`."""
    if document is None:
        return None
    at = {name: _instant(document[name]) for name in ("asked", "removed_at")}
    return Erased(document["seal"], at["asked"], at["removed_at"], document["paid_days"], document["unpaid_days"])


def is_left(mark: str) -> bool:
    """Whether a mark is what is left of one that went."""
    return _LEFT.fullmatch(mark) is not None


def problems(its: Erased | None, marks: Sequence[str], paid_at: datetime | None = None) -> Iterator[str]:
    """Yield in words why the marks of an erased fact are not believed. ``paid_at`` is when a reward that rests on it
    was paid last."""
    if its is None:
        yield "it counts as erased, and no erasing of it is on record"
        return
    salt, _, hashed = its.seal.partition(":")
    said = "".join(f"{mark}\n" for mark in sorted(marks)).encode()
    if hashlib.sha256(_bytes(salt) + said).hexdigest() != hashed:
        yield "its marks are not those that stood when its person was erased, or that were left of them"
    if its.removed_at is None:
        if any(map(is_left, marks)):
            yield "its marks are gone, and nothing on record says when and why"
        return
    if not all(is_left(mark) or mark.startswith("customer:") for mark in marks):
        yield "its marks count as gone, and are still there"
    yield from _unjustified(its, its.removed_at, paid_at)


def _unjustified(its: Erased, removed_at: datetime, paid_at: datetime | None) -> Iterator[str]:
    days = min(each or 0 for each in (its.paid_days, its.unpaid_days))
    if days < _DAYS_MIN:
        yield f"its marks went under a retention of {days} days; the shortest is {_DAYS_MIN}"
    if its.asked is None or removed_at < its.asked:
        yield f"its marks went at {removed_at.isoformat()}, before its person was erased"
    if paid_at is not None and removed_at < paid_at + timedelta(days=its.paid_days or 0):
        when = f"{removed_at.isoformat()}, though a reward was paid on it at {paid_at.isoformat()}"
        yield f"its marks went at {when} and the retention was {its.paid_days} days"


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _instant(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)


#: The document of `erased`, of the fact ``f``.
ERASED: Final = """(
    SELECT jsonb_build_object('seal', m.seal, 'asked', e.erased_at, 'removed_at', m.removed_at,
                              'paid_days', m.paid_days, 'unpaid_days', m.unpaid_days)
    FROM erased_mark m LEFT JOIN person_erasure e ON e.id = m.erasure WHERE m.fact_id = f.id
)"""
