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


def test_a_report_is_of_a_partner_or_of_one_referrer(kept: Shell) -> None:
    asked = ("--partner", "blogs", "--referrer", "mia")
    assert "mates, partner blogs, referrer mia, from the beginning" in kept("report", "program", "mates", *asked).out
    told = json.loads(kept("report", "program", "mates", *asked, "--json").out)
    assert (told["partner"], told["referrer"]) == ("blogs", "mia")


def test_the_budget_is_printed_for_people_for_programs_and_for_spreadsheets(kept: Shell) -> None:
    ran = kept("report", "budget", "mates")
    assert (ran.code, ran.err) == (0, "")
    assert "waiting for approvers" in ran.out
    assert json.loads(kept("report", "budget", "mates", "--json").out)["budget"]["spending"][0]["used_minor"] == 0
    assert kept("report", "budget", "mates", "--csv").out.startswith("program,as_of,figure,currency,value\n")
    assert kept("report", "budget", "mate").code == 1


def test_a_report_is_of_a_past_moment(kept: Shell) -> None:
    ran = kept("report", "program", "mates", "--as-of", "2020-01-31")
    assert (ran.code, ran.err) == (0, "")
    assert "as of 2020-02-01T" in ran.out
    wrong = kept("report", "budget", "mates", "--as-of", "soon")
    assert (wrong.code, "--as-of" in wrong.err) == (2, True)


def test_the_lifetime_value_is_printed_for_people_for_programs_and_for_spreadsheets(kept: Shell) -> None:
    ran = kept("report", "lifetime", "mates")
    assert (ran.code, ran.err) == (0, "")
    assert "first referral" in ran.out
    told = json.loads(kept("report", "lifetime", "mates", "--partner", "blogs", "--json").out)
    assert (told["partner"], told["referrers"], told["next"]) == ("blogs", [], None)
    assert kept("report", "lifetime", "mates", "--csv").out.startswith("program,as_of,referrer,month,currency,")
    assert kept("report", "lifetime", "mate").code == 2


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
