"""The OpenAPI document: FastAPI's document of the routes, completed with what applies to every operation.

Every refusal is described where it can happen: a route declares its own with `refusals`; the others follow from the
operation's input and required credentials.
"""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

_PROBLEM: Final = "#/components/schemas/Problem"
_S = HTTPStatus


class PlaceOfProblem(BaseModel):
    """One thing that is wrong with the input: where it stands, and what would be right."""

    where: str
    what: str


class Problem(BaseModel):
    """Why a request was refused (RFC 9457). ``type`` tells refusals apart; ``detail`` is one sentence for people.

    ``problems`` comes with 422 and lists all that is wrong with the input, and with 409 where a program is not ready
    for a pilot: there it lists each gap. ``rule`` comes with a decision that no rule
    admits; ``shown`` and ``current`` are the digests of a claim that changed since it was shown.
    """

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:referrals:decision-refused", "about:blank"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    problems: list[PlaceOfProblem] | None = None
    rule: str | None = None
    shown: str | None = None
    current: str | None = None


#: The general description of each refusal.
_SAID: Final[Mapping[HTTPStatus, str]] = {
    _S.UNAUTHORIZED: "No valid token came with the request.",
    _S.FORBIDDEN: "The token, or its user, lacks the scope or the role for this.",
    _S.NOT_FOUND: "Nothing has that name.",
    _S.CONFLICT: "Well formed, but the present state does not admit it; nothing was stored.",
    _S.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    _S.UNPROCESSABLE_ENTITY: "The input can't be taken; every problem found in it is listed.",
    _S.TOO_MANY_REQUESTS: "Too many attempts; `Retry-After` says when to try again.",
    _S.SERVICE_UNAVAILABLE: "The database does not answer. Nothing was stored: send it again after `Retry-After`.",
}
_SECURITY: Final = """\
A token from `referrals user add`, or one issued by `POST /v1/tokens` for some of what its user may do.

| scope | lets a token |
|---|---|
| `events:write` | tell facts of the sources and types that it names, and no others |
| `referrals:read` | read where referrals of its programs stand, as their referrers may see it, and what is promised |
| `status-links:read` | read the secret links to status pages with that; they also show the codes people were handed |
| `claims:read` | read referrals, claims, payouts and the record of who did what; its user must hold a role |
| `claims:decide` | decide on claims and money, publish terms, look after people: as far as roles and rules go |
"""


def refusals(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route with its own refusals, such as 409, or 404 if the path names nothing."""
    return {status.value: _refusal(status) for status in statuses}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the whole document; it is made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        schemas = made["components"]["schemas"]
        for named in ("HTTPValidationError", "ValidationError"):
            schemas.pop(named, None)
        own = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**own.pop("$defs"), "Problem": own}
        for scheme in made["components"]["securitySchemes"].values():
            scheme["description"] = _SECURITY
        for path, operation in _operations(made):
            _complete(path, operation)
        app.openapi_schema = made
    return app.openapi_schema


def operation_id(route: APIRoute) -> str:
    """Return the name of an operation: the name of its function."""
    return route.name


def _operations(made: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, verbs in made["paths"].items():
        for operation in verbs.values():
            yield path, operation


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Describe the refusals that follow from an operation's input and required credentials."""
    responses = operation["responses"]
    responses.pop("422", None)
    for status in _follows(path, operation):
        responses.setdefault(str(status.value), _refusal(status))
    operation["responses"] = dict(sorted(responses.items()))


def _follows(path: str, operation: Mapping[str, Any]) -> Iterable[HTTPStatus]:
    if operation.get("security"):
        yield from (_S.UNAUTHORIZED, _S.FORBIDDEN)
    if "{" in path:
        yield _S.NOT_FOUND
    if operation.get("requestBody"):
        yield _S.REQUEST_ENTITY_TOO_LARGE
    if operation.get("requestBody") or operation.get("parameters"):
        yield _S.UNPROCESSABLE_ENTITY
    if path not in ("/healthz", "/livez"):
        yield _S.SERVICE_UNAVAILABLE


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    told = {"description": _SAID[status], "content": {"application/problem+json": {"schema": {"$ref": _PROBLEM}}}}
    headers = {
        _S.UNAUTHORIZED: ("WWW-Authenticate", {"type": "string"}),
        _S.SERVICE_UNAVAILABLE: ("Retry-After", {"type": "integer"}),
        _S.TOO_MANY_REQUESTS: ("Retry-After", {"type": "integer"}),
    }
    if status in headers:
        name, schema = headers[status]
        told["headers"] = {name: {"schema": schema}}
    return told
