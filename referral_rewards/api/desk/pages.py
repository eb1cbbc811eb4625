"""Renders pages: one environment of templates, what each of them may use, and the files that they refer to."""

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from referral_rewards.api.desk import words
from referral_rewards.api.desk.session.visiting import CSRF_FIELD, Visit

STATIC: Final = Path(__file__).parent.parent / "static"


def page(template: str, visit: Visit | None, *, status: HTTPStatus = HTTPStatus.OK, **shown: Any) -> HTMLResponse:
    """A page of the desk; ``visit`` is None for those that need nobody to be signed in."""
    html = _templates().get_template(template).render(visit=visit, **shown)
    return HTMLResponse(html, status.value)


def part(template: str, visit: Visit, **shown: Any) -> HTMLResponse:
    """Render a part of a page, which an open page fetches again."""
    return page(template, visit, **shown)


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
