"""Lists: a table that fits its terminal, plain text with tabs where it is piped, CSV and JSON on request."""

import csv
import io
import json
import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from referral_rewards.cli.layout import laid_out
from referral_rewards.cli.listing import write_totals
from referral_rewards.cli.output import Column, Form, tsv_line, write_list
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.reporting.lists import audit, clawbacks, cycles, payees, payouts, referrals
from referral_rewards.reporting.queue import sheet as queue
from tests.cli.conftest import Shell
from tests.cli.test_ingest import EXAMPLE

COLUMNS = (
    Column("id", lambda each: each["id"]),
    Column("words", lambda each: each["words"]),
    Column("extra", lambda each: each.get("extra"), spare=1),
)
RECORDS = [{"id": "a", "words": "two\nlines"}, {"id": "b", "words": "=1+1\tx", "extra": 2}]

LISTS = [
    "list",
    "queue",
    "payout list",
    "clawback list",
    "cycle list",
    "payee list",
    "program list",
    "user list",
    "token list paula",
    "blocklist list",
    "log",
]
#: What finance lists is written as the API's own sheet, in which each amount stands beside its currency.
SHEETS = {
    "list": referrals.REFERRALS.columns,
    "queue": queue._COLUMNS,
    "payout list": payouts.PAYOUTS.columns,
    "clawback list": clawbacks.CASES.columns,
    "cycle list": cycles.CYCLES.columns,
    "payee list": payees.PAYEES.columns,
    "log": audit.AUDIT.columns,
}


def on_terminal(columns: int, *arguments: str) -> tuple[str, str]:
    """What a command writes on a terminal so wide, and beside it."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "referral_rewards.cli.main", *arguments],
        stdout=its,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1"},
    ) as process:
        os.close(its)
        written = b""
        try:
            while piece := os.read(ours, 65536):
                written += piece
        except OSError:
            pass  # its end was closed
        assert process.stderr is not None
        beside = process.stderr.read()
    os.close(ours)
    return written.decode(), beside


def test_a_table_fits_80_columns_and_is_whole_on_a_wide_terminal(shell: Shell) -> None:
    shell.publish()
    shell("ingest", EXAMPLE)
    shell.judge_all()
    narrow, _ = on_terminal(80, "list")
    wide, _ = on_terminal(240, "list")
    assert max(map(cell_len, narrow.splitlines())) <= 80
    assert "deadline" in wide.splitlines()[0]
    rows = shell("list").out.splitlines()[1:]
    for line in rows:
        referral, *_, status = line.split("\t")[:4]
        assert any(shown.split()[:1] == [referral] and label("status", status) in shown for shown in wide.splitlines())
    assert len(narrow.splitlines()) == len(wide.splitlines()) == len(rows) + 2


@pytest.mark.parametrize("command", LISTS)
@pytest.mark.suite_has(2)
def test_every_list_is_piped_as_text_with_tabs_and_takes_csv_and_a_limit(shell: Shell, command: str) -> None:
    shell.publish()
    shell("user", "add", "paula", "--role", "finance")
    shell("ingest", EXAMPLE)
    shell.judge_all()
    piped, sheet = shell(*command.split()), shell(*command.split(), "--csv")
    asked = json.loads(shell(*command.split(), "--json").out)
    lines = [line.split("\t") for line in piped.out.splitlines()]
    rows = list(csv.reader(io.StringIO(sheet.out)))
    assert (piped.code, sheet.code) == (0, 0)
    assert len({len(line) for line in lines}) == 1
    assert rows[0] == list(SHEETS.get(command, lines[0]))
    assert len(rows) == len(lines) == len(asked) + 1
    assert not set(piped.out) & set("│┃─━\x1b")
    first = json.loads(shell(*command.split(), "--json", "--limit", "1").out)
    assert [each for each in first if "since" not in each] == [each for each in asked[:1] if "since" not in each]
    assert len(shell(*command.split(), "--limit", "1").out.splitlines()) == min(2, len(lines))


def test_csv_and_json_at_once_are_refused(shell: Shell) -> None:
    ran = shell("list", "--csv", "--json")
    assert (ran.code, ran.problems) == (2, ["--json, --csv: choose one of the two"])


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (Form(), "id\twords\textra\na\ttwo; lines\t\nb\t=1+1 x\t2\n"),
        (Form(as_csv=True), 'id,words,extra\na,"two\nlines",\nb,\'=1+1\tx,2\n'),
        (Form(limit=1), "id\twords\textra\na\ttwo; lines\t\n"),
        (Form(as_json=True, limit=1), '[\n{"id": "a", "words": "two\\nlines"}\n]\n'),
    ],
)
def test_a_list_in_each_form(form: Form, written: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_list(COLUMNS, RECORDS, form)
    assert capsys.readouterr().out == written


@pytest.mark.parametrize(
    ("form", "written"), [(Form(), "id\twords\textra\n"), (Form(as_csv=True), "id,words,extra\n"), (Form(True), "[]\n")]
)
def test_a_list_of_nothing_still_has_its_heading(form: Form, written: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_list(COLUMNS, [], form)
    assert capsys.readouterr().out == written


def test_people_read_labels_and_programs_codes() -> None:
    column = Column("status", lambda each: each, vocabulary="status")
    assert column.text("awaiting_approval", for_people=True) == "awaiting approval"
    assert column.text("awaiting_approval", for_people=False) == "awaiting_approval"
    assert column.text("on_hold\npaying", for_people=True) == "on hold\nbeing paid"
    assert column.text(None, for_people=True) == ""


def test_what_would_steer_a_terminal_is_not_passed_on() -> None:
    assert tsv_line(["\x1b[31mred", "a\tb\r\nc", None, 5]) == " [31mred\ta b; c\t\t5\n"
    (_, _, row), _ = laid_out(["x"], [["\x1b[31mred"]], [0], 80)
    assert row == "[31mred"


def test_a_spare_column_goes_before_an_id_is_folded() -> None:
    number = "0193a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b"
    lines, left_out = laid_out(
        ["payout", "since", "to do"], [[number, "2026-11-29T10:00:00Z", "look at the provider's page"]], [0, 2, 1], 60
    )
    assert left_out == ["since"]
    assert lines[2:] == [f"{number}  look at the provider's", " " * 38 + "page"]


texts = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z", "M")), max_size=30)


@given(rows=st.lists(st.lists(st.lists(texts, max_size=4).map(" ".join), min_size=3, max_size=3), max_size=4),
       spare=st.lists(st.integers(0, 2), min_size=3, max_size=3), width=st.integers(40, 120))  # fmt: skip
def test_no_line_is_wider_than_the_terminal_and_no_text_is_cut(
    rows: list[list[str]], spare: list[int], width: int
) -> None:
    lines, left_out = laid_out(["one", "two", "three"], rows, spare, width)
    assert all(cell_len(line) <= width for line in lines)
    kept = [at for at, heading in enumerate(["one", "two", "three"]) if heading not in left_out]
    assert sorted("".join("".join(row[at] for at in kept) for row in rows).replace(" ", "")) == sorted(
        "".join(lines[2:]).replace(" ", "")
    )


def test_the_log_counts_what_matches_and_has_no_sums(shell: Shell) -> None:
    shell.publish()
    ran = shell("log", "--kind", "program version published", "--totals")
    assert (ran.code, ran.out, ran.err) == (0, "1 match\n", "")


def test_of_a_list_with_amounts_nothing_that_matches_has_a_heading(shell: Shell) -> None:
    ran = shell("payout", "list", "--totals")
    assert (ran.code, ran.out, ran.err) == (0, "currency\trows\n", "0 match\n")


def test_a_limit_shortens_a_list_and_not_its_totals(capsys: pytest.CaptureFixture[str]) -> None:
    sums = [{"currency": each, "rows": 2, "sums_minor": {"amount": 500}} for each in ("EUR", "USD")]
    write_totals({"count": {"count": 4, "at_least": False}, "by_currency": sums}, Form(limit=1))
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["currency", "EUR", "USD"]
