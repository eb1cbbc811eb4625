"""What the pages say exists: commands with their options, settings, files, signals, fact types, rails and checks."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from referral_rewards.cli.commands import app
from referral_rewards.config.settings import Settings
from referral_rewards.config.site import SITE_PREFIX, SiteSettings
from referral_rewards.config.stack import PREFIX
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.findings import CheckCode, Flag
from referral_rewards.domain.claims.fraud import SIGNALS
from referral_rewards.domain.facts.intake_warnings import WarningKind
from referral_rewards.domain.facts.outcomes import Outcome
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Pages whose commands are typed by people. The specification names commands that are still to be built.
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md")),
    *sorted((DOCS / "guides").rglob("*.md")),
    *sorted((DOCS / "how-to").glob("*.md")),
]
#: Read by a command without being settings of a process, or by the tests.
OUTSIDE_SETTINGS = {"REFERRALS_TOKEN", "REFERRALS_USER"}

_SHELL = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:\.venv/bin/)?referrals [^`]+)`")
_SETTING = re.compile(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]\b(?!_?…)")
_FILE = re.compile(r"`([a-z_][\w.-]*(?:/[\w.-]+)+\.(?:py|html|css|js|sql|yml|yaml|jsonl|json|toml))`")


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of ours that a page shows, comments and redirections left out."""
    blocks = [block.replace("\\\n", " ") for block in _SHELL.findall(text)]
    lines = [line.partition(" #")[0] for block in blocks for line in block.splitlines()]
    for line in [*lines, *_INLINE.findall(text)]:
        for part in re.split(r"\s\|\s|\$\(|[;&)<>]", line):
            if found := re.match(r"\s*(?:\.venv/bin/)?referrals (.+)", part):
                yield shlex.split(found[1])


def wrong(words: list[str]) -> str | None:
    """What of a command line there is not; brackets and bars show alternatives and are read as each of them."""
    plain = [word.strip("[]") for word in words if word.strip("[]")]
    for alternative in _alternatives(plain):
        command: Any = app()
        path = list(alternative)
        while hasattr(command, "commands") and path:
            name = path.pop(0)
            if name.startswith("-") or name.isupper() or name == "…":
                return None
            if name not in command.commands:
                return f"no command {name!r}"
            command = command.commands[name]
            command = command.load() if hasattr(command, "load") else command
        options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {
            "--help",
            "-h",
        }
        for word in path:
            if word.startswith("--") and word.partition("=")[0] not in options:
                return f"{command.name} has no option {word}"
    return None


def _alternatives(words: list[str]) -> list[list[str]]:
    for place, word in enumerate(words):
        if "|" in word and re.fullmatch(r"[a-z|-]+", word):
            return [
                each
                for choice in word.split("|")
                for each in _alternatives([*words[:place], choice, *words[place + 1 :]])
            ]
    return [words]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_exists_with_its_options(page: Path) -> None:
    found = {" ".join(words): why for words in commands(page.read_text()) if (why := wrong(words)) is not None}
    assert found == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_of_a_page_exists(page: Path) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields} | OUTSIDE_SETTINGS
    known |= {SITE_PREFIX + field.upper() for field in SiteSettings.model_fields}
    assert set(_SETTING.findall(page.read_text())) - known == set()


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    roots = (ROOT, ROOT / "referral_rewards", page.parent)
    missing = {name for name in _FILE.findall(page.read_text()) if not any((root / name).exists() for root in roots)}
    assert missing == set()


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("guides/fraud.md", SIGNALS),
        ("guides/facts.md", FactType),
        ("guides/facts.md", WarningKind),
        ("guides/facts.md", Outcome),
        ("guides/rails.md", CATALOGUE),
        ("specification.md", CheckCode),
        ("specification.md", Flag),
    ],
    ids=["signals", "facts", "warnings", "outcomes", "rails", "checks", "flags"],
)
def test_a_page_names_everything_of_its_kind(page: str, names: list[str]) -> None:
    told = set(re.findall(r"`([\w.]+)`", (DOCS / page).read_text()))
    assert {str(name) for name in names} - told == set()


def test_the_contract_says_what_of_the_specification_is_not_built_yet() -> None:
    told = (DOCS / "contract" / "README.md").read_text().partition("## Not built yet")[2]
    missing = set(re.findall(r"`([\w.]+)`", told))
    promised = set(_promised_types((DOCS / "specification.md").read_text()))
    assert promised - set(FactType) <= missing
    assert missing & {*FactType, *DecisionKind} == set()


def _promised_types(text: str) -> Iterator[str]:
    """The types of the specification's table of facts, where `.claimed` is short for one beside it."""
    table = text.partition("| type | what it says")[2].partition("\n\n")[0]
    for row in table.splitlines()[2:]:
        stem = ""
        for name in re.findall(r"`([a-z_]*\.[a-z_]+)`", row.split("|")[1]):
            stem = name.partition(".")[0] or stem
            yield f"{stem}.{name.partition('.')[2]}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("`referrals queue --json`", None),
        ("```sh\nTOKEN=$(.venv/bin/referrals user add shop --scope events:write)\n```", None),
        ("```sh\nreferrals ledger export --format csv \\\n  --output a.csv   # a comment\n```", None),
        ("`referrals payout retry|cancel PAYOUT`", None),
        ("`referrals payout retry|revoke PAYOUT`", "no command 'revoke'"),
        ("`referrals quue`", "no command 'quue'"),
        ("`referrals queue --no-such-option`", "queue has no option --no-such-option"),
    ],
)
def test_this_check_reads_command_lines_as_people_type_them(text: str, why: str | None) -> None:
    (words,) = commands(text)
    assert wrong(words) == why
