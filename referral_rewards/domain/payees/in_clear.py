"""A payee's names and destinations in clear, as they were told: what finance may look at, each look on record.

Facts hold what is public. What could be personal stands in a text beside them that can be erased; then it is *erased*
here, which is something else than never told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import PERSON_PART, FactType
from referral_rewards.domain.payees.methods import Methods, destination


class LookReason(StrEnum):
    """Why somebody looks at a payee in clear."""

    REDIRECT = "redirect"  # before binding what waits to another destination
    PAYMENT_FAILED = "payment_failed"  # a payment was refused, returned or can't be found
    PAYEE_ASKED = "payee_asked"  # the payee asks where they are paid
    AUDIT = "audit"  # an audit, or an authority, asks for it
    BANK_FILE = "bank_file"  # the file for the bank holds it; nobody chooses this one


#: The reasons that a person may choose.
CHOSEN: Final = tuple(each for each in LookReason if each is not LookReason.BANK_FILE)


@dataclass(frozen=True, slots=True)
class Told:
    """A fact with its whole text; None: it was erased."""

    fact: Fact
    body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it was told; ``name`` is None if the text was erased."""

    name: str | None
    told: Fact


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination as it was told. ``on_record`` is how claims, payouts and decisions name it.

    ``in_clear`` is None if the text was ``erased``, or if none was told. ``holder`` is the name told with it.
    """

    rail: str
    on_record: str
    in_clear: str | None
    erased: bool
    holder: str | None
    told: Fact
    present: bool


@dataclass(frozen=True, slots=True)
class InClear:
    """What is known of a payee in clear, oldest first by when it happened; each name stands once."""

    payee: str
    names: tuple[Name, ...]
    destinations: tuple[Destination, ...]

    def holder_of(self, where: Destination) -> str | None:
        """Return the name to pay a destination under: the one told with it, else the first name ever told.

        Whoever takes over an account and tells another name changes only what they told themselves.
        """
        return where.holder or next((each.name for each in self.names if each.name), None)

    def known_as(self, rail: str, on_record: str) -> Destination | None:
        """Return the destination that a payout names so; of several facts that told it, the latest."""
        its = [each for each in self.destinations if (each.rail, each.on_record) == (rail, on_record)]
        return its[-1] if its else None


def in_clear(payee: str, told: Iterable[Told], now: datetime) -> InClear:
    """Return the payee's names and destinations, from every fact that tells one."""
    ordered = sorted(told, key=lambda each: each.fact.precedence)
    set_there = [each for each in ordered if each.fact.type is FactType.METHOD_SET]
    methods = Methods(tuple(each.fact for each in ordered if each.fact.type in _OF_METHODS))
    return InClear(
        payee=payee,
        names=_names([each for each in ordered if each.fact.type not in _OF_METHODS]),
        destinations=tuple(_destination(each, methods, now) for each in set_there),
    )


_OF_METHODS: Final = frozenset({FactType.METHOD_SET, FactType.METHOD_REMOVED})


def _destination(told: Told, methods: Methods, now: datetime) -> Destination:
    public, body, rail = told.fact.data.get("reference"), told.body, str(told.fact.data["rail"])
    current = methods.on(rail, now)
    return Destination(
        rail=rail,
        on_record=destination(told.fact),
        in_clear=public or _text(body, "reference"),
        erased=public is None and body is None,
        holder=_text(body, "name"),
        told=told.fact,
        present=current is not None and current.id == told.fact.id,
    )


def _names(told: Iterable[Told]) -> tuple[Name, ...]:
    found: dict[str | None, Name] = {}
    for each in told:
        name = None if each.body is None else _text(_person(each), "name")
        if name is not None or each.body is None:
            found.setdefault(name, Name(name, each.fact))
    return tuple(found.values())


def _person(told: Told) -> Mapping[str, Any] | None:
    """Return the part of the text that describes the person."""
    part = PERSON_PART.get(told.fact.type)
    if not part:
        return told.body
    its = (told.body or {}).get(part)
    return its if isinstance(its, Mapping) else None


def _text(of: Mapping[str, Any] | None, name: str) -> str | None:
    value = (of or {}).get(name)
    return value.strip() or None if isinstance(value, str) else None
