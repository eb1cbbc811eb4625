"""Renders the pages of the front door: one environment of templates, and what each of them may use."""

import hashlib
from datetime import datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from referral_rewards.site.shown_programs import ShownProgram

STYLE: Final = Path(__file__).parent / "static" / "site.css"


def page(
    template: str, name: str | None, program: ShownProgram | None, *, status: int = HTTPStatus.OK, **shown: Any
) -> HTMLResponse:
    """Return a page in the colours of a program; ``name`` is its id, None for a page of no program."""
    html = _templates().get_template(template).render(name=name, program=program, **shown)
    return HTMLResponse(html, int(status))


@cache
def style_address() -> str:
    """Return the address of the style sheet; it changes with the file, so that browsers may keep what they have."""
    return f"/static/site.css?v={hashlib.sha256(STYLE.read_bytes()).hexdigest()[:12]}"


def day(moment: datetime, zone: str = "UTC") -> str:
    """Return a day as people write it, in the zone of the texts beside it: else what is paid could seem to be before it
    began."""
    here = moment.astimezone(ZoneInfo(zone))
    return f"{here.day} {here:%B %Y}"


def sentence(text: str) -> str:
    """Return words as a sentence of their own."""
    begun = text[:1].upper() + text[1:]
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("referral_rewards.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"style": style_address}
    made.filters |= {"day": day, "sentence": sentence}
    return made
