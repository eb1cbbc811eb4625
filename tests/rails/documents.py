"""Holds what goes to a provider, and what its sandbox answers, against the OpenAPI document of the provider itself.

The documents are not ours and not in this repository: the folder that ``PROVIDER_DOCUMENTS`` names has them as
``stripe.json``, ``paypal.json`` and ``tremendous.json`` (``make documents`` fetches them). Without it nothing is held
against them, and Stripe's part to the types of its SDK alone (`stripe_types`). A document describes more than it
forbids, so that a request is read strictly: a field, a query or a path that it does not name is wrong.
"""

import copy
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft4Validator, Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4, DRAFT202012

from referral_rewards.local.sandbox.provider import Provider, Request, Response

FOLDER = "PROVIDER_DOCUMENTS"
MISSING = f"{FOLDER} names no folder with the providers' own documents; `make documents` fetches them"
#: Tokens are of OAuth 2.0 and in no document of what they are for.
_ELSEWHERE = {("v1", "oauth2", "token")}
_formats = FormatChecker(formats=())


@_formats.checks("currency")
def _is_currency(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch("[a-z]{3}", value))


@_formats.checks("date-time", raises=ValueError)
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_formats.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value[:10]))


class Document:
    """A provider's document."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        modern = str(content["openapi"]) >= "3.1"
        self._validator = Draft202012Validator if modern else Draft4Validator
        self._base = urlsplit(content.get("servers", [{"url": "/"}])[0]["url"]).path.strip("/")
        self._paths: Mapping[str, Any] = content["paths"]
        self._content = content
        kind = DRAFT202012 if modern else DRAFT4
        as_written, closed = _nullable(copy.deepcopy(dict(content))), _closed(_nullable(copy.deepcopy(dict(content))))
        self._registry: Registry[Any] = Registry().with_resources(
            [(name, Resource(each, kind)) for name, each in (("urn:open", as_written), ("urn:closed", closed))]
        )

    def wrong_in(self, request: Request) -> list[str]:
        """What the document does not allow of a request, one sentence each."""
        found = self._operation(request)
        if found is None:
            return [f"there is no {request.method} /{'/'.join(request.steps)}"]
        where, operation, in_path = found
        named = {(each["in"], each["name"]): each for each in map(self._resolved, operation.get("parameters", []))}
        given = {
            "path": in_path,
            "query": nested(request.query, {name for place, name in named if place == "query"}),
            "header": request.headers,
        }
        wrong = [
            f"{place} {name} is missing"
            for (place, name), each in named.items()
            if each.get("required") and name.lower() not in {n.lower() for n in given[place]}
        ]
        wrong += [f"query {name} is not known" for name in given["query"] if ("query", name) not in named]
        for (place, name), each in named.items():
            value = {n.lower(): v for n, v in given[place].items()}.get(name.lower())
            if value is not None:
                wrong += [f"{place} {name}: {said}" for said in self._inline(each["schema"], value)]
        return wrong + list(self._wrong_in_body(where, operation, request))

    def wrong_in_answer(self, request: Request, response: Response) -> list[str]:
        """What the document does not promise of a success; refusals of a provider know more words than it lists."""
        found = self._operation(request)
        if found is None or response.status >= 300:
            return []
        where, operation, _ = found
        responses = operation["responses"]
        status = str(response.status)
        if status not in responses:
            return [f"{request.method} {where[1]} is never answered {status}"]
        pointer = _pointer(*where, "responses", status, "content", "application/json", "schema")
        return self._by(f"urn:open#{pointer}", _plain(response.document))

    def words(self, name: str) -> frozenset[str]:
        """The values that one of its schemas lists."""
        return frozenset(self._content["components"]["schemas"][name]["enum"])

    def _wrong_in_body(self, where: tuple[str, ...], operation: Mapping[str, Any], request: Request) -> Iterator[str]:
        body = self._resolved(operation.get("requestBody", {}))
        kinds = list(body.get("content", {}))
        sent = request.headers.get("content-type", "").partition(";")[0]
        if not request.document:
            if body.get("required"):
                yield "the body is missing"
            elif request.has_body and not kinds:
                yield "a body is not taken at all"
            return
        if sent not in kinds:
            yield f"a body of {sent or 'no type'} is not taken"
            return
        schema = f"urn:closed#{_pointer(*where, 'requestBody', 'content', sent, 'schema')}"
        document: Any = _plain(request.document)
        if sent == "application/x-www-form-urlencoded":
            document = self._typed(document, self._resolved(body["content"][sent]["schema"]))
        yield from self._by(schema, document)

    def _operation(self, request: Request) -> tuple[tuple[str, ...], Mapping[str, Any], Mapping[str, str]] | None:
        steps = request.steps[len([each for each in self._base.split("/") if each]) :]
        for path, operations in self._paths.items():
            parts = [each for each in path.split("/") if each]
            method = request.method.lower()
            if len(parts) != len(steps) or method not in operations:
                continue
            pairs = list(zip(parts, steps, strict=True))
            if all(part == step or part.startswith("{") for part, step in pairs):
                in_path = {part.strip("{}"): step for part, step in pairs if part.startswith("{")}
                operation = operations[method]
                shared = [*operations.get("parameters", []), *operation.get("parameters", [])]
                return ("paths", path, method), {**operation, "parameters": shared}, in_path
        return None

    def _resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in part:
            found: Any = self._content
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            part = found
        return part

    def _typed(self, value: Any, schema: Mapping[str, Any]) -> Any:
        """A value of a form, all of them texts, as what its schema takes it for."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            each = [self._typed(value, one) for one in schema["anyOf"]]
            return next((one for one in each if one != value), value)
        kind = schema.get("type")
        if kind == "object" and isinstance(value, dict):
            known, others = schema.get("properties", {}), schema.get("additionalProperties")
            others = others if isinstance(others, dict) else {}
            return {name: self._typed(each, known.get(name, others)) for name, each in value.items()}
        if kind == "integer" and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            return int(value)
        if kind == "boolean" and value in ("true", "false"):
            return value == "true"
        return value

    def _inline(self, schema: Mapping[str, Any], value: Any) -> list[str]:
        written = _nullable(copy.deepcopy(dict(schema)))
        validator = self._validator(written, registry=self._registry, format_checker=_formats)
        return [error.message for error in validator.iter_errors(self._typed(value, schema))]

    def _by(self, reference: str, document: Any) -> list[str]:
        validator = self._validator({"$ref": reference}, registry=self._registry, format_checker=_formats)
        return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]


@cache
def document(name: str) -> Document | None:
    """The document of that provider, if the folder is named and has it."""
    folder = os.environ.get(FOLDER)
    path = Path(folder) / f"{name}.json" if folder else None
    return Document(json.loads(path.read_text())) if path is not None and path.exists() else None


def hold(provider: Provider) -> None:
    """Raises AssertionError over whatever was sent to a sandbox, or answered, that is not of its provider's form."""
    own = document(type(provider).__name__.lower())
    if own is None:
        return
    asked = [each for each in provider.asked if each.steps not in _ELSEWHERE]
    found = [f"sent: {said} ({each.method} {each.steps})" for each in asked for said in own.wrong_in(each)]
    found += [
        f"answered: {said} ({request.method} {request.steps})"
        for request, response in provider.answered
        if request.steps not in _ELSEWHERE
        for said in own.wrong_in_answer(request, response)
    ]
    if found:
        raise AssertionError("\n".join(dict.fromkeys(found)))


def _pointer(*steps: str) -> str:
    return "".join(
        "/" + step.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D") for step in steps
    )


def _plain(value: Any) -> Any:
    """A document as JSON has it."""
    return json.loads(json.dumps(value, default=lambda each: float(each) if isinstance(each, Decimal) else str(each)))


def nested(query: Mapping[str, str], named: Collection[str]) -> dict[str, Any]:
    """A query with names such as ``created[gte]`` as the objects and lists that they stand for, unless the document
    names them so itself."""
    found: dict[str, Any] = {}
    for name, value in query.items():
        outer, _, inner = name.partition("[")
        if not inner or name in named:
            found[name] = value
        elif inner.rstrip("]").isdecimal():
            found.setdefault(outer, []).append(value)
        else:
            found.setdefault(outer, {})[inner.rstrip("]")] = value
    return found


def _nullable(part: Any) -> Any:
    """Schemas of OpenAPI 3.0, which say that a value may be null in a word of their own."""
    if isinstance(part, list):
        return [_nullable(each) for each in part]
    if not isinstance(part, dict):
        return part
    changed = {name: _nullable(each) for name, each in part.items()}
    if changed.pop("nullable", None) is True:
        return {"anyOf": [changed, {"enum": [None]}]}
    return changed


def _closed(part: Any) -> Any:
    """Schemas in which an object holds nothing that they do not name."""
    if isinstance(part, list):
        return [_closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    changed = {name: each if name == "allOf" else _closed(each) for name, each in part.items()}
    if isinstance(changed.get("properties"), dict) and changed.get("type") == "object":
        changed.setdefault("additionalProperties", False)
    return changed
