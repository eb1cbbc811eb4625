"""Small builders of facts: each goes through the parser, so that no test knows a fact which could not arrive.

A fact is received when it happens unless ``received`` says otherwise; ``backfilled`` makes them one finished file.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from referral_rewards.domain.facts.events import Fact, parse_event
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.programs.terms import Terms

ROOT = Path(__file__).parents[2]
MARKER = Marker(b"a pepper for tests only")
#: The smallest step of time: what lies a tick before a boundary is in, what lies at it is out.
TICK = timedelta(microseconds=1)
BRIE = {"email": "brie@example.com"}


def at(text: str) -> datetime:
    """An instant: ``2026-06-01`` is noon UTC of that day, anything longer is ISO 8601 in UTC."""
    moment = datetime.fromisoformat(text if len(text) > 10 else f"{text}T12:00:00")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def acme(**changes: Any) -> Terms:
    """The example program on UTC clocks; ``acme(periods__return="P0D")`` is the same with another return period."""
    document = yaml.safe_load((ROOT / "programs" / "acme-friends.yaml").read_text())
    for path, value in {"timezone": "UTC", **changes}.items():
        part, keys = document, path.split("__")
        for key in keys[:-1]:
            part = part.setdefault(key, {})
        part[keys[-1]] = value
    return Terms.model_validate(document)


def fact(type_: str, time: str | datetime, data: Mapping[str, Any], *, event_id: str | None = None,
         source: str = "test", received: str | datetime | None = None,
         awaits_stragglers: bool = True) -> Fact:  # fmt: skip
    """Any fact. Its id is derived from its content unless given: the same fact again is the same fact."""
    moment = at(time) if isinstance(time, str) else time
    # No id of a fact holds an address.
    event_id = event_id or json.dumps([type_, moment.isoformat(), data], sort_keys=True).replace("@", " at ")[:400]
    document = {"specversion": "1.0", "id": event_id, "source": source, "type": type_}
    return read({**document, "time": moment.isoformat(), "data": data}, received, awaits_stragglers)


def read(document: Mapping[str, Any], received: str | datetime | None = None, awaits_stragglers: bool = True) -> Fact:
    """A CloudEvent as the register would hold it."""
    event = parse_event(document)
    received_at = at(received) if isinstance(received, str) else received
    return Fact(
        id=event.fact_id,
        source=event.source,
        event_id=event.event_id,
        type=event.type,
        occurred_at=event.occurred_at,
        received_at=received_at or event.occurred_at,
        data=event.public,
        marks=event.marks(MARKER),
        digest=event.fact_id.hex,
        awaits_stragglers=awaits_stragglers,
    )


def read_lines(path: Path, received: str | datetime | None = None) -> list[Fact]:
    """The facts of a finished JSON lines file."""
    return [read(json.loads(line), received, awaits_stragglers=False) for line in path.read_text().splitlines()]


def backfilled(facts: Iterable[Fact], received: str | datetime = "2030-01-01") -> list[Fact]:
    """The same facts, arriving together in one finished file."""
    received_at = at(received) if isinstance(received, str) else received
    return [replace(each, received_at=received_at, awaits_stragglers=False) for each in facts]


def enrolled(time: str | datetime = "2025-01-01", *, referrer: str = "dexter", program: str = "acme-friends",
             code: str | None = "DEXTER", **more: Any) -> Fact:  # fmt: skip
    data = {"referrer": referrer, "program": program, **({"code": code} if code else {})}
    return fact(FactType.REFERRER_ENROLLED, time, {"customer": f"c-{referrer}", **data}, **more)


def sent(time: str | datetime, *, channel: str = "email", referral: str = "r1", referrer: str = "dexter",
         program: str = "acme-friends", referee: Mapping[str, Any] = BRIE, **more: Any) -> Fact:  # fmt: skip
    data = {"referral": referral, "program": program, "referrer": referrer, "channel": channel, "referee": referee}
    return fact(FactType.REFERRAL_SENT, time, data, **more)


def claimed(time: str | datetime, *, referral: str | None = "r1", referee: Mapping[str, Any] = BRIE,
            consent: bool | None = True, begins: bool = False, event_id: str | None = None, source: str = "test",
            received: str | datetime | None = None, awaits_stragglers: bool = True, **data: Any) -> Fact:  # fmt: skip
    """A claim of the offer; ``begins``: one that names program and code, and so can begin its own referral."""
    if begins:
        data = {"program": "acme-friends", "referrer_code": "DEXTER", "channel": "link", **data}
    named = {"referral": referral, "consent": consent}
    data |= {"referee": referee, **{key: value for key, value in named.items() if value is not None}}
    return fact(FactType.REFERRAL_CLAIMED, time, data, event_id=event_id, source=source, received=received,
                awaits_stragglers=awaits_stragglers)  # fmt: skip


def bought(time: str | datetime, *, order: str = "o1", amount: str | None = "80.00", currency: str = "USD",
           kind: str = "purchase", customer: Mapping[str, Any] = BRIE, new_customer: bool | None = True,
           **more: Any) -> Fact:  # fmt: skip
    """A recorded conversion; ``amount=None`` for a kind that has none."""
    data: dict[str, Any] = {"order": order, "kind": kind, "customer": customer}
    data |= {"amount": amount, "currency": currency} if amount is not None else {}
    data |= {"new_customer": new_customer} if new_customer is not None else {}
    return fact(FactType.CONVERSION_RECORDED, time, data, **more)


def reversed_(time: str | datetime, *, order: str = "o1", amount: str | None = None, kind: str = "refund",
              **more: Any) -> Fact:  # fmt: skip
    """A reversal; without an amount it is of all of the order."""
    data = {"order": order, "kind": kind, **({"amount": amount} if amount is not None else {})}
    return fact(FactType.CONVERSION_REVERSED, time, data, **more)


def withdrawn(time: str | datetime, *, referral: str = "r1", by: str = "referrer", **more: Any) -> Fact:
    return fact(FactType.REFERRAL_WITHDRAWN, time, {"referral": referral, "by": by}, **more)


def requested(time: str | datetime, *, order: str | None = "o1", referrer: str = "dexter",
              program: str = "acme-friends", referee: Mapping[str, Any] = BRIE, **more: Any) -> Fact:  # fmt: skip
    data = {"program": program, "referrer": referrer, "referee": referee, **({"order": order} if order else {})}
    return fact(FactType.REWARD_REQUESTED, time, data, **more)


def rated(time: str | datetime, *, referral: str = "r1", score: int = 5, **more: Any) -> Fact:
    """A fact that no rule about time reads."""
    return fact(FactType.SATISFACTION_RATED, time, {"referral": referral, "by": "referrer", "score": score}, **more)
