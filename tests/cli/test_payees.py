"""`referrals payee` and `referrals report tax`: what is known of payees, for people, scripts and spreadsheets."""

import json

import pytest

from models.session import Database
from referral_rewards.domain.facts.events import parse_event
from tests.cli.conftest import Shell
from tests.register.crowd import INTAKE, NOW, told


@pytest.fixture
def kept(shell: Shell) -> Shell:
    """A shell of an installation that was told of a payee's form and method."""

    async def work(database: Database) -> None:
        facts = [
            told("f", "payee.tax_form_filed", 3, {"payee": "dexter", "form": "W-9", "withholding_percent": "30"}),
            told("m", "payee.method_set", 2, {"payee": "dexter", "rail": "tremendous"}),
        ]
        async with database.transaction() as connection:
            await INTAKE.record(connection, list(map(parse_event, facts)), received_at=NOW)

    shell.with_database(work)
    return shell


def test_a_payee_is_shown_for_people_and_for_programs(kept: Shell) -> None:
    ran = kept("payee", "show", "dexter", "--year", "2026")
    assert ran.code == 0
    for said in ("form W-9, valid, 30 % withheld", "0.00 USD of 2000.00 USD", "tremendous"):
        assert said in ran.out, said
    shown = json.loads(kept("payee", "show", "dexter", "--json").out)
    assert (shown["tax"][0]["standing"], shown["rewards"]) == ("in_force", [])
    assert json.loads(kept("payee", "list", "--held", "--json").out) == []


def test_a_payee_nobody_heard_of_is_one_line(kept: Shell) -> None:
    ran = kept("payee", "show", "nobody")
    assert (ran.code, ran.err) == (1, "there is no payee 'nobody'\n")


@pytest.mark.parametrize("asked", [("--year", "soon"), ("--year", "1"), (), ("--year", "2026", "--regime", "mars")])
def test_a_report_that_is_asked_for_wrongly_is_one_line(kept: Shell, asked: tuple[str, ...]) -> None:
    ran = kept("report", "tax", *asked)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)


def test_the_report_is_written_to_a_file(kept: Shell) -> None:
    file = kept.folder / "tax.csv"
    ran = kept("report", "tax", "--year", "2026", "--regime", "us", "--output", file)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert file.read_text() == kept("report", "tax", "--year", "2026").out
    assert json.loads(kept("report", "tax", "--year", "2026", "--json").out) == {"year": 2026, "payees": []}
    assert file.read_text().startswith("payee,regime,currency,cash,credit,discount,gift_card,total,threshold")


def test_a_statement_is_a_table_a_file_and_json(kept: Shell) -> None:
    assert kept("payee", "statement", "dexter", "--csv").out.splitlines()[0].startswith("at,event,currency")
    assert json.loads(kept("payee", "statement", "dexter", "--json").out)["currencies"] == []
    assert (
        kept("payee", "statement", "dexter").err
        == "nothing was earned, paid or taken back until the end of this period\n"
    )
    wrong = kept("payee", "statement", "dexter", "--from", "soon")
    assert (wrong.code, wrong.problems) == (2, ["--from: is a day such as 2026-07-01"])
    assert kept("payee", "statement", "nobody").err == "there is no payee 'nobody'\n"
