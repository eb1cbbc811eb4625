"""A page that explains the API, made from its own OpenAPI document: nothing is fetched from elsewhere."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from referral_rewards.api.desk.pages import static

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """Every operation with what it takes and answers, in words; the whole of it is at /openapi.json."""
    return HTMLResponse(_page(request.app.openapi()))


def _page(schema: dict[str, Any]) -> str:
    operations = [
        (verb, path, operation) for path, verbs in schema["paths"].items() for verb, operation in verbs.items()
    ]
    rooms = dict.fromkeys(operation["tags"][0] for _, _, operation in operations)
    sections = "".join(
        f"<h2>{escape(room)}</h2>"
        + "".join(_operation(verb, path, each) for verb, path, each in operations if each["tags"][0] == room)
        for room in rooms
    )
    title = escape(schema["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{title}</title><link rel="stylesheet" href="{static("docs.css")}">'
        f"<main><h1>{title} {escape(schema['info']['version'])}</h1>"
        f"<p>{escape(schema['info']['description'])}</p>"
        f'<p>Machines read <a href="/openapi.json">/openapi.json</a> (OpenAPI {escape(schema["openapi"])}).</p>'
        f"{sections}</main></html>"
    )


def _operation(verb: str, path: str, operation: dict[str, Any]) -> str:
    takes = [
        (f"{each['name']} ({each['in']})", "required" if each.get("required") else "optional")
        for each in operation.get("parameters", [])
    ]
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        takes.append((f"body ({media})", _named(content.get("schema", {}))))
    answers = [(status, each["description"]) for status, each in operation["responses"].items()]
    return (
        f'<section><h3><span class="verb">{verb.upper()}</span><code>{escape(path)}</code></h3>'
        f"<strong>{escape(operation.get('summary', ''))}</strong><p>{escape(operation.get('description', ''))}</p>"
        f"{_table('takes', takes)}{_table('answers', answers)}</section>"
    )


def _named(schema: dict[str, Any]) -> str:
    if "oneOf" in schema:
        return " or ".join(_named(each) for each in schema["oneOf"])
    if schema.get("type") == "array":
        return f"an array of them, at most {schema['maxItems']}" if "maxItems" in schema else "an array"
    return str(schema.get("$ref", schema.get("description", ""))).rpartition("/")[2]


def _table(heading: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{escape(said)}</td></tr>" for name, said in rows)
    return f'<table><tr><th colspan="2">{heading}</th></tr>{cells}</table>'
