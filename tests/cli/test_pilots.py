"""`referrals pilot`: started when the program is ready, shown for people and programs, and ended with a signature."""

import json

import pytest

from tests.cli.conftest import PROGRAM, Shell

MONTHLY = PROGRAM.read_text().replace("timing: immediate", "timing: {cycle: monthly, day: 15}")
AS = ("--as", "paula")
WHY = ("--reason", "new_program", "--note", "Before all customers are invited.", *AS)


@pytest.fixture
def staffed(shell: Shell) -> Shell:
    """A program that pays once a month, and a person for every role."""
    assert shell("program", "publish", shell.file("monthly.yaml", MONTHLY)).code == 0
    for name, role in [("fiona", "finance"), ("oscar", "operations")]:
        assert shell("user", "add", name, "--role", role).code == 0
        shell.confirm(name)
    return shell


def test_a_pilot_from_its_start_to_its_end(staffed: Shell) -> None:
    none = staffed("pilot", "show", "acme-friends")
    assert (none.code, none.out) == (0, "acme-friends had no pilot yet\n")
    ran = staffed("pilot", "start", "acme-friends", "--owner", "paula", "--first", "20", *WHY)
    assert (ran.code, ran.err) == (0, "")
    assert "recorded as decision 1: pilot started by paula (program owner)" in ran.out
    assert "the first 20 claims; 100 % of what is paid holds all six parts" in ran.out
    shown = staffed("pilot", "show", "acme-friends")
    assert (shown.code, shown.err) == (0, "")
    for said in ("owned by paula", "measured: undecided", "undecided: The pilot still runs.", "paid rewards: 0"):
        assert said in shown.out, said
    again = staffed("pilot", "start", "acme-friends", "--owner", "paula", *WHY)
    assert (again.code, again.problems) == (1, ["pilot of acme-friends: pilot 1 of it runs; end that first"])
    early = staffed("pilot", "end", "acme-friends", "--reason", "pilot_measured", "--note", "Done.", *AS)
    assert early.code == 2
    assert early.problems[-1].startswith("--reason: The pilot is not measured yet.")
    ended = staffed("pilot", "end", "acme-friends", "--reason", "something_wrong", "--note", "A code leaked.", *AS)
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "acme-friends: the pilot ended with no go")
    told = staffed("pilot", "show", "acme-friends", "--json")
    assert (told.code, json.loads(told.out)["pilot"]["ended"]["verdict"]) == (1, "no_go")
    assert "signed: no go by paula (program owner)" in staffed("pilot", "show", "acme-friends", "--number", "1").out


def test_a_program_that_is_not_ready_is_refused_with_a_line_for_each_gap(shell: Shell) -> None:
    shell.publish()
    ran = shell("pilot", "start", "acme-friends", "--owner", "paula", *WHY)
    assert (ran.code, ran.out) == (1, "")
    assert [line.partition(":")[0] for line in ran.problems] == ["people", "people"]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (("--owner", "paola"), "--owner: 'paola' is no user who can sign in; did you mean 'paula'?"),
        (("--owner", "paula", "--for", "soon"), "--for: "),
        (("--owner", "paula", "--referral", "r9"), "--referral: the program has no referral 'r9'"),
        (("--owner", "paula", "--threshold", "0"), "--threshold: "),
        (("--owner", "paula", "--reason", "why"), "--reason: 'why' is none of new_program, "),
    ],
)
@pytest.mark.suite_has(3)
def test_a_mistake_is_one_line_at_its_option(staffed: Shell, asked: tuple[str, ...], problem: str) -> None:
    ran = staffed("pilot", "start", "acme-friends", *WHY, *asked)
    assert (ran.code, ran.out, len(ran.problems)) == (2, "", 1)
    assert ran.problems[0].startswith(problem)
