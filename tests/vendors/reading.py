"""What the tests of all vendors share: readings as facts of ours, and the tables of the guides."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from referral_rewards.domain.facts.events import Fact, parse_event
from referral_rewards.vendors.paths import Path as JmesPath
from referral_rewards.vendors.port import Field, Reading, SourceMapping
from tests.domain.build import read

GUIDES = Path(__file__).parents[2] / "docs" / "guides" / "sources"
_TABLE = re.compile(r"^\| event \| facts \| why \|\n.*\n((?:\|.*\n)+)", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def mapping(paths: Mapping[Field, str] | None = None, **more: Any) -> SourceMapping:
    """The settings of a source ``shop``, with these paths."""
    compiled = {field: JmesPath(path) for field, path in (paths or {}).items()}
    return SourceMapping(**{"source": "shop", **more}, paths=compiled)


def types(reading: Reading) -> list[str]:
    """The types of the facts of a reading, in order, those first that are told only once."""
    return [str(parse_event(each).type) for each in (*reading.once, *reading.facts)]


def data(reading: Reading, type_: str) -> Mapping[str, Any]:
    """The data of the only fact of that type."""
    (found,) = (each["data"] for each in reading.facts if each["type"] == type_)
    content: Mapping[str, Any] = found
    return content


def stored(readings: Iterable[Reading]) -> list[Fact]:
    """The facts of these readings as the register would hold them: one for each id, which always says the same."""
    said: dict[str, Mapping[str, Any]] = {}
    for each in (document for reading in readings for document in reading.facts):
        assert said.setdefault(each["id"], each) == each, f"{each['id']} is told in two ways"
    return [read(each) for each in said.values()]


def rows(guide: str) -> dict[str, set[str]]:
    """The table of a guide: each event with the types of the facts that are made of it, none if it is ignored."""
    found: dict[str, set[str]] = {}
    (table,) = _TABLE.findall((GUIDES / guide).read_text())
    for row in table.splitlines():
        events, facts = row.split(" | ")[:2]
        for event in _CODE.findall(events):
            assert event not in found, f"{event} stands in the table twice"
            found[event] = set(_CODE.findall(facts))
    return found
