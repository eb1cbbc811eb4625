"""Every `SPEC §n` in code and docs names a section of the project's own specification, and a paragraph that it has."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPECIFICATION = ROOT / "docs" / "specification.md"
FOLDERS = ("referral_rewards", "workflows", "activities", "models", "worker", "tests", "bench", "docs", "deploy")
SUFFIXES = {".py", ".md", ".html", ".txt", ".yaml", ".yml", ".js", ".css", ".mako"}
#: Holds references that are wrong on purpose.
HERE = Path(__file__).resolve()

_SECTION = re.compile(r"^## (\d+)\. ")
#: A paragraph or an item of a list that begins with bold words, or a heading below a section.
_PARAGRAPH = re.compile(r"^(?:- )?\*\*(?P<bold>[^*]+?)[.:]?\*\*|^###+ (?P<heading>.+)$")
#: One section or several, and right after a number the words of a paragraph: capital first, as they stand there.
_CITED = re.compile(r"SPEC (?P<cited>§\d+(?:(?:,| and) §\d+)*(?: [A-Z][\w-]*(?: [a-z][\w-]*)*)?)")
_WITHIN = re.compile(r"§\d+")

Sections = Mapping[str, frozenset[str]]


def sections(text: str) -> Sections:
    """The numbers of the sections, each with the names of its paragraphs."""
    found: dict[str, set[str]] = {}
    number = ""
    for line in text.splitlines():
        if heading := _SECTION.match(line):
            number = heading[1]
            found[number] = set()
        elif number and (named := _PARAGRAPH.match(line)):
            found[number].add((named["bold"] or named["heading"]).strip())
    return {number: frozenset(names) for number, names in found.items()}


def dangling(text: str, known: Sections) -> Iterator[str]:
    """The references in a text that lead nowhere.

    After a number the words of a paragraph may be followed by others: the first of them have to be its name.
    """
    for match in _CITED.finditer(" ".join(text.split())):
        cited = match["cited"]
        numbers = [each.lstrip("§") for each in re.findall(r"§\d+", cited)]
        words = re.split(r"§\d+", cited)[-1].strip()
        if any(number not in known for number in numbers) or (words and not _begins_with(known[numbers[-1]], words)):
            yield match[0]


def _begins_with(names: frozenset[str], words: str) -> bool:
    return any(words == name or words.startswith(f"{name} ") for name in names)


KNOWN = sections(SPECIFICATION.read_text())


def _texts() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES)
    yield from sorted(ROOT.glob("*.md"))


def test_every_reference_to_the_specification_resolves() -> None:
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in _texts()
        if path.resolve() != HERE and (found := list(dangling(path.read_text(), KNOWN)))
    }
    assert wrong == {}


def test_the_specification_cites_only_sections_that_it_has() -> None:
    cited = {each.lstrip("§") for each in _WITHIN.findall(SPECIFICATION.read_text())}
    assert cited <= set(KNOWN)


def test_the_code_does_cite_the_specification() -> None:
    cited = sum(len(_CITED.findall(path.read_text())) for path in _texts() if path.suffix == ".py")
    assert cited > 50


@pytest.mark.parametrize(
    ("text", "leads_nowhere"),
    [
        ("who approves (SPEC §6).", []),
        ("as SPEC §3 and §4 say", []),
        ("SPEC §3, §4", []),
        ("a batch that nobody finished (SPEC §4 Closing)", []),
        ("SPEC §3 Orders says what one order is", []),
        ("wrapped SPEC\n    §4 Closing", []),
        ("claims on one order (SPEC §5 Disputed attribution)", []),
        ("SPEC §12", ["SPEC §12"]),
        ("SPEC §3, §99", ["SPEC §3, §99"]),
        ("SPEC §4 Orders", ["SPEC §4 Orders"]),
        ("SPEC §5 Disputed amounts are", ["SPEC §5 Disputed amounts are"]),
    ],
)
def test_this_check_tells_a_dangling_reference_from_one_that_resolves(text: str, leads_nowhere: list[str]) -> None:
    assert list(dangling(text, KNOWN)) == leads_nowhere
