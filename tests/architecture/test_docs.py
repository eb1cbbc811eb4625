"""The docs hold together: every page is in the index, every link leads somewhere, and the README stays short."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(path for folder in ("docs", "deploy", "examples") for path in (ROOT / folder).rglob("*.md")),
]
README_LINES, README_WIDTH = 100, 120

_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_ANCHOR = re.compile(r"<a (?:id|name)=\"([^\"]+)\"")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|(?:src|srcset|href)=\"([^\"]+)\"")
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_NAMED_DOC = re.compile(r"(?<![\w/.-])docs/[\w/-]+\.(?:md|svg|py)")


def links(text: str) -> Iterator[str]:
    """The targets of a page's links and pictures, those within code left out."""
    for match in _LINK.finditer(_CODE.sub("", _FENCE.sub("", text))):
        yield match[1] or match[2]


def anchors(text: str) -> set[str]:
    """The anchors that a code host gives a page's headings, and those that the page sets itself."""
    seen: Counter[str] = Counter()
    found = set(_ANCHOR.findall(text))
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken(page: Path) -> list[str]:
    """The links of a page that lead to no file, or to no heading of it."""
    return [target for target in links(page.read_text()) if not _OUTSIDE.match(target) and not _leads(page, target)]


def _leads(page: Path, target: str) -> bool:
    name, _, fragment = unquote(target).partition("#")
    found = (page.parent / name).resolve() if name else page
    if not found.exists() or not found.is_relative_to(ROOT):
        return False
    return not fragment or (found.suffix == ".md" and fragment in anchors(found.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize(
    ("index", "folder"), [("docs/README.md", "docs"), ("docs/decisions/README.md", "docs/decisions")]
)
def test_an_index_names_every_page_below_it(index: str, folder: str) -> None:
    page = ROOT / index
    named = {(page.parent / unquote(target).partition("#")[0]).resolve() for target in links(page.read_text())}
    below = {path for path in (ROOT / folder).rglob("*.md") if path != page}
    if folder == "docs":
        # Each decision is in the index of decisions.
        below -= {path for path in below if path.parent.name == "decisions" and path.name != "README.md"}
    assert {str(path.relative_to(ROOT)) for path in below - named} == set()


def test_the_index_of_decisions_names_each_by_its_number_and_title() -> None:
    told = (DOCS / "decisions" / "README.md").read_text()
    for path in sorted((DOCS / "decisions").glob("0*.md")):
        number, title = path.read_text().splitlines()[0].removeprefix("# ").split(". ", 1)
        assert int(path.name[:4]) == int(number), path.name
        assert f"[{title}]({path.name})" in told, path.name


def test_the_readme_fits_on_two_screens() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= README_LINES
    assert [line for line in lines if len(line) > README_WIDTH] == []


def test_every_doc_that_code_settings_and_the_changelog_name_exists() -> None:
    named: dict[str, str] = {}
    for folder in ("referral_rewards", "workflows", "activities", "models", "worker", "programs", "deploy", "bench"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".yaml", ".yml", ".html", ".md"}:
                named |= dict.fromkeys(_NAMED_DOC.findall(path.read_text()), str(path.relative_to(ROOT)))
    for path in (*ROOT.glob("*.md"), ROOT / "docker-compose.yml", ROOT / "Makefile"):
        named |= dict.fromkeys(_NAMED_DOC.findall(path.read_text()), path.name)
    assert {doc: where for doc, where in named.items() if not (ROOT / doc).exists()} == {}


def test_this_check_finds_a_broken_link_and_a_broken_anchor(tmp_path: Path) -> None:
    page = DOCS / "README.md"
    assert not _leads(page, "no-such-page.md")
    assert not _leads(page, "specification.md#no-such-heading")
    assert not _leads(page, "../../outside.md")
    assert _leads(page, "specification.md#4-the-four-periods-normative")
    told = '[a](b.md) `[c](d.md)` ![e](f.svg)\n```\n[g](h.md)\n```\n<img src="i.png"> [`j`](k.md#l)'
    assert list(links(told)) == ["b.md", "f.svg", "i.png", "k.md#l"]


def test_anchors_are_those_of_a_code_host() -> None:
    told = "# 1. What it is\n## `payouts.rails`: which, and why?\n## Twice\n## Twice\n```\n# no heading\n```\n"
    assert anchors(told) == {"1-what-it-is", "payoutsrails-which-and-why", "twice", "twice-1"}
