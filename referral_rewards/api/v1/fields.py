"""What requests hold: fields that several operations share, and the filters in the address of a list.

A filter that nobody knows is refused, and never passed over.
"""

import re
from collections.abc import Collection, Iterator
from datetime import date
from typing import Annotated, Any, Final

from fastapi import Path, Request
from fastapi.dependencies.models import Dependant
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field
from starlette.routing import Route

from referral_rewards.domain.claims.approval import NOTE_LENGTH_MAX, REASON_CODES
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.facts.rights import ANY, FAMILIES, SOURCES_MAX, Rights, rights
from referral_rewards.domain.validation import unknown_names

#: No text of the register holds a NUL.
TEXT: Final = r"^[^\x00]*$"

NamedInPath = Annotated[str, Path(examples=["db1"], pattern=r"^[^\x00]+$")]
"""The id of a referral, slashes included."""
GivenId = Annotated[str, Field(examples=["db1"], pattern=TEXT)]
"""The same in a body."""
Note = Annotated[str, Field(max_length=NOTE_LENGTH_MAX, json_schema_extra={"pattern": r"^[^\x00]*\S[^\x00]*$"})]
"""The reason in words, for later readers."""
Digest = Annotated[str, Field(max_length=64, pattern="^[0-9a-f]*$")]
"""The digest of what the person saw."""


_Source = Annotated[str, Field(min_length=1, max_length=500, pattern=TEXT)]
Sources = Annotated[
    list[_Source] | None,
    Field(
        max_length=SOURCES_MAX,
        examples=[["acme/shop"]],
        description="The sources of the facts that may be told; `*` for every one.",
    ),
]
"""Whose facts may be told; None: not said."""
Types = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": [*FactType, *FAMILIES, ANY]})]] | None,
    Field(
        max_length=100,
        examples=[["conversion.*"]],
        description="The types of the facts that may be told; `conversion.*` for a family, `*` for every one.",
    ),
]
"""Which facts may be told; None: not said."""


def named_rights(sources: Collection[str] | None, types: Collection[str] | None) -> Rights | None:
    """Return the rights that a body names; None if it names none.

    Raises:
        BadInput: if a source can't be one.
    """
    return None if sources is None and types is None else rights(sources or (), types or ())


def _written_as_a_day(given: object) -> object:
    # Pydantic would also take seconds since 1970.
    if not isinstance(given, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", given, re.ASCII):
        raise ValueError("is a day such as 2026-07-01")
    return given


Day = Annotated[date, BeforeValidator(_written_as_a_day)]
"""A calendar day."""
#: Of a calendar year: no program is older, and no calendar has to reach further.
YEARS: Final[dict[str, Any]] = {"ge": 1970, "le": 2999}

AsOf = Annotated[str, Field(max_length=40, pattern=TEXT)]
"""A moment of the past, as somebody typed it."""
AS_OF: Final[str] = (
    "As of the end of a day, such as `2026-07-31`, or of an instant, such as `2026-07-31T22:00:00Z`; now by default."
)


def _written_as_an_instant(given: object) -> object:
    # Pydantic would also take seconds since 1970.
    if isinstance(given, int | float | bool) or (isinstance(given, str) and "T" not in given.upper()):
        raise ValueError("is an instant such as 2026-07-24T14:00:00Z")
    return given


GivenInstant = Annotated[AwareDatetime, BeforeValidator(_written_as_an_instant)]
"""An instant with its offset from UTC."""

#: Which reasons there are depends on the kind of decision: the part of a schema that says so.
REASONS_BY_KIND: Final[list[Any]] = [
    {"properties": {"kind": {"const": kind.value}, "reason": {"enum": list(codes)}}}
    for kind, codes in REASON_CODES.items()
]
_NOTHING_NAMED: Final[dict[str, Any]] = {
    **{key: {"type": "null"} for key in ("leg", "amount_minor", "referrer", "order", "store")},
    "leave_out": {"const": False},
}
_LEG: Final[dict[str, Any]] = {"leg": {"type": "string", "enum": ["referrer", "referee"]}}
_ORDER: Final[dict[str, Any]] = {"order": {"type": "string", "pattern": "^[!-~]{1,200}$"}}
#: What a decision of a kind names: each a form of the fields that it needs.
_NAMED: Final[dict[str, list[dict[str, Any]]]] = {
    "adjust": [{**_LEG, "amount_minor": {"type": "integer"}}, {**_LEG, "leave_out": {"const": True}}],
    "reassign": [{"referrer": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$"}}],
    "link": [_ORDER, {**_ORDER, "store": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$"}}],
}
#: The same with what each kind names.
FORMS_BY_KIND: Final[list[Any]] = [
    {
        "properties": {"kind": {"const": kind.value}, "reason": {"enum": list(codes)}, **_NOTHING_NAMED, **named},
        "required": sorted(named),
    }
    for kind, codes in REASON_CODES.items()
    for named in _NAMED.get(kind.value, [{}])
]
EXAMPLE: Final[dict[str, Any]] = {
    "kind": "approve",
    "reason": "terms_met",
    "note": "Brie's first order, kept past its return period.",
}
#: One decision of each form.
EXAMPLES: Final[tuple[dict[str, Any], ...]] = (
    EXAMPLE,
    {
        "kind": "adjust",
        "reason": "exception_granted",
        "note": "The order was in euro; finance granted a sum in its place.",
        "leg": "referee",
        "amount_minor": 950,
    },
    {
        "kind": "adjust",
        "reason": "misconduct",
        "note": "The referrer spammed; the friend did nothing wrong.",
        "leg": "referrer",
        "leave_out": True,
    },
    {
        "kind": "reassign",
        "reason": "attribution_corrected",
        "note": "Two digits of Lena's code were swapped.",
        "referrer": "lena",
    },
    {
        "kind": "link",
        "reason": "colleague_bought",
        "note": "Anna's purchasing department bought in its own name.",
        "order": "o-4711",
    },
    {
        "kind": "link",
        "reason": "colleague_bought",
        "note": "Anna's purchasing department bought in its own name, in the shop of Germany.",
        "order": "1001",
        "store": "de",
    },
)
EXAMPLE_DIGEST: Final = "8a2fd8c2a6d1ab3f5d7a4dbe1e29b66c0a1b8b0e7d9c48b1f4bb0f5cbb9f0a11"


async def only_known(request: Request) -> None:
    """Holds an address to the filters that its route has.

    Raises:
        RequestInvalid: naming the first that it has not, and those that it has.
    """
    known = known_filters(request)
    for name in request.query_params:
        if name not in known:
            raise RequestInvalid(unknown_names(name, known))


def known_filters(request: Request) -> frozenset[str]:
    """The names of the filters that the route of a request takes."""
    route = request.scope.get("route")
    dependant = getattr(route, "dependant", None) if isinstance(route, Route) else None
    return frozenset(_names(dependant)) if isinstance(dependant, Dependant) else frozenset()


def _names(dependant: Dependant) -> Iterator[str]:
    for each in dependant.query_params:
        kind: Any = each.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from (field.alias or name for name, field in kind.model_fields.items())
        else:
            yield each.alias
    for inner in dependant.dependencies:
        yield from _names(inner)
