"""The report of an audit as one HTML page that needs nothing else: to be read, printed and kept beside the JSON.

It is made of the JSON alone, line by line, so that both say the same and a report of any length can be shown.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from referral_rewards.audit import lines
from referral_rewards.audit.findings import Part
from referral_rewards.audit.words import KINDS, WORDS
from referral_rewards.domain.money import display


def written(report: Path) -> Iterator[str]:
    """Yield the page in pieces, from the file with the JSON report.

    Raises:
        ValueError: if the file holds no report.
    """
    statement, signature = lines.end(report)
    template: Template = _environment().get_template("report.html")
    yield from template.generate(
        statement=statement,
        signature=signature,
        parts=[(part, WORDS[part], statement["findings"]["by_part"].get(part, 0)) for part in Part],
        words={part.value: words for part, words in WORDS.items()},
        findings=lines.findings(report),
        rewards=lines.rewards(report),
        amount=display,
        kind=lambda code: KINDS.get(code, code),
        day=_day,
        moment=_moment,
        role=lambda role: role or "return",
    )


def _day(midnight: str) -> str:
    """The day of a span's end, on the program's calendar: its midnight is written with the offset from UTC there."""
    return f"{datetime.fromisoformat(midnight):%Y-%m-%d}"


def _moment(instant: str | None) -> str:
    return "–" if instant is None else f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("referral_rewards.audit"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
