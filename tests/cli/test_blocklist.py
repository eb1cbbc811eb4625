"""`referrals blocklist`, as it is typed: what is kept is marks, and every problem has one line."""

import json

import pytest

from tests.cli.conftest import Shell
from tests.desk import marks


def blocked(shell: Shell) -> set[str]:
    return {mark for (mark,) in shell.ask("SELECT mark FROM blocked_mark")}


def test_blocked_are_kept_as_marks_alone(shell: Shell) -> None:
    ran = shell("blocklist", "add", "--email", "Brie+x@Example.com", "--fingerprint", "card-1", "--why", "chargebacks")
    assert (ran.code, ran.out, ran.err) == (0, "2 blocked\n", "")
    assert blocked(shell) == marks(email="brie@example.com", payment_fingerprint="card-1")
    again = shell("blocklist", "add", "--email", "brie@example.com", "--device", "d1", "--why", "again")
    assert again.out == "1 blocked, 1 blocked before\n"
    (listed,) = [each for each in json.loads(shell("blocklist", "list", "--json").out) if "email" in each["mark"]]
    assert listed["why"] == "chargebacks"
    shown = shell("blocklist", "list").out
    assert "chargebacks" in shown
    assert "brie" not in shown.lower()


def test_removed_by_what_was_blocked_or_by_its_mark(shell: Shell) -> None:
    shell("blocklist", "add", "--email", "brie@example.com", "--phone", "+1 647 555 0100", "--why", "w")
    (phone,) = marks(phone="+16475550100")
    assert shell("blocklist", "remove", "--email", "BRIE@example.com", "--mark", phone).out == "2 trusted again\n"
    assert blocked(shell) == set()


@pytest.mark.parametrize(
    ("arguments", "code", "problems"),
    [
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
def test_problem_is_told_in_one_line_and_nothing_is_done(
    shell: Shell, arguments: list[str], code: int, problems: list[str]
) -> None:
    ran = shell("blocklist", *arguments)
    assert (ran.code, ran.problems) == (code, problems)
    assert blocked(shell) == set()
