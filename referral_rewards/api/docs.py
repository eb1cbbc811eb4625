"""The API's documentation page, made from its OpenAPI document: nothing is fetched from elsewhere."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from referral_rewards.api.desk.pages import page

router = APIRouter(include_in_schema=False)

_Schema = Mapping[str, Any]


class Operation(NamedTuple):
    """One operation as the page shows it; an example is a title with JSON text."""

    verb: str
    path: str
    summary: str
    description: str
    scopes: list[str]
    takes: list[tuple[str, str, str]]
    answers: list[tuple[str, str]]
    examples: list[tuple[str, str]]


@router.get("/docs", response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """Every operation with what it takes and answers, in words; the whole of it is at /openapi.json."""
    schema = request.app.openapi()
    rooms: dict[str, list[Operation]] = {}
    for path, verbs in schema["paths"].items():
        for verb, operation in verbs.items():
            rooms.setdefault(operation["tags"][0], []).append(_operation(schema, verb, path, operation))
    return page("docs.html", None, info=schema["info"], openapi=schema["openapi"], rooms=rooms)


def _operation(schema: _Schema, verb: str, path: str, operation: _Schema) -> Operation:
    return Operation(
        verb=verb.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        scopes=sorted(
            {scope for each in operation.get("security", ()) for scopes in each.values() for scope in scopes}
        ),
        takes=list(_takes(schema, operation)),
        answers=[(status, each["description"]) for status, each in operation["responses"].items()],
        examples=list(_examples(operation)),
    )


def _takes(schema: _Schema, operation: _Schema) -> Iterator[tuple[str, str, str]]:
    """Yield each parameter and each body field: its name, whether it is required, and its description."""
    for each in operation.get("parameters", ()):
        need = "required" if each.get("required") else "optional"
        yield f"{each['name']} ({each['in']})", need, each.get("description", "")
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        body = _resolved(schema, content.get("schema", {}))
        yield f"body ({media})", "required", body.get("description", "")
        for name, field in body.get("properties", {}).items():
            need = "required" if name in body.get("required", ()) else "optional"
            yield name, need, _resolved(schema, field).get("description", "")


def _resolved(schema: _Schema, given: _Schema) -> _Schema:
    """Return the schema that a reference points to; of several alternatives the first."""
    if "oneOf" in given:
        return {**_resolved(schema, given["oneOf"][0]), **{k: v for k, v in given.items() if k == "description"}}
    if "$ref" in given:
        return _resolved(schema, schema["components"]["schemas"][given["$ref"].rpartition("/")[2]])
    return given


def _examples(operation: _Schema) -> Iterator[tuple[str, str]]:
    """Yield the example request bodies, then the example responses."""
    bodies = [("sent", operation.get("requestBody", {}))]
    bodies += [(f"answered with {status}", each) for status, each in operation["responses"].items() if status < "300"]
    for what, body in bodies:
        for content in body.get("content", {}).values():
            given = content.get("examples", {}) or ({"": {"value": content["example"]}} if "example" in content else {})
            for name, example in given.items():
                told = example.get("summary", name)
                yield f"{what}: {told}" if told else what, json.dumps(example["value"], indent=2, ensure_ascii=False)
