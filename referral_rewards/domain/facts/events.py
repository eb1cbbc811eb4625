"""Facts: what happened outside, as CloudEvents 1.0 (SPEC §3).

``Event`` is a fact as its source sent it. ``Fact`` is the same fact as the register stores it: public fields in plain
text, people only as marks (`identity.py`). The payload of each type is in `payloads.py`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json

from referral_rewards.domain import money
from referral_rewards.domain.errors import FactInvalid, Problem, none_of
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.checks import doubts_of, instant, rule_problems
from referral_rewards.domain.facts.cloud_events import data_of
from referral_rewards.domain.facts.fields import unknown_fields
from referral_rewards.domain.facts.ids import event_id_problem, source_problem
from referral_rewards.domain.facts.intake_warnings import FactWarning
from referral_rewards.domain.facts.payloads import PAYLOADS, PERSON_PART, FactType, Part, person_of
from referral_rewards.domain.validation import problems_of

#: A fact dated further ahead of our clock than this is refused: its source's clock is wrong.
CLOCK_SKEW_MAX: Final = timedelta(minutes=5)
#: The namespace for fact ids derived from (source, id); the same in every installation.
_FACT_NAMESPACE: Final = UUID("4f0f6cf5-9f0b-5f3e-8d0a-3f1f5b8f6d10")
_NAMESPACE_HASH: Final = hashlib.sha1(_FACT_NAMESPACE.bytes, usedforsecurity=False)
#: Facts that may say beside the person what they were seen with.
_SEEN_BESIDE: Final = frozenset({FactType.CONVERSION_RECORDED, FactType.REFERRAL_CLAIMED})
#: What identifies a fact, and what each of them may be.
_NAMES: Final = (("id", event_id_problem), ("source", source_problem))
#: The type that decoded JSON has comes first: asking an abstract class takes longer.
_OBJECT: Final = (dict, Mapping)
_encode: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class Event(NamedTuple):
    """A well-formed fact as its source sent it; ``content`` is all of its data, personal data included.

    ``public`` are the declared fields that were sent, as JSON values. Serialised once here, both forms serve whoever
    files, stores or compares the fact.
    """

    id: str  # its id in our register, a UUID as text; the same however often it is sent
    source: str
    event_id: str
    type: FactType
    occurred_at: datetime
    data: Mapping[str, Any]
    content: str  # ``data`` in canonical JSON
    public: dict[str, Any]
    public_content: str  # ``public`` in JSON, as it is stored
    warnings: tuple[FactWarning, ...] = ()  # those that need nothing but the fact itself

    @property
    def fact_id(self) -> UUID:
        """Its id in our register."""
        return UUID(self.id)

    @property
    def said(self) -> str:
        """``content`` with its amount in one form: a retry that writes 100.0 for 100.00 says the same."""
        written = self.public.get("amount")
        if written is None or (amount := money.written(money.parse_decimal(written))) == written:
            return self.content
        return _encode({**self.data, "amount": amount})

    def marks(self, marker: identity.Marker) -> frozenset[str]:
        """Return the marks of the person this fact is about, including a conversion's instrument and device."""
        person = person_of(self.type, self.data)
        if self.type not in PERSON_PART:
            return frozenset()
        if self.type in _SEEN_BESIDE:
            beside = {key: self.data.get(key) for key in ("payment_fingerprint", "ip", "device", "user_agent")}
            return marker.marks(person, beside, source=self.source) | marker.aliases(person)
        return marker.marks(person, source=self.source) | marker.aliases(person)


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
        """The marks that decide which person's conversion this is, as `identity.links` compares them."""
        return identity.of_kinds(self.marks, (*identity.IDENTITY_KINDS, identity.ALIAS))

    @property
    def precedence(self) -> tuple[datetime, str, str]:
        """The sort key of facts; it does not depend on the order in which they arrived."""
        return (self.occurred_at, self.source, self.event_id)


def parse_event(document: Any) -> Event:
    """Read a CloudEvent (decoded JSON) as an `Event`.

    Raises:
        FactInvalid: with every problem found.
    """
    if not isinstance(document, _OBJECT):
        raise FactInvalid([Problem("", "a fact is a JSON object (CloudEvents 1.0)")])
    problems: list[Problem] = []
    if document.get("specversion") != "1.0":
        problems.append(Problem("specversion", 'must be "1.0"'))
    for name, problem_of in _NAMES:
        if (wrong := problem_of(document.get(name))) is not None:
            problems.append(Problem(name, wrong))
    occurred_at = instant(document.get("time"), problems)
    data = data_of(document, problems)
    if not isinstance(data, _OBJECT):
        problems.append(Problem("data", "must be an object"))
        data = {}
    fact_type = _type(document.get("type"), problems)
    payload = None if fact_type is None else _payload(fact_type, data, problems)
    content = _canonical(data, problems)
    if problems or fact_type is None or payload is None or occurred_at is None:
        raise FactInvalid(problems)
    source, event_id = document["source"], document["id"]
    public_content = payload.model_dump_json(exclude_none=True, exclude_unset=True)
    return Event(
        id=_fact_id(source, event_id),
        source=source,
        event_id=event_id,
        type=fact_type,
        occurred_at=occurred_at,
        data=data,
        content=content,
        public=from_json(public_content),
        public_content=public_content,
        warnings=(*doubts_of(payload), *unknown_fields(fact_type, data)),
    )


def too_far_ahead(event: Event, received_at: datetime) -> Problem | None:
    """Return the problem of a fact whose source's clock is ahead of ours, or None."""
    if event.occurred_at - received_at > CLOCK_SKEW_MAX:
        return Problem("time", "is more than five minutes ahead of our clock")
    return None


def _type(told: Any, problems: list[Problem]) -> FactType | None:
    """Return the type of a fact. If there is none of that name, that is added to ``problems``."""
    try:
        return FactType(told)
    except ValueError:
        missing = f"is required, one of {', '.join(FactType)}"
        problems.append(Problem("type", missing if told is None else none_of(str(told), FactType)))
        return None


def _payload(fact_type: FactType, data: Mapping[str, Any], problems: list[Problem]) -> Part | None:
    """Return what a fact says, if its fields have their forms. What breaks a rule is added to ``problems``."""
    try:
        payload = PAYLOADS[fact_type].model_validate(data)
    except ValidationError as error:
        problems += problems_of(error, lambda path: ".".join(("data", *map(str, path))))
        return None
    problems += rule_problems(payload)
    return payload


def _fact_id(source: str, event_id: str) -> str:
    """Return the UUIDv5 of (source, id) in our namespace, as text; the namespace is hashed once for all facts."""
    hashed = _NAMESPACE_HASH.copy()
    hashed.update(f"{source}\x00{event_id}".encode())
    hexed = hashed.hexdigest()
    return f"{hexed[:8]}-{hexed[8:12]}-5{hexed[13:16]}-{_VARIANT[hexed[16]]}{hexed[17:20]}-{hexed[20:32]}"


#: A hex digit with its first two bits set to those of RFC 9562's variant.
_VARIANT: Final = {f"{digit:x}": f"{digit & 0b0011 | 0b1000:x}" for digit in range(16)}


def _canonical(data: Mapping[str, Any], problems: list[Problem]) -> str:
    """Return ``data`` as JSON with sorted keys. What a database can't store (NUL, lone surrogate, NaN) is a problem."""
    try:
        content = _encode(data)
        if not content.isascii():
            content.encode()
    except (ValueError, RecursionError):
        problems.append(Problem("data", "holds a number or text that JSON in UTF-8 can't carry"))
        return ""
    if r"\u0000" in content and r"\u0000" in content.replace(r"\\", ""):
        problems.append(Problem("data", "holds a NUL character"))
    return content
