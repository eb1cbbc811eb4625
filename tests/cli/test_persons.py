"""`referrals person` and `referrals keys`, as they are typed: addresses come by the input, never as an argument."""

import io
import json
import sys

import pytest

from tests.cli.conftest import Shell
from tests.desk import enrolment, life_of


@pytest.fixture
def told(shell: Shell) -> Shell:
    shell.publish()
    facts = shell.file("facts.jsonl", "".join(f"{json.dumps(each)}\n" for each in (enrolment(), *life_of("r1")[:1])))
    assert shell("ingest", facts).code == 0
    shell.judge_all()
    return shell


def typed(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))


def test_a_person_is_exported_and_erased_by_an_address_from_the_input(
    told: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "r1@example.com\n")
    ran = told("person", "export", "--email")
    shown = json.loads(ran.out)
    assert [each["told"]["referee"]["email"] for each in shown["facts"]] == ["r1@example.com"]
    typed(monkeypatch, "r1@example.com\n")
    assert told("person", "erase", "--email").out == "erased: 1 texts, 0 events of sources\n"
    shown = json.loads(told("person", "export", "--customer", "c-r1").out)
    assert [each["told"] for each in shown["facts"]] == [None]
    (listed,) = json.loads(told("person", "erasures", "--json").out)
    assert (listed["waits"], listed["texts_blanked"]) == ([], 1)
    assert "example.com" not in str(told.ask("SELECT CAST(e AS text) FROM person_erasure e"))


@pytest.mark.parametrize(
    ("arguments", "said", "code", "problem"),
    [
        ((), "", 2, "name the person by at least one of --referrer, --customer, --email, --phone"),
        (("--email",), "n/a\n", 2, "--email: is no email address"),
        (("--email",), "", 2, "--email: is no email address"),
        (("--phone",), "555 0100\n", 2, "--phone: is no phone number with its country, as +1 415 555 0100"),
        (("--customer", "a@b.com"), "", 2, "--customer: looks like an email address"),
        (("--customer", "nobody"), "", 1, "there is no person"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: tuple[str, ...], said: str, code: int, problem: str, told: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("export", "erase"):
        typed(monkeypatch, said)
        ran = told("person", command, *arguments)
        assert (ran.code, ran.out) == (code, "")
        assert problem in ran.err
        assert len(ran.err.splitlines()) == 1


def test_keys_are_listed_and_there_is_nothing_to_seal_anew(told: Shell) -> None:
    (only,) = json.loads(told("keys", "list", "--json").out)
    assert (only["is_newest"], only["rows"]) == (True, 2)
    assert told("keys", "reseal").out == "0 rows sealed anew, 0 left under other keys\n"
