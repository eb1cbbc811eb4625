"""`referrals report liabilities`: what is owed at a date, for people, for programs and for spreadsheets."""

import json

import pytest

from tests.cli.conftest import Shell
from tests.cli.test_ledger import kept

__all__ = ["kept"]


def test_it_is_printed_for_people_and_for_programs(kept: Shell) -> None:
    ran = kept("report", "liabilities", "--as-of", "2026-07-01")
    assert (ran.code, ran.err) == (0, "")
    for said in ("as of 2026-07-02T00:00:00Z", "c-brie", "25.00 USD", "These totals agree with the ledger."):
        assert said in ran.out, said
    assert "total\tpayable\t25.00 USD\n" in ran.out
    told = json.loads(kept("report", "liabilities", "--as-of", "2026-07-01", "--json").out)
    assert [(each["owner"], each["owed_minor"]) for each in told["accounts"]] == [("c-brie", 2500)]
    assert json.loads(kept("report", "liabilities", "--json").out)["accounts"] == []


def test_a_spreadsheet_gets_an_account_a_line(kept: Shell) -> None:
    file = kept.folder / "owed.csv"
    ran = kept("report", "liabilities", "--as-of", "2026-07-01", "--csv", "--output", file)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert file.read_text() == (
        "as_of,program,kind,owner,currency,owed,owed_minor\n2026-07-02T00:00:00Z,,payable,c-brie,USD,25.00,2500\n"
    )


@pytest.mark.parametrize(("asked", "says"), [(("--as-of", "soon"), "--as-of"), (("--program", "nobody"), "--program")])
def test_a_mistake_is_one_line(kept: Shell, asked: tuple[str, ...], says: str) -> None:
    ran = kept("report", "liabilities", *asked)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert says in ran.err
