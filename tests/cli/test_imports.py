"""Another tool's export: the guide's examples as they are typed, what stays out, and what a second time changes."""

import csv
import re
import tracemalloc
from pathlib import Path

import pytest

from referral_rewards.cli import main
from referral_rewards.cli.facts.import_mappings import Tool, shipped
from tests.cli.conftest import Shell

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "importing.md").read_text()
_EXAMPLE = re.compile(
    r"```csv\n(.*?)```\n\n```console\n\$ referrals (import (\S+) --tool (\S+).*?)\n(.*?)```", re.DOTALL
)
EXAMPLES = {tool: (name, text, typed, told) for text, typed, name, tool, told in _EXAMPLE.findall(GUIDE)}
REWARDFUL = EXAMPLES["rewardful"][1]
HEADER, FIRST, PAID, RENEWED = REWARDFUL.splitlines(keepends=True)


def imported(shell: Shell, text: str, *options: str) -> list[dict[str, str]]:
    """What the report of a file says of each of its rows."""
    file = shell.file("export.csv", text)
    shell("import", file, "--tool", "rewardful", "--program", "acme-friends", "--report", "report.csv", *options)
    with (shell.folder / "report.csv").open(newline="") as report:
        return list(csv.DictReader(report))


def became(rows: list[dict[str, str]]) -> list[str]:
    return [row["became"] for row in rows]


def test_the_guide_has_an_example_of_every_tool() -> None:
    assert set(EXAMPLES) == set(Tool)


def test_each_example_of_the_guide_says_what_the_guide_says_and_can_be_written(shell: Shell) -> None:
    shell.publish()
    for tool, (name, text, typed, told) in EXAMPLES.items():
        shell.file(name, text)
        ran = shell(*typed.split())
        assert ran.err + ran.out == told, tool
        assert shell.ask(f"SELECT count(*) FROM fact WHERE source = 'import/{tool}'") == [(0,)]
        ran = shell(*typed.split(), "--write")
        assert ran.code == (1 if "refused" in told else 0), ran.err
        (facts,) = re.findall(r"; (\d+) facts, nothing was written", told)
        assert shell.ask(f"SELECT count(*) FROM fact WHERE source = 'import/{tool}'") == [(int(facts),)]
    shell.judge_all()
    open_ones = ("dub-cus_d1", "firstpromoter-55", "partnerstack-cust_1", "rewardful-r-1", "rewardstream-R-1")
    assert shell.ask("SELECT id, status FROM referral ORDER BY id") == [
        *((name, "awaiting_approval") for name in open_ones),
        ("rewardstream-R-3", "expired"),
    ]


def test_the_same_file_again_repeats_and_a_changed_row_is_in_conflict(shell: Shell) -> None:
    shell.publish()
    assert became(imported(shell, REWARDFUL, "--write")) == ["imported", "paid", "beside_paid"]
    assert became(imported(shell, REWARDFUL, "--write")) == ["repeated", "paid", "beside_paid"]
    changed = HEADER + FIRST.replace(",8000,", ",9000,")
    (row,) = imported(shell, changed, "--write")
    assert (row["became"], row["row"], row["facts"]) == ("conflict", "c-1", "5")
    assert "was recorded before with another payload" in row["why"]
    assert shell.ask("SELECT count(*) FROM fact") == [(5,)]


def test_a_row_waits_for_its_program(shell: Shell) -> None:
    assert became(imported(shell, HEADER + FIRST, "--write", "--wait")) == ["parked"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without an installation: what writes nothing needs none."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder: Path, text: str, *options: str) -> int:
    (folder / "export.csv").write_text(text)
    return main.run(["import", "export.csv", "--tool", "rewardful", "--program", "acme-friends", *options])


def report(folder: Path) -> list[str]:
    with (folder / "report.csv").open(newline="") as opened:
        return became(list(csv.DictReader(opened)))


def test_what_another_file_says_was_paid_stays_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "2025.csv").write_text(HEADER + PAID)
    assert run(folder, HEADER + FIRST + RENEWED, "--paid-in", "2025.csv") == 0
    assert (
        "line 3 c-3: beside a reward that the tool paid: the tool paid for the same referral: line 2 of 2025.csv"
        in (capsys.readouterr().out)
    )


def test_what_stands_behind_an_open_row_keeps_it_out_too(folder: Path) -> None:
    assert run(folder, HEADER + RENEWED + FIRST + PAID, "--report", "report.csv") == 0
    assert report(folder) == ["beside_paid", "would_be_imported", "paid"]


def test_a_status_that_nobody_knows_counts_as_paid(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = PAID.replace("paid,2026-07-01T00:00:00Z", "sent,")
    assert run(folder, HEADER + unknown + RENEWED, "--report", "report.csv") == 1
    assert report(folder) == ["refused", "beside_paid"]
    told = capsys.readouterr()
    assert (
        "line 2: refused: column state: has 'sent' of which the mapping does not say whether the tool paid" in told.err
    )
    assert told.out.endswith("0 facts, nothing was written\n")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("c-9,paid\n", "export.csv: line 3: has 2 cells where the header has 14"),
        (
            "c-9,paid" + "," * 12 + "\n",
            "export.csv: line 3: may have been paid, and names no referral, order or referee",
        ),
    ],
)
def test_nothing_is_written_while_a_row_may_be_of_a_paid_reward(
    folder: Path, capsys: pytest.CaptureFixture[str], broken: str, told: str
) -> None:
    """It asks no server: nothing is listening here."""
    assert run(folder, HEADER + FIRST + broken, "--write", "--report", "report.csv") == 1
    assert told in capsys.readouterr().err.splitlines()
    assert report(folder)[0] == "not_written"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["import"], "FILE: name the file that the tool exported"),
        (["import", "export.csv"], "--tool, --mapping: name the tool that wrote the file, or a mapping of your own"),
        (["import", "export.csv", "--tool", "dub"], "--program: name the program of ours that the rows belong to"),
        (["import", "none.csv", "--tool", "dub", "--program", "p"], "none.csv: no such file or directory"),
        (["import", "export.csv", "--tool", "dub", "--program", "p"], "export.csv: line 1: column 'type': is missing"),
        (["import", "zip.csv", "--tool", "dub", "--program", "p"], "zip.csv: is a workbook or another zip archive"),
        (
            ["import", "export.csv", "--mapping", "own.yaml", "--tool", "dub"],
            "--mapping: own.yaml is a mapping of rewardful",
        ),
        (["import", "export.csv", "--mapping", "bad.yaml"], "bad.yaml: row: is required"),
        (["import", "--print-mapping"], "--tool: name one of dub, firstpromoter"),
    ],
)
def test_what_can_not_be_imported_is_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], typed: list[str], told: str
) -> None:
    (folder / "export.csv").write_text(REWARDFUL)
    (folder / "zip.csv").write_bytes(b"PK\x03\x04")
    (folder / "own.yaml").write_text(shipped(Tool.REWARDFUL))
    (folder / "bad.yaml").write_text(shipped(Tool.REWARDFUL).replace("row: id\n", ""))
    assert main.run(typed) == 2
    assert any(line.startswith(told) for line in capsys.readouterr().err.splitlines())


def test_a_copy_of_a_mapping_reads_as_the_tool_s_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, REWARDFUL) == 0
    own = capsys.readouterr().out
    assert main.run(["import", "--tool", "rewardful", "--print-mapping"]) == 0
    (folder / "ours.yaml").write_text(capsys.readouterr().out)
    assert main.run(["import", "export.csv", "--mapping", "ours.yaml", "--program", "acme-friends"]) == 0
    assert capsys.readouterr().out == own


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rows", [2_000, pytest.param(20_000, marks=pytest.mark.chaos)])
@pytest.mark.chaos
def test_memory_does_not_grow_with_the_rows(folder: Path, capsys: pytest.CaptureFixture[str], rows: int) -> None:
    """Every second row was paid: what is kept of those is on disk."""
    _peak(folder, 1_000)  # what is loaded and remembered once is no growth
    few, many = _peak(folder, 1_000), _peak(folder, rows)
    # What parses the facts remembers at most 16,384 short texts; a row kept in memory would be some five hundred bytes.
    assert many < few * 1.5 + min(rows, 16_384) * 100
    assert f"{rows} rows: {rows // 2} would be imported, {rows // 2} paid by the tool" in capsys.readouterr().out


def _peak(folder: Path, rows: int) -> int:
    with (folder / "many.csv").open("w") as file:
        file.write(HEADER)
        for number in range(rows):
            row = FIRST if number % 2 else PAID
            file.write(re.sub(r"\b(c|r|cus|ch)([-_])[12]\b|(?:brie|olu)(?=@)", rf"\g<1>x\g<2>{number}", row))
    command = ["import", "many.csv", "--tool", "rewardful", "--program", "acme-friends", "--report", "report.csv"]
    tracemalloc.start()
    try:
        assert main.run(command) == 0
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
