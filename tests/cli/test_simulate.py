"""`referrals simulate` as it is typed: figures, flows, the picture, JSON, and what it refuses."""

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import PROGRAM, Shell
from tests.cli.test_ingest import EXAMPLE

PAST = Path(__file__).parents[2] / "examples" / "demo" / "past.jsonl"
NEW = PROGRAM.read_text().replace('minimum: "50.00"', 'minimum: "80.01"').replace('percent: "10"', 'percent: "9"')
#: A referral that began later may be waiting still, whatever day it is today.
ASKED = ("simulate", "acme-friends", "--until", "2026-10-01", "--terms")
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def told(shell: Shell) -> Shell:
    """A shell whose register knows the examples, which no worker has judged."""
    shell.publish()
    assert shell("ingest", EXAMPLE).code == 0
    return shell


def test_a_change_of_terms_is_told_in_figures_and_flows(told: Shell) -> None:
    ran = told(*ASKED, told.file("new.yaml", NEW), "--changed")
    assert (ran.code, ran.problems) == (0, [])
    assert _row(ran.out, "approved") == ["4", "1", "−3"]
    assert _row(ran.out, "expired") == ["2", "6", "+4"]
    assert _row(ran.out, "cost, both sides") == ["124.00 USD", "25.00 USD", "−99.00 USD"]
    assert "approved     4  → approved     1  ███████" in ran.out
    assert _row(ran.out, "db1") == ["approved", "33.00 USD", "expired; no_conversion", "", "−33.00 USD"]
    assert "How this was reckoned:\n- Each claim is judged at the moment" in ran.out


def _row(out: str, name: str) -> list[str]:
    """The cells of the one table row that begins with that name."""
    (found,) = (line for line in out.splitlines() if line.split("\t")[0] == name and "\t" in line)
    return found.split("\t")[1:]


def test_json_says_the_same_for_programs(told: Shell) -> None:
    ran = told(*ASKED, told.file("new.yaml", NEW), "--json", "--changed")
    found = json.loads(ran.out)
    assert list(found) == [
        *("program", "at", "since", "until", "approve_flagged", "conventions", "referrals", "without_terms"),
        *("before", "after", "flows", "changed_referrals", "changed"),
    ]
    assert found["after"]["cost"] == [
        {"currency": "USD", "referrer_minor": 2500, "referee_minor": 0, "both_minor": 2500}
    ]
    assert found["before"]["reasons"]["denied"] == {"conversion_reversed": 1}
    assert sum(flow["referrals"] for flow in found["flows"]) == found["referrals"]
    assert found["changed_referrals"] == len(found["changed"]) == 4
    assert found["changed"][0]["cost_difference"] == [{"currency": "USD", "minor": -3300}]
    without = json.loads(told(*ASKED, told.folder / "new.yaml", "--json").out)
    assert "changed" not in without


def test_the_picture_says_what_it_shows(told: Shell) -> None:
    ran = told(*ASKED, told.file("new.yaml", NEW), "--picture", "flows.svg")
    assert ran.code == 0
    drawn = ElementTree.fromstring((told.folder / "flows.svg").read_text())
    assert (drawn.get("role"), drawn.get("aria-labelledby")) == ("img", "title desc")
    described = drawn.findtext(f"{_SVG}desc") or ""
    assert "3 from “approved” to “expired”." in described
    written = [text.text for text in drawn.iter(f"{_SVG}text")]
    assert {"approved  4", "124.00 USD", "3 referrals: approved → expired, −99.00 USD"} <= {*written}
    ribbons = list(drawn.iter(f"{_SVG}path"))
    assert len(ribbons) == described.count("from “")
    assert all(path.findtext(f"{_SVG}title") for path in ribbons)


def test_own_terms_agree_with_what_the_register_has_judged(told: Shell) -> None:
    """But for the facts that came after a claim was there to be approved: a refund, and the end of a dispute."""
    for program in PROGRAM.parent.glob("demo-*.yaml"):
        told("program", "publish", program)
    assert told("ingest", PAST).code == 0
    told.judge_all()
    ran = told(*ASKED, told.file("new.yaml", NEW), "--json", "--changed")
    replayed = {each["referral"]: each["before"] for each in json.loads(ran.out)["changed"]}
    listed = {each["referral"]: each for each in json.loads(told("list", "--json").out)}
    differing = {name for name, verdict in replayed.items() if _judged(listed[name]) != _replayed(verdict)}
    assert len(replayed) > 30
    assert differing == {"fight2", "gone1"}


def _judged(listed: dict[str, object]) -> tuple[object, ...]:
    claim = listed["claim"]
    if not isinstance(claim, dict) or listed["status"] in ("denied", "expired", "withdrawn"):
        return (listed["status"], listed["reason"])
    outcome = "approved" if claim["recommendation"] == "approve" else "for_a_person"
    return (outcome, {*claim["flags"]}, sum(leg["amount_minor"] for leg in claim["legs"]))


def _replayed(verdict: dict[str, object]) -> tuple[object, ...]:
    if verdict["outcome"] in ("denied", "expired", "withdrawn"):
        return (verdict["outcome"], verdict["reason"])
    return (verdict["outcome"], {*verdict["flags"]}, verdict["referrer_minor"] + verdict["referee_minor"])  # type: ignore[operator]


def test_a_period_of_the_past_is_asked_about_by_the_programs_days(told: Shell) -> None:
    arguments = ("simulate", "acme-friends", "--terms", told.file("new.yaml", NEW))
    ran = told(*arguments, "--since", "2026-06-01", "--until", "2026-06-02")
    assert ran.out.startswith("acme-friends: 5 referrals begun from 2026-06-01 and before 2026-06-02, under their own")
    assert "Referrals that began before the period are replayed" in ran.out


def test_every_problem_is_named_at_once(told: Shell) -> None:
    bad = told.file("bad.yaml", NEW.replace("currency: USD", "currency: US").replace("offer: P30D", "offer: soon"))
    arguments = ("--since", "june", "--until", "2026-13-01", "--picture", "nowhere/flows.svg")
    ran = told("simulate", "acme-friends", "--terms", bad, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert [line.split(":")[0] for line in ran.problems] == [
        *("currency", "periods.offer", "--since", "--until", "--picture")
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("other", "--terms", "new.yaml"), 2, "program: new.yaml holds the terms of acme-friends, not of other"),
        (("acme-friends", "--terms", "none.yaml"), 2, "none.yaml: no such file or directory"),
        (
            ("acme-friends", "--terms", "new.yaml", "--since", "2026-06-02", "--until", "2026-06-02"),
            2,
            "--until: 2026-06-02 is not after 2026-06-02: no referral can have begun between them",
        ),
        (("acme-friends", "--terms", "new.yaml"), 1, "there is no program 'acme-friends'"),
    ],
)
def test_what_can_not_be_computed_is_refused_in_one_line(
    shell: Shell, arguments: tuple[str, ...], code: int, problem: str
) -> None:
    shell.file("new.yaml", NEW)
    ran = shell("simulate", *arguments)
    assert (ran.code, ran.out, ran.problems) == (code, "", [problem])


def test_terms_that_nobody_can_have_meant_are_replayed_and_named(told: Shell) -> None:
    unclear = NEW.replace('amount: "1000.00"', 'amount: "10.00"')
    ran = told(*ASKED, told.file("new.yaml", unclear))
    assert ran.code == 0
    assert ran.problems[0].startswith("unclear: limits.per_referrer.amount: ")


def test_a_picture_that_can_not_be_written_is_one_line(told: Shell) -> None:
    (told.folder / "taken").mkdir()
    ran = told("simulate", "acme-friends", "--terms", told.file("new.yaml", NEW), "--picture", "taken")
    assert (ran.code, ran.problems) == (2, ["--picture: taken is a folder"])


def test_a_program_without_referrals_has_figures_of_nothing(shell: Shell) -> None:
    shell.publish()
    ran = shell("simulate", "acme-friends", "--terms", shell.file("new.yaml", NEW), "--picture", "flows.svg")
    assert (ran.code, _row(ran.out, "approved")) == (0, ["0", "0", "0"])
    assert "No outcome and no cost changes." in (shell.folder / "flows.svg").read_text()
    assert os.path.getsize(shell.folder / "flows.svg") < 4000
