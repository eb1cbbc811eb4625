"""`referrals report program`: the measures for people, for programs and for spreadsheets."""

import json

import pytest

from models.session import Database
from tests.cli.conftest import Shell
from tests.register.crowd import Crowd


@pytest.fixture
def kept(shell: Shell) -> Shell:
    """A shell of an installation with a program that has no referral."""

    async def work(database: Database) -> None:
        await Crowd(database).publish("mates")

    shell.with_database(work)
    return shell


def test_the_measures_are_printed_for_people_and_for_programs(kept: Shell) -> None:
    ran = kept("report", "program", "mates", "--from", "2026-01-01")
    assert (ran.code, ran.err) == (0, "")
    said_of_none = "Eligibility accuracy: – (0 of 0 paid rewards hold all six parts)."
    for said in (
        "claims created",
        "end of the return period to decided",
        "from 2026-01-01 to before now",
        said_of_none,
    ):
        assert said in ran.out, said
    assert json.loads(kept("report", "program", "mates", "--json").out)["measures"]["claims_created"] == 0


def test_a_spreadsheet_gets_a_figure_a_line(kept: Shell) -> None:
    file = kept.folder / "mates.csv"
    ran = kept("report", "program", "mates", "--csv", "--output", file)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert file.read_text().startswith("program,from,to,as_of,figure,part,currency,value\nmates,,,")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("mate",), "mates"),
        (("mates", "--from", "2026-02-01", "--to", "2026-01-01"), "--to"),
        (("mates", "--from", "soon"), "--from"),
    ],
)
def test_a_mistake_is_one_line(kept: Shell, asked: tuple[str, ...], says: str) -> None:
    ran = kept("report", "program", *asked)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert says in ran.err
