"""`referrals user` and `referrals token`: who may do what, changed on the command line and on record."""

import io
import json
import sys

import pytest

from tests.cli.conftest import Shell


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a program writes to the command's standard input."""
    lines = io.StringIO()
    monkeypatch.setattr(sys, "stdin", lines)
    return lines


def person(shell: Shell, name: str) -> dict[str, object]:
    (found,) = [each for each in json.loads(shell("user", "list", "--json").out) if each["name"] == name]
    return dict(found)


def acts(shell: Shell) -> list[str]:
    return [act for (act,) in shell.ask("SELECT act FROM audit_event ORDER BY id")]


def test_a_person_is_added_changed_barred_and_let_in_again(shell: Shell) -> None:
    added = shell("user", "add", "maria", "--role", "program_owner", "--customer", "c9", "--contact", "p@example.com")
    assert added.code == 0
    assert added.out.startswith("rrt_")
    assert shell("user", "roles", "maria", "finance", "operations").code == 0
    assert shell("user", "marks", "maria", "--email", "p@example.com").code == 0
    found = person(shell, "maria")
    assert (found["roles"], found["mark_kinds"]) == (["finance", "operations"], ["customer", "email"])
    assert (found["has_contact"], found["has_password"], found["tokens"]) == (True, False, 1)
    assert "maria" in shell("user", "list").out
    assert shell("user", "bar", "maria").code == 0
    assert shell("token", "add", "maria", "--label", "x").problems == ["there is no unbarred user 'maria'"]
    assert person(shell, "maria")["tokens"] == 0
    assert shell("user", "unbar", "maria").code == 0
    assert (person(shell, "maria")["barred_at"], person(shell, "maria")["tokens"]) == (None, 0)
    assert acts(shell) == [
        *("user.added", "user.contact_set", "user.roles_set", "user.marks_set", "user.barred", "user.unbarred")
    ]
    details = shell.ask("SELECT string_agg(details::text, '') FROM audit_event")[0][0]
    assert "example.com" not in details


def test_a_password_comes_by_standard_input_and_never_stands_anywhere(shell: Shell, typed: io.StringIO) -> None:
    shell("user", "add", "maria", "--role", "finance")
    typed.write("correct horse battery\n")
    typed.seek(0)
    assert shell("user", "password", "maria").out == "the password of maria is set\n"
    ((kept,),) = shell.ask("SELECT password_hash FROM app_user WHERE name = 'maria'")
    assert kept.startswith("$argon2id$")
    assert shell("user", "password", "maria", "--remove").code == 0
    assert person(shell, "maria")["has_password"] is False


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("elevenchars", "at least 12 characters"),
        ("", "at least 12 characters"),
        ("a" * 12, "too easy to guess"),
        ("mariamariamaria", "too easy to guess"),
        ("ab" * 129, "at most 256 characters"),
    ],
)
def test_a_password_that_can_be_guessed_is_refused(shell: Shell, typed: io.StringIO, given: str, problem: str) -> None:
    shell("user", "add", "maria", "--role", "finance")
    typed.write(given)
    typed.seek(0)
    refused = shell("user", "password", "maria")
    assert (refused.code, len(refused.problems)) == (2, 1)
    assert problem in refused.err


@pytest.mark.parametrize(
    ("command", "code", "problem"),
    [
        (("user", "add", "maria", "--role", "finance"), 2, "there is already a user 'maria'"),
        (("user", "add", "p@example.com", "--role", "finance"), 2, "looks like an email address"),
        (("user", "add", "nobody", "--role", "finance"), 2, "this name is reserved"),
        (("user", "add", "x", "--role", "finance", "--contact", "nowhere"), 2, "not a valid email address"),
        (("user", "add", "x"), 2, "needs a --role"),
        (
            ("user", "add", "x", "--scope", "events:write"),
            2,
            "--source: name the sources of the facts that it may tell",
        ),
        (("user", "add", "x", "--scope", "events:write", "--source", "a"), 2, "--type: name the types of the facts"),
        (("user", "rights", "maria", "--source", "a", "--type", "*"), 2, "only a user with the scope events:write"),
        (("user", "roles", "pauls", "finance"), 1, "there is no user 'pauls'; did you mean 'paula'?"),
        (("user", "roles", "who", "finance"), 1, "there is no user 'who'"),
        (("user", "roles", "maria", "king"), 2, "king"),
        (("user", "bar", "who"), 1, "there is no user 'who'"),
        (("user", "unbar", "who"), 1, "there is no user 'who'"),
        (("user", "marks", "maria"), 2, "name a --customer or an --email"),
        (("user", "contact", "maria"), 2, "give an EMAIL"),
        (("user", "link", "maria"), 2, "name the --issuer and the --subject"),
        (("token", "add", "who", "--label", "x"), 1, "there is no user 'who'"),
        (("token", "add", "maria", "--label", " "), 2, "enter a purpose"),
        (("token", "add", "maria", "--label", "x", "--scope", "events:write"), 1, "this takes the scope events:write"),
        (("token", "revoke", "00000000-0000-0000-0000-000000000000"), 1, "there is no token"),
        (("token", "list", "who"), 1, "there is no user 'who'"),
    ],
)
@pytest.mark.suite_has(4)
def test_what_can_not_be_done_is_said_in_one_line(
    shell: Shell, command: tuple[str, ...], code: int, problem: str
) -> None:
    shell("user", "add", "maria", "--role", "finance")
    refused = shell(*command)
    assert (refused.code, len(refused.problems)) == (code, 1)
    assert problem in refused.err


def test_a_subject_is_linked_to_one_user(shell: Shell) -> None:
    for name in ("maria", "fiona"):
        shell("user", "add", name, "--role", "finance")
    where = ("--issuer", "https://id.example.com", "--subject", "248289")
    assert shell("user", "link", "maria", *where).code == 0
    refused = shell("user", "link", "fiona", *where)
    assert (refused.code, refused.problems) == (2, ["--subject: is already linked to a user"])
    assert shell("user", "link", "maria", "--remove").code == 0
    assert shell("user", "link", "fiona", *where).code == 0


def test_who_tells_facts_tells_those_that_are_named(shell: Shell) -> None:
    tells = ("--source", "acme/shop", "--type", "conversion.recorded", "--type", "referral.*")
    assert shell("user", "add", "shop", "--scope", "events:write", *tells).out.startswith("rrt_")
    found = person(shell, "shop")
    types = ["conversion.recorded", *(f"referral.{act}" for act in ("appealed", "claimed", "sent", "withdrawn"))]
    assert (found["tells_sources"], found["tells_types"]) == (["acme/shop"], types)
    more = ("token", "add", "shop", "--label", "x", "--source", "acme/shop", "--type", "conversion.*")
    assert shell(*more).code == 1
    assert shell(*more[:-1], "conversion.recorded").out.startswith("rrt_")
    (newest, _) = json.loads(shell("token", "list", "shop", "--json").out)
    assert (newest["sources"], newest["types"]) == (["acme/shop"], ["conversion.recorded"])
    assert shell("user", "rights", "shop", "--source", "*", "--type", "*").out == "shop may tell * of *\n"
    assert person(shell, "shop")["tells_types"] == ["*"]
    assert acts(shell)[-1] == "user.rights_set"


def test_tokens_are_issued_listed_and_revoked(shell: Shell) -> None:
    shell("user", "add", "maria", "--role", "finance")
    issued = shell("token", "add", "maria", "--label", "reports", "--scope", "claims:read", "--days", "7")
    assert issued.out.startswith("rrt_")
    newest, first = json.loads(shell("token", "list", "maria", "--json").out)
    assert (newest["label"], newest["scopes"], newest["revoked_at"]) == ("reports", ["claims:read"], None)
    assert (first["label"], first["expires_at"]) == ("first", None)
    assert shell("token", "revoke", newest["id"]).code == 0
    assert json.loads(shell("token", "list", "maria", "--json").out)[0]["revoked_at"]
    assert issued.out.strip() not in shell("token", "list", "maria").out
    assert acts(shell)[-2:] == ["token.issued", "token.revoked"]
