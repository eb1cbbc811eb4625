"""Rooms import downwards only, and neither a verdict nor a workflow reads a clock or draws a random number."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
PURE = sorted((ROOT / "referral_rewards" / "domain").rglob("*.py"))
WORKFLOWS = sorted((ROOT / "workflows").rglob("*.py"))

CLOCKS = {
    *(f"datetime.{name}" for name in ("now", "utcnow", "today")),
    *("date.today", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"),
    *(f"time.{name}" for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep")),
}
CHANCE_MODULES = {"random", "secrets"}
CHANCE = {"uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4", "os.urandom", "os.getenv", "os.environ"}
INPUT_OUTPUT = {"socket", "subprocess", "threading", "asyncio", "urllib", "http", "sqlite3"}
#: Takes texts apart, whatever its neighbours do.
HARMLESS = {"urllib.parse"}


def test_rooms_import_downwards_only() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml")) == 0


def test_the_domain_reads_no_clock_draws_no_lots_and_does_no_input_or_output() -> None:
    offences = {path.name: list(_offences(path.read_text(), CHANCE_MODULES | INPUT_OUTPUT)) for path in PURE}
    assert {name: found for name, found in offences.items() if found} == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_ask_temporal_for_the_time_and_for_chance(path: Path) -> None:
    assert list(_offences(path.read_text(), CHANCE_MODULES)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\ndatetime.now()",
        "import datetime\nx = datetime.datetime.now(datetime.UTC)",
        "import time\ntime.time()",
        "from time import monotonic\nmonotonic()",
        "import random",
        "from random import choice",
        "from uuid import uuid4\nuuid4()",
        "import os\nos.environ['A']",
        "import datetime as dt\ndt.datetime.now()",
        "from datetime import datetime as when\nfield(default_factory=when.now)",
    ],
)
def test_this_check_finds_a_clock_or_chance_however_it_is_imported(source: str) -> None:
    assert list(_offences(source, CHANCE_MODULES))


def test_this_check_lets_workflow_time_pass() -> None:
    assert list(_offences("from temporalio import workflow\nworkflow.now()\nworkflow.uuid4()", CHANCE_MODULES)) == []


def _offences(source: str, modules: set[str]) -> Iterator[str]:
    """Each use of a clock or of chance, by the name it has where it comes from, and each import of `modules`."""
    tree = ast.parse(source)
    origin: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                origin[alias.asname or alias.name.partition(".")[0]] = alias.name
                if alias.name.partition(".")[0] in modules:
                    yield f"line {node.lineno}: import {alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                origin[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            if node.module not in HARMLESS and node.module.partition(".")[0] in modules:
                yield f"line {node.lineno}: from {node.module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = ast.unparse(node).partition(".")
            full = origin.get(first, first) + ("." + rest if rest else "")
            if full in CLOCKS | CHANCE:
                yield f"line {node.lineno}: {full}"


def test_no_command_loads_what_few_of_them_need() -> None:
    """Each costs a tenth of a second, before anything is done."""
    heavy = {"alembic", "fastapi", "httpx", "requests", "stripe", "temporalio", "tldextract"}
    heavy |= {"psycopg", "sqlalchemy", "pydantic", "pydantic_settings", "phonenumbers", "rich", "yaml"}
    loaded = "import sys, referral_rewards.cli.main; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True).stdout.split()
    assert heavy.isdisjoint(told)
