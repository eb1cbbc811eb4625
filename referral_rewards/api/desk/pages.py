"""Renders pages: one environment of templates, what each of them may use, their files, and the rows of a list."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Query
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.desk import words
from referral_rewards.api.desk.session.visiting import CSRF_FIELD, Visit
from referral_rewards.api.desk.words import Clock
from referral_rewards.domain.payees.in_clear import CHOSEN
from referral_rewards.register import programs
from referral_rewards.reporting.shape import Count

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
    made.globals |= {"static": static, "csrf": _csrf, "look_reasons": CHOSEN}
    made.filters |= words.FILTERS
    return made


def _csrf(visit: Visit) -> Markup:
    """The hidden field that a form of this session carries."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, visit.csrf)


Start = Annotated[int, Query(ge=1, le=1_000_000_000)]
"""The number of the first row of a page, which the link to it says."""


@dataclass(frozen=True, slots=True)
class Counted:
    """So many rows of a list from ``first`` on; ``total`` is None where nobody counts them all."""

    first: int
    number: int
    total: Count | None

    @property
    def following(self) -> int:
        """The number of the first row of the next page."""
        return self.first + self.number

    def __str__(self) -> str:
        """``1–50 of 163``."""
        last = self.first + self.number - 1
        rows = f"{self.first:,}" if self.number == 1 else f"{self.first:,}–{last:,}"
        return rows if self.total is None else f"{rows} of {self.total}"


async def counted(first: int, number: int, *, more: bool, total: Callable[[], Awaitable[Count]]) -> Counted:
    """What a page shows of a list. All are counted only where there are ``more`` rows: else the last one says it."""
    return Counted(first, number, await total() if more else Count(count=first + number - 1, at_least=False))
