"""Tellers who may not tell everything, in made-up populations: an event's ``may`` holds the sources and types that its
teller may tell; without it, every one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.facts.rights import OURSELVES, Teller, rights
from referral_rewards.register.facts.intake import Intake

Event = Mapping[str, Any]

#: What restores: by whom it is told makes a difference. The claims are not among them, for the sake of the others.
RESTORING: Final = (
    *("conversion.reversal_failed", "conversion.amended", "conversion.dispute_closed"),
    *("referrer.reinstated", "customer.issue_resolved", "consent.granted"),
)
_SOURCES: Final = ("acme/billing", "acme/processor", "acme/site", "acme/crm")
_FAMILIES: Final = {
    "conversion": "conversion.*",
    "referrer": "referrer.*",
    "customer": "customer.*",
    "consent": "consent.*",
}


def bound(rng: Random, events: Sequence[dict[str, Any]]) -> None:
    """Bind some of the tellers of what restores: to some sources, and to that type alone or its family."""
    for event in events:
        if event["type"] in RESTORING and rng.random() < 0.35:
            types = rng.choice(([event["type"]], [_FAMILIES[event["type"].partition(".")[0]]]))
            others = rng.sample(_SOURCES, rng.randrange(3))
            may = rights([event["source"], *others], types)
            event["may"] = {"sources": sorted(may.sources), "types": sorted(may.types)}


def may_tell(event: Event, other: Event) -> bool:
    """Whether who told the event may tell the other one."""
    may = event.get("may")
    return may is None or (other["source"] in may["sources"] and other["type"] in may["types"])


def teller(event: Event) -> Teller:
    """Who told it, as a fact has it."""
    may = event.get("may")
    return OURSELVES if may is None else Teller("bound", None, rights(may["sources"], may["types"]))


async def record(
    intake: Intake, connection: AsyncConnection, events: Sequence[Event], received_at: datetime, batch: UUID
) -> None:
    """Record the events, each as told by its teller."""
    by_teller: dict[Teller, list[Event]] = {}
    for event in events:
        by_teller.setdefault(teller(event), []).append(event)
    for each, its in by_teller.items():
        facts = [parse_event(event) for event in its]
        await intake.record(connection, facts, received_at=received_at, batch=batch, teller=each)
