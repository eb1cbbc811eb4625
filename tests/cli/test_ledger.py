"""`referrals ledger`: the trial balance, and files that other programs keep books by."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from beancount.loader import load_file

from models.session import Database
from referral_rewards.domain.books import ledger
from referral_rewards.register.books.ledger import post
from tests.cli.conftest import Shell

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def kept(shell: Shell) -> Shell:
    """A shell of an installation that approved a reward on the first of July and paid it on the second."""

    async def work(database: Database) -> None:
        async with database.transaction() as connection:
            for entry, at in (
                (ledger.accrued("l1", "acme-friends", "c-brie", 2500, "USD"), AT),
                (ledger.settled("po1", "tremendous", "c-brie", 2500, "USD"), AT.replace(day=2)),
            ):
                await post(connection, entry, program="acme-friends", referral="r1", at=at)

    shell.with_database(work)
    return shell


def test_the_trial_balance_is_printed(kept: Shell) -> None:
    ran = kept("ledger", "balance")
    assert ran.code == 0
    for told in ("As of now", "clearing:tremendous", "expense:acme-friends"):
        assert told in ran.out
    assert "payable:c-brie" not in ran.out
    assert ran.out.count("25.00 USD") == 4
    assert "payable:c-brie" in kept("ledger", "balance", "--all").out


def test_the_trial_balance_of_a_day_is_that_of_its_end(kept: Shell) -> None:
    told = json.loads(kept("ledger", "balance", "--at", "2026-07-01", "--json").out)
    assert [each["account"] for each in told["accounts"]] == ["expense:acme-friends", "payable:c-brie"]
    assert told["totals"] == [{"currency": "USD", "debit_minor": 2500, "credit_minor": 2500}]
    told = json.loads(kept("ledger", "balance", "--at", "2026-06-30", "--json").out)
    assert (told["accounts"], told["totals"]) == ([], [])


def test_an_export_is_written_to_a_file_that_beancount_reads(kept: Shell) -> None:
    file = kept.folder / "books.beancount"
    ran = kept("ledger", "export", "--format", "beancount", "--output", file)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert load_file(str(file))[1] == []
    assert kept("ledger", "export", "--format", "beancount").out == file.read_text()
    since = kept("ledger", "export", "--format", "csv", "--since", "2026-07-02", "--until", "2026-07-02").out
    assert [line.split(",")[6] for line in since.splitlines()[1:]] == ["payable:c-brie", "clearing:tremendous"]


def test_a_file_stays_as_it_was_where_the_export_fails(kept: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kept.file("books.csv", "before")
    monkeypatch.setenv("REFERRALS_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("REFERRALS_TOKEN", "rrt_any")
    ran = kept("ledger", "export", "--format", "csv", "--output", file)
    assert (ran.code, len(ran.problems)) == (1, 1)
    assert file.read_text() == "before"
    assert [each.name for each in file.parent.glob("*books*")] == ["books.csv"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("export",),
        ("export", "--format", "ods"),
        ("export", "--format", "csv", "--since", "yesterday"),
        ("export", "--format", "csv", "--since", "2026-07-02", "--until", "2026-07-01"),
        ("export", "--format", "csv", "--output", Path("nowhere/books.csv")),
        ("balance", "--at", "0"),
    ],
)
def test_bad_input_is_told_in_a_line(kept: Shell, arguments: tuple[str | Path, ...]) -> None:
    ran = kept("ledger", *arguments)
    assert (ran.code, ran.out, len(ran.problems)) == (2, "", 1)


def test_books_that_say_something_else_than_the_register_are_found(kept: Shell) -> None:
    """No leg and no payout stands behind what was posted here."""
    ran = kept("ledger", "check")
    assert (ran.code, ran.out, len(ran.problems)) == (1, "", 4)
    told = json.loads(kept("ledger", "check", "--json").out)
    assert (told["agree"], told["problems"]) == (False, ran.problems)


def test_books_without_an_entry_say_what_the_register_does(shell: Shell) -> None:
    ran = shell("ledger", "check")
    assert (ran.code, ran.out, ran.err) == (0, "the books say what the register does\n", "")
