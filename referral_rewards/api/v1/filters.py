"""What the address of a list asks for: a filter that nobody knows is refused, and never passed over."""

from collections.abc import Iterator
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.routing import Route

from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.validation import unknown_names


def only_known(request: Request) -> None:
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
