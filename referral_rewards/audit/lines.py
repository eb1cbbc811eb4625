"""Read a report of any length back from its file, a line at a time."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_STATEMENT: Final = '"statement":'
_SIGNATURE: Final = '"signature":'


def end(report: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the statement and the signature, which stand on the last two lines.

    Raises:
        ValueError: if the file holds no report.
    """
    found: dict[str, str] = {}
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            for name in (_STATEMENT, _SIGNATURE):
                if line.startswith(name):
                    found[name] = line.removeprefix(name).rstrip()
    if found.keys() != {_STATEMENT, _SIGNATURE}:
        raise ValueError(f"{report} holds no report of an audit")
    return json.loads(found[_STATEMENT].removesuffix(",")), json.loads(found[_SIGNATURE].removesuffix("}"))


def findings(report: Path) -> Iterator[Mapping[str, Any]]:
    """Yield every finding: first those about no single reward, then those of each reward."""
    yield from _section(report, '"findings":[')
    for reward in rewards(report):
        yield from reward["findings"]


def rewards(report: Path) -> Iterator[Mapping[str, Any]]:
    """Yield every reward with its findings."""
    return _section(report, '"rewards":[')


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
