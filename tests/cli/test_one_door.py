"""Commands go through the API with one's own token: each of them is refused where that is none, or nobody's."""

import inspect
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from typer.core import TyperArgument

from models.session import Database
from referral_rewards.cli.commands import app
from referral_rewards.config.credentials import Purpose, store, store_defaults
from referral_rewards.domain.people.authority import Role
from referral_rewards.register.people import tokens, users
from tests.cli.conftest import PROGRAM, Shell

#: What speaks to nobody, or opens the database: it takes no token.
WITHOUT_TOKEN: Final = {
    *("up", "api", "worker", "replay", "site", "db upgrade", "db grants"),
    *("ledger check", "decisions verify"),  # for whoever audits from outside
    "program lint",
}
UUID: Final = "00000000-0000-0000-0000-000000000001"
#: A value for what a command takes, by the name that its help gives it.
VALUES: Final = {
    "FILE": "facts.jsonl",
    "FILE.yaml": "program.yaml",
    "PROGRAM": "acme-friends",
    **dict.fromkeys(("PAYOUT", "CASE", "CYCLE", "PAYMENT", "ID"), UUID),
    "[EMAIL]": "x@example.com",
    "AMOUNT": "1.00",
    "DATE": "2026-01-01",
    "TIME": "2026-01-01T00:00Z",
}


def commands() -> Iterator[tuple[str, Any]]:
    """Every command of the tree, by the words that name it."""

    def below(group: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name, each in group.commands.items():
            each = each.load() if hasattr(each, "load") else each
            if hasattr(each, "commands"):
                yield from below(each, (*words, name))
            else:
                yield " ".join((*words, name)), each

    yield from below(app(), ())


TREE: Final = dict(commands())
#: An import speaks to the API once it is to write.
SPEAKING: Final = sorted(TREE.keys() - WITHOUT_TOKEN - {"import"})


def words_of(name: str, command: Any) -> list[str]:
    """A command with all that it can't do without, each of a form that can be taken."""
    words = name.split()
    for each in command.params:
        if each.name in _ALSO.get(name, ()) or each.required:
            value = _value(name, each)
            words += [value] if isinstance(each, TyperArgument) else [each.opts[0], value]
    return words


#: What else a command needs to be told that its signature does not say.
_ALSO: Final = {
    **dict.fromkeys(("approve", "deny", "hold", "release", "request-evidence", "reopen"), ("referrals",)),
    "adjust": ("amount",),
    "user add": ("scopes",),
    "user marks": ("customer",),
    "user contact": ("email",),
    "user link": ("issuer", "subject"),
    **dict.fromkeys(("person export", "person erase"), ("referrers",)),
    "blocklist add": ("devices",),
    "blocklist remove": ("devices",),
}


def _value(name: str, parameter: Any) -> str:
    if parameter.name == "reason":
        # A decision's help ends with its reasons.
        said = re.search(r"Reasons: (\w+)", inspect.getdoc(TREE[name].callback) or TREE[name].help)
        assert said is not None
        return said[1]
    kind = parameter.type_descriptor.annotation
    for each in (kind, *get_args(kind)):
        if isinstance(each, type) and issubclass(each, Enum):
            return str(next(iter(each)).value)
    if kind is int:
        return "2026"
    return VALUES.get(parameter.metavar or "", "x")


@pytest.fixture
def asking(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell with what commands are given here: files, and a password by standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    shell.file("facts.jsonl", "")
    shell.file("program.yaml", PROGRAM.read_bytes())
    return shell


def refused(shell: Shell, name: str) -> str:
    """The one line with which a command is refused that could otherwise be taken."""
    ran = shell(*words_of(name, TREE[name]))
    assert (ran.code, ran.out, len(ran.problems)) == (2, "", 1), (name, ran)
    return ran.problems[0]


def test_every_command_that_speaks_to_the_api_refuses_a_token_that_is_nobodys(
    asking: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFERRALS_TOKEN", "rrt_nobodys")
    told = {name: refused(asking, name) for name in SPEAKING}
    assert set(told.values()) == {
        "REFERRALS_TOKEN: is not accepted by the API: the token is nobody's, was revoked, or has expired"
    }


def test_every_command_that_speaks_to_the_api_says_what_to_do_without_a_token(
    asking: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    (asking.folder / ".local" / "credentials.json").unlink()
    told = {name: refused(asking, name) for name in SPEAKING}
    assert set(told.values()) == {
        "REFERRALS_TOKEN: not set; set it, or name a stored credential of one's own with --as USER"
    }


def test_what_takes_no_token_is_known() -> None:
    assert TREE.keys() >= WITHOUT_TOKEN
    assert {name for name in TREE if "user" not in {each.name for each in TREE[name].params}} == WITHOUT_TOKEN


@pytest.mark.parametrize("end", ["expired", "revoked", "barred"])
def test_a_token_that_ended_is_refused(shell: Shell, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    async def work(database: Database) -> str:
        now = datetime.now(UTC)
        async with database.transaction() as connection:
            expires = now - timedelta(seconds=1) if end == "expired" else None
            await users.enter(connection, "olga", roles=(Role.FINANCE,), at=now)
            token = await users.new_token(
                connection, "olga", label="x", scopes=users.OF_A_PERSON, at=now, expires_at=expires
            )
            if end == "revoked":
                (row,) = await tokens.of(connection, "olga")
                await tokens.revoke(connection, row.id, by="olga", at=now)
            if end == "barred":
                await users.bar(connection, "olga", at=now)
            return token

    monkeypatch.setenv("REFERRALS_TOKEN", shell.with_database(work))
    ran = shell("list")
    assert (ran.code, ran.out, len(ran.problems)) == (2, "", 1)
    assert "is not accepted" in ran.err


@pytest.mark.parametrize("token", ["rrt with spaces", "rrt_ü", "rrt_\n"])
def test_what_can_not_be_a_token_is_not_sent(shell: Shell, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("REFERRALS_TOKEN", token)
    assert shell("list").problems == ["REFERRALS_TOKEN: holds characters that no token has"]


def test_nobody_acts_as_another_by_mistake(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRALS_TOKEN", _stored(shell)["ada"])
    ran = shell("list", "--as", "paula")
    assert (ran.code, ran.problems) == (
        2,
        ["REFERRALS_TOKEN: is a token of ada, not of paula, whom --as names; leave one of both out"],
    )
    assert shell("list", "--as", "ada", "--json").out == "[]\n"


def test_a_stored_credential_is_chosen_by_its_name(shell: Shell) -> None:
    assert shell("user", "list", "--as", "ada").code == 0
    refused = shell("user", "list", "--as", "paula")
    assert (refused.code, len(refused.problems)) == (1, 1)
    assert "paula may not look after people" in refused.err


def test_what_a_local_stack_keeps_is_sent_to_no_other_api(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRALS_API_URL", "http://elsewhere.invalid")
    assert shell("list").problems[0].startswith("REFERRALS_TOKEN: not set")


def test_the_default_that_reads_can_do_nothing_else(shell: Shell) -> None:
    for command in (["user", "bar", "paula"], ["blocklist", "add", "--device", "d", "--why", "w"]):
        ran = shell(*command, "--as", "reader")
        assert (ran.code, "this takes the scope claims:decide" in ran.err) == (1, True)


@pytest.mark.parametrize("address", ["rewards.example", "ftp://rewards.example"])
def test_an_address_that_is_none_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("REFERRALS_API_URL", address)
    monkeypatch.setenv("REFERRALS_TOKEN", "rrt_any")
    ran = shell("list")
    assert (ran.code, len(ran.problems)) == (2, 1)
    assert ran.err.startswith("REFERRALS_API_URL: ")


def test_an_api_that_does_not_answer_is_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRALS_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("REFERRALS_TOKEN", "rrt_any")
    ran = shell("queue")
    assert (ran.code, len(ran.problems)) == (1, 1)
    assert ran.err.startswith("the API at http://127.0.0.1:1 does not answer")


def test_the_first_administrator_is_added_by_the_database_and_no_second_one(shell: Shell) -> None:
    async def nobody(database: Database) -> None:
        async with database.transaction() as connection:
            await users.bar(connection, "ada", at=datetime.now(UTC))

    (shell.folder / ".local" / "stack.json").unlink()
    first = ("user", "add", "eve", "--role", "administrator")
    ran = shell(*first)
    assert (ran.code, len(ran.problems)) == (1, 1)
    assert ran.err.startswith("there is an administrator already (ada)")
    shell.with_database(nobody)
    assert shell(*first).out.startswith("rrt_")
    assert shell("user", "add", "bob", "--role", "administrator").code == 1
    recovered = shell("user", "add", "bob", "--role", "administrator", "--database")
    assert (recovered.code, recovered.out[:4]) == (0, "rrt_")
    assert shell.ask("SELECT act, subject FROM audit_event ORDER BY id") == [
        ("user.added", "eve"),
        ("user.added", "bob"),
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--role", "finance"), "--role: only an administrator is added without the API: --role administrator"),
        (("--scope", "events:write"), "--scope: a service is added through the API"),
    ],
)
def test_the_database_adds_administrators_alone(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    ran = shell("user", "add", "x", *arguments, "--database")
    assert (ran.code, ran.problems) == (2, [told])


def _stored(shell: Shell) -> dict[str, str]:
    found: dict[str, str] = json.loads((shell.folder / ".local" / "credentials.json").read_text())
    return found


Loss = Callable[[Path], None]


@pytest.mark.parametrize(
    "lose",
    [
        lambda data: (data / "defaults.json").unlink(),
        lambda data: (data / "defaults.json").write_text("[]"),
        lambda data: store_defaults(data, {Purpose.READ: "who"}),
    ],
)
def test_a_default_that_is_lost_is_no_default(shell: Shell, lose: Loss) -> None:
    lose(shell.folder / ".local")
    assert shell("list").problems[0].startswith("REFERRALS_TOKEN: not set")


def test_a_credential_that_is_stored_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    for path in (store(tmp_path, "a", "rrt_a"), store_defaults(tmp_path, {Purpose.READ: "a"})):
        assert path.stat().st_mode & 0o777 == 0o600
