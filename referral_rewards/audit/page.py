"""The report of an audit as one HTML page that needs nothing else: to be read, printed and kept beside the JSON.

It is made of the JSON alone, line by line, so that both say the same and a report of any length can be shown.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from referral_rewards.audit.findings import Part
from referral_rewards.audit.words import KINDS, WORDS
from referral_rewards.domain.money import display

_STATEMENT: Final = '"statement":'
_SIGNATURE: Final = '"signature":'


def written(report: Path) -> Iterator[str]:
    """Yield the page in pieces, from the file with the JSON report.

    Raises:
        ValueError: if the file holds no report.
    """
    statement, signature = _end(report)
    template: Template = _environment().get_template("report.html")
    yield from template.generate(
        statement=statement,
        signature=signature,
        parts=[(part, WORDS[part], statement["findings"]["by_part"].get(part, 0)) for part in Part],
        words={part.value: words for part, words in WORDS.items()},
        findings=_findings(report),
        rewards=_section(report, '"rewards":['),
        amount=display,
        kind=lambda code: KINDS.get(code, code),
        day=_day,
        moment=_moment,
        role=lambda role: role or "return",
    )


def _end(report: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the statement and the signature, which stand on the last two lines."""
    found: dict[str, str] = {}
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            for name in (_STATEMENT, _SIGNATURE):
                if line.startswith(name):
                    found[name] = line.removeprefix(name).rstrip()
    if found.keys() != {_STATEMENT, _SIGNATURE}:
        raise ValueError(f"{report} holds no report of an audit")
    return json.loads(found[_STATEMENT].removesuffix(",")), json.loads(found[_SIGNATURE].removesuffix("}"))


def _findings(report: Path) -> Iterator[Mapping[str, Any]]:
    """Yield every finding: first those about no single reward, then those of each reward."""
    yield from _section(report, '"findings":[')
    for reward in _section(report, '"rewards":['):
        yield from reward["findings"]


def _section(report: Path, name: str) -> Iterator[Mapping[str, Any]]:
    """Yield the documents of a section, which stand one on a line."""
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(name):
                break
        for line in lines:
            if line.startswith("]"):
                return
            if (document := line.strip().removesuffix(",")) != "":
                yield json.loads(document)


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
