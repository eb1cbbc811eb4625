"""`referrals audit`: findings a line each, the exit code, and the report as files."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from models.session import Database
from tests.cli.conftest import Shell
from tests.register.crowd import Crowd


@pytest.fixture
def kept(shell: Shell) -> Shell:
    """A shell of an installation with a program that paid nothing."""

    async def work(database: Database) -> None:
        await Crowd(database).publish("mates")

    shell.with_database(work)
    return shell


def test_nothing_found_ends_with_zero_and_both_files_say_so(kept: Shell) -> None:
    folder = kept.folder / "july"
    ran = kept("audit", "mates", "--from", "2026-07-01", "--to", "2026-08-01", "--out", folder)
    assert (ran.code, ran.out, ran.err) == (0, "0 rewards, 0 findings\n", "")
    assert json.loads((folder / "audit.json").read_text())["statement"]["program"] == "mates"
    assert "Audit of the rewards of mates" in (folder / "audit.html").read_text()


def test_a_finding_is_a_line_and_ends_with_one(kept: Shell) -> None:
    async def work(database: Database) -> None:
        async with database.transaction() as connection:
            await connection.execute(text(_STRAY))

    kept.with_database(work)
    ran = kept("audit", "mates")
    assert (ran.code, ran.err) == (1, "")
    first, last = ran.out.splitlines()
    assert first.startswith("no reward: ledger: the books have an entry that no reward explains (ledger_transaction ")
    assert last == "0 rewards, 1 finding"
    assert json.loads(kept("audit", "mates", "--json").out)["statement"]["findings"]["count"] == 1


_STRAY = """
WITH t AS (
    INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)
    VALUES (gen_random_uuid(), 'settled:00000000-0000-0000-0000-000000000001', 'Payout settled', now(), 'mates', '')
    RETURNING id
)
INSERT INTO posting (transaction_id, account, amount_minor, currency)
SELECT t.id, l.account, l.amount, 'USD'
FROM t CROSS JOIN (VALUES ('expense:mates', 1), ('clearing:x', -1)) AS l(account, amount)
"""


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (("mate",), 1, "mates"),
        (("mates", "--from", "2026-02-01", "--to", "2026-01-01"), 2, "--to"),
        (("mates", "--from", "soon"), 2, "--from"),
        (("mates", "--cycle", "2026-02-01", "--from", "2026-01-01"), 2, "--cycle"),
    ],
)
def test_a_mistake_is_one_line(kept: Shell, asked: tuple[str, ...], code: int, says: str) -> None:
    ran = kept("audit", *asked)
    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert says in ran.err


def test_a_file_in_the_place_of_the_folder_is_refused(kept: Shell, tmp_path: Path) -> None:
    (tmp_path / "july").write_text("")
    ran = kept("audit", "mates", "--out", tmp_path / "july")
    assert (ran.code, "--out" in ran.err) == (2, True)
