"""Renders pages: one environment of templates, what each of them may use, and the files that they refer to."""

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.desk import words
from referral_rewards.api.desk.session.visiting import CSRF_FIELD, Visit
from referral_rewards.api.desk.words import Clock
from referral_rewards.register import programs

STATIC: Final = Path(__file__).parent.parent / "static"


def page(
    template: str, visit: Visit | None, *, status: HTTPStatus = HTTPStatus.OK, zone: str | None = None, **shown: Any
) -> HTMLResponse:
    """A page of the desk; ``visit`` is None for those that need nobody to be signed in.

    Its times are in one ``zone``: that of the program it is about, else that of the reader's browser, else UTC.
    """
    clock = _clock(visit, zone)
    with words.on(clock):
        html = _templates().get_template(template).render(visit=visit, clock=clock, **shown)
    return HTMLResponse(html, status.value)


def part(template: str, visit: Visit, **shown: Any) -> HTMLResponse:
    """Render a part of a page, which an open page fetches again."""
    return page(template, visit, **shown)


def _clock(visit: Visit | None, zone: str | None) -> Clock:
    if zone is not None:
        return Clock(zone, "the program’s time zone")
    return Clock(visit.zone, "your time zone") if visit and visit.zone else Clock()


async def zone_of(connection: AsyncConnection, program: str) -> str | None:
    """The time zone of a program by its newest terms; None for one that was never published."""
    published = await programs.versions(connection, program)
    return published[-1][1].timezone if published else None


@cache
def static(name: str) -> str:
    """The address of a file of ours; it changes with the file, so that browsers may keep what they have."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("referral_rewards.api"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"static": static, "csrf": _csrf}
    made.filters |= words.FILTERS
    return made


def _csrf(visit: Visit) -> Markup:
    """The hidden field that a form of this session carries."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, visit.csrf)
