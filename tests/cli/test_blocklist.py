"""`referrals blocklist`, as it is typed: what is kept is marks, and every problem has one line."""

import json

import pytest

from tests.cli.conftest import PROGRAM, Shell
from tests.desk import enrolment, life_of, marks


def blocked(shell: Shell) -> set[str]:
    return {mark for (mark,) in shell.ask("SELECT mark FROM blocked_mark")}


def test_blocked_are_kept_as_marks_alone(shell: Shell) -> None:
    ran = shell(
        "blocklist", "add", "--email", "Brie+x@Example.com", "--fingerprint", "card-1", "--why", "2 chargebacks in May"
    )
    assert (ran.code, ran.out, ran.err) == (0, "2 blocked\n", "")
    assert blocked(shell) == marks(email="brie@example.com", payment_fingerprint="card-1")
    again = shell("blocklist", "add", "--email", "brie@example.com", "--device", "d1", "--why", "again")
    assert again.out == "1 blocked, 1 blocked before\n"
    (listed,) = [each for each in json.loads(shell("blocklist", "list", "--json").out) if "email" in each["mark"]]
    assert listed["why"] == "2 chargebacks in May"
    shown = shell("blocklist", "list").out
    assert "2 chargebacks in May" in shown
    assert "brie" not in shown.lower()


def test_removed_by_what_was_blocked_or_by_its_mark(shell: Shell) -> None:
    shell("blocklist", "add", "--email", "brie@example.com", "--phone", "+1 647 555 0100", "--why", "w")
    (phone,) = marks(phone="+16475550100")
    assert shell("blocklist", "remove", "--email", "BRIE@example.com", "--mark", phone).out == "2 trusted again\n"
    assert blocked(shell) == set()


@pytest.mark.parametrize(
    ("arguments", "code", "problems"),
    [
        *(
            (
                ["add", "--device", "d1", "--why", why],
                2,
                ["--why: looks like an address or a phone number: only marks are kept, say it without"],
            )
            for why in ("chargebacks of brie@example.com", "called from +1 647 555 0100")
        ),
        (["add", "--why", "w"], 2, ["name at least one of --email, --phone, --customer, --device, --fingerprint"]),
        (
            ["add", "--email", "n/a", "--phone", "0000", "--customer", "b@x.com", "--why", "w"],
            2,
            [
                "--email: 'n/a' can't be compared with anybody's",
                "--phone: '0000' can't be compared with anybody's",
                "--customer: looks like an email address; ids stand in histories, send an opaque id",
            ],
        ),
        (["add", "--device", "d1", "--why", " "], 2, ["--why: say why, for whoever asks later"]),
        (["add", "--device", "d1"], 2, ["referrals blocklist add: Missing option '--why'."]),
        (["remove", "--mark", "email:0"], 1, ["there is no blocked mark 'email:0'"]),
        (["remove"], 2, ["name at least one of --email, --phone, --customer, --device, --fingerprint"]),
    ],
)
@pytest.mark.suite_has(4)
def test_problem_is_told_in_one_line_and_nothing_is_done(
    shell: Shell, arguments: list[str], code: int, problems: list[str]
) -> None:
    ran = shell("blocklist", *arguments)
    assert (ran.code, ran.problems) == (code, problems)
    assert blocked(shell) == set()


def test_approver_reads_which_signal_fired_and_why(shell: Shell) -> None:
    weights = "weights: {shared_ip: 15, blocklisted: 60, crowded_ip: 5, phase_of_the_moon: 1}\n"
    lines = [f"  {weights}" if "weights:" in line else line for line in PROGRAM.read_text().splitlines(keepends=True)]
    assert shell("program", "publish", shell.file("program.yaml", "".join(lines))).code == 0
    shell("blocklist", "add", "--email", "brie@example.com", "--why", "chargebacks")
    facts = "\n".join(map(json.dumps, [enrolment(), *life_of("brie", ip="203.0.113.9")]))
    assert shell("ingest", shell.file("facts.jsonl", facts)).code == 0
    shell.judge_all()
    shown = " ".join(shell("show", "brie").out.split())
    for told in (
        "score 60",
        "blocklist match 60 fired on the blocklist: email",
        "many referrals from one network address 5 silent 1 referral from one network address within 24 hours",
        "The fraud score is 60, the threshold 50: blocklist match (on the blocklist: email).",
        "The fraud signal “phase of the moon” could not run: there is no such signal.",
    ):
        assert told in shown
    contributions = json.loads(shell("show", "brie", "--json").out)["claim"]["contributions"]
    assert [each["signal"] for each in contributions] == ["blocklisted", "crowded_ip", "phase_of_the_moon", "shared_ip"]
