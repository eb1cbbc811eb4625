"""Facts: what happened outside, as CloudEvents 1.0 (SPEC §3).

``Event`` is a fact as its source sent it. ``Fact`` is the same fact as the register stores it: public fields in plain
text, people only as marks (`identity.py`). The payload of each type is in `payloads.py`.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError

from referral_rewards.domain import money
from referral_rewards.domain.errors import FactInvalid, Problem, none_of
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.payloads import (
    PAYLOADS,
    PERSON_PART,
    Amended,
    Claimed,
    Disputed,
    FactType,
    Part,
    Rated,
    Recorded,
    ReversalKind,
    Reversed,
)
from referral_rewards.domain.validation import problems_of

#: A fact dated further ahead of our clock than this is refused: its source's clock is wrong.
CLOCK_SKEW_MAX: Final = timedelta(minutes=5)
#: A fact dated before this is refused: nothing that a program rewards is so old. The calendar begins with the year 1
#: and has no local time for its first hours in some zones, so a period from there could not be calculated.
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
#: A source and an id share one index entry, which Postgres limits to 2704 bytes.
_NAME_BYTES_MAX: Final = 1000
#: The namespace for fact ids derived from (source, id); the same in every installation.
_FACT_NAMESPACE: Final = UUID("4f0f6cf5-9f0b-5f3e-8d0a-3f1f5b8f6d10")
_NAMESPACE_HASH: Final = hashlib.sha1(_FACT_NAMESPACE.bytes, usedforsecurity=False)
_encode: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class Event:
    """A well-formed fact as its source sent it; ``content`` is all of its data, personal data included.

    ``public`` are the declared fields that were sent, as JSON values. Serialised once here, both forms serve whoever
    files, stores or compares the fact.
    """

    fact_id: UUID  # its id in our register, the same however often it is sent
    source: str
    event_id: str
    type: FactType
    occurred_at: datetime
    data: Mapping[str, Any]
    content: str  # ``data`` in canonical JSON
    public: dict[str, Any]
    public_content: str  # ``public`` in JSON, as it is stored
    warnings: tuple[Problem, ...] = ()  # what is taken as it is and has less effect than its sender may think

    def marks(self, marker: identity.Marker) -> frozenset[str]:
        """Return the marks of the person this fact is about, including a conversion's instrument and device."""
        part = PERSON_PART.get(self.type)
        if part is None:
            return frozenset()
        person = self.data if part == "" else self.data.get(part)
        person = person if isinstance(person, Mapping) else None
        if self.type is FactType.CONVERSION_RECORDED:
            beside = {key: self.data.get(key) for key in ("payment_fingerprint", "ip", "device", "user_agent")}
            return marker.marks(person, beside)
        return marker.marks(person)


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact as the register stores it and every rule reads it.

    ``data`` has only the public fields of its type. ``marks`` identify the person it is about. ``awaits_stragglers`` is
    False for a fact of a finished file or batch, because no related fact is still to come (SPEC §4 Closing).
    ``digest`` is the salted commitment that evidence cites.
    """

    id: UUID
    source: str
    event_id: str
    type: FactType
    occurred_at: datetime
    received_at: datetime
    data: Mapping[str, Any]
    marks: frozenset[str] = frozenset()
    digest: str = ""
    awaits_stragglers: bool = True

    @property
    def order(self) -> str | None:
        return self.data.get("order")

    @property
    def identity(self) -> frozenset[str]:
        """The marks that decide which person's conversion this is."""
        return identity.of_kinds(self.marks, identity.IDENTITY_KINDS)

    @property
    def precedence(self) -> tuple[datetime, str, str]:
        """The sort key of facts; it does not depend on the order in which they arrived."""
        return (self.occurred_at, self.source, self.event_id)


def parse_event(document: Any) -> Event:
    """Read a CloudEvent (decoded JSON) as an `Event`.

    Raises:
        FactInvalid: with every problem found.
    """
    if not isinstance(document, Mapping):
        raise FactInvalid([Problem("", "a fact is a JSON object (CloudEvents 1.0)")])
    problems: list[Problem] = []
    if document.get("specversion") != "1.0":
        problems.append(Problem("specversion", 'must be "1.0"'))
    for name in ("id", "source"):
        value = document.get(name)
        if not isinstance(value, str) or not value or len(value) > 500:
            problems.append(Problem(name, "must be a text of 1 to 500 characters"))
        elif not value.isprintable():
            problems.append(Problem(name, "holds a character that can't be printed"))
        elif len(value.encode()) > _NAME_BYTES_MAX:
            problems.append(Problem(name, f"must be a text of at most {_NAME_BYTES_MAX} bytes in UTF-8"))
        elif name == "source" and (why := identity.source_problem(value)) is not None:
            problems.append(Problem(name, why))
    occurred_at = _instant(document.get("time"), problems)
    data = document.get("data")
    if not isinstance(data, Mapping):
        problems.append(Problem("data", "must be an object"))
        data = {}
    payload: Part | None = None
    try:
        fact_type = FactType(document.get("type"))  # type: ignore[arg-type]
    except ValueError:
        problems.append(Problem("type", _no_type(document.get("type"))))
    else:
        try:
            payload = PAYLOADS[fact_type].model_validate(data)
        except ValidationError as error:
            problems += problems_of(error, lambda path: ".".join(("data", *map(str, path))))
        else:
            problems += _meaning(payload)
    content = _canonical(data, problems)
    if problems or payload is None or occurred_at is None:
        raise FactInvalid(problems)
    source, event_id = document["source"], document["id"]
    return Event(
        fact_id=_fact_id(source, event_id),
        source=source,
        event_id=event_id,
        type=fact_type,
        occurred_at=occurred_at,
        data=data,
        content=content,
        public=payload.model_dump(mode="json", exclude_none=True, exclude_unset=True),
        public_content=payload.model_dump_json(exclude_none=True, exclude_unset=True),
        warnings=tuple(_warnings(payload)),
    )


def too_far_ahead(event: Event, received_at: datetime) -> Problem | None:
    """Return the problem of a fact whose source's clock is ahead of ours, or None."""
    if event.occurred_at - received_at > CLOCK_SKEW_MAX:
        return Problem("time", "is more than five minutes ahead of our clock")
    return None


def _fact_id(source: str, event_id: str) -> UUID:
    """Return the UUIDv5 of (source, id) in our namespace; the namespace is hashed once for all facts."""
    hashed = _NAMESPACE_HASH.copy()
    hashed.update(f"{source}\x00{event_id}".encode())
    return UUID(bytes=hashed.digest()[:16], version=5)


def _canonical(data: Mapping[str, Any], problems: list[Problem]) -> str:
    """Return ``data`` as JSON with sorted keys. What a database can't store (NUL, lone surrogate, NaN) is a problem."""
    try:
        content = _encode(data)
        content.encode()
    except (ValueError, RecursionError):
        problems.append(Problem("data", "holds a number or text that JSON in UTF-8 can't carry"))
        return ""
    if r"\u0000" in content.replace(r"\\", ""):
        problems.append(Problem("data", "holds a NUL character"))
    return content


def _instant(value: Any, problems: list[Problem]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        problems.append(Problem("time", spreadsheets_date(value) or f"is required, in RFC 3339 with an {_EXAMPLE}"))
        return None
    if moment.tzinfo is None:
        problems.append(Problem("time", f"needs an {_EXAMPLE}"))
        return None
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        problems.append(Problem("time", "lies outside the calendar"))
        return None
    if moment < _EARLIEST:
        problems.append(Problem("time", "lies before 1900"))
        return None
    return moment


#: The end of a sentence about a moment.
_EXAMPLE: Final = "offset, for example 2026-06-01T14:00:00Z"
_BY_SPREADSHEETS: Final = re.compile(
    r"(\d{1,2}([./-])\d{1,2}\2\d{2,4}|\d{4}([./])\d{1,2}\3\d{1,2})"
    r"(,? +\d{1,2}:\d{2}(:\d{2})?( *[AaPp]\.?[Mm]\.?)?)?|\d{5}([.,]\d+)?"
)


def spreadsheets_date(value: Any) -> str | None:
    """The problem of a moment as a spreadsheet writes it, or None. Which of its numbers is the month is not guessed."""
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if not _BY_SPREADSHEETS.fullmatch(text):
        return None
    return f"{text!r} is written as spreadsheets do; write year-month-day, T and the time with an {_EXAMPLE}"


def _no_type(given: Any) -> str:
    return f"is required, one of {', '.join(FactType)}" if given is None else none_of(str(given), FactType)


def _meaning(payload: Part) -> list[Problem]:
    """Check the rules between fields."""
    if isinstance(payload, Claimed) and payload.referral is None:
        found = []
        if payload.program is None:
            found.append(Problem("data.program", "is required where no referral is named"))
        if payload.referrer is None and payload.referrer_code is None:
            found.append(Problem("data.referrer", "or data.referrer_code is required where no referral is named"))
        return found
    if isinstance(payload, Recorded) and payload.amount is not None:
        if payload.currency is None:
            return [Problem("data.currency", "is required beside an amount")]
        if not money.fits(Decimal(payload.amount), payload.currency):
            return [Problem("data.amount", f"{payload.amount} has more decimals than {payload.currency} has")]
    if isinstance(payload, Rated) and not 1 <= payload.score <= 5:
        return [Problem("data.score", "must be 1 to 5")]
    return []


def _warnings(payload: Part) -> Iterator[Problem]:
    """Yield what is recorded as it came, but may not mean what its sender thinks."""
    if isinstance(payload, Reversed) and payload.kind not in set(ReversalKind):
        yield Problem("data.kind", f"{none_of(payload.kind, ReversalKind)}; it counts as a reversal all the same")
    if isinstance(payload, Amended | Reversed | Disputed) and _too_fine(payload.amount, payload.currency):
        told = f"{payload.amount} has more decimals than {payload.currency} has: it takes nothing by itself"
        yield Problem("data.amount", told)


def _too_fine(amount: str | None, currency: str | None) -> bool:
    return amount is not None and currency is not None and not money.fits(Decimal(amount), currency)
