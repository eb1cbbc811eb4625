"""`referrals db`: the schema, and what the roles of the database may do."""

from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url

from referral_rewards.cli import main
from tests.roles import API, MIGRATIONS, WORKER, as_role

_API_ROLE, _WORKER_ROLE = (f"REFERRALS_DATABASE_{process}_ROLE" for process in ("API", "WORKER"))
_NAMES: Final = ("DATA", "DATABASE_URL", "DATABASE_API_ROLE", "DATABASE_WORKER_ROLE")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in _NAMES:
        monkeypatch.delenv(f"REFERRALS_{name}", raising=False)


def _name(monkeypatch: pytest.MonkeyPatch, api: str | None, worker: str | None) -> None:
    for variable, role in ((_API_ROLE, api), (_WORKER_ROLE, worker)):
        if role is not None:
            monkeypatch.setenv(variable, role)


def test_upgrade_grants_the_roles_that_are_named(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REFERRALS_DATABASE_URL", as_role(database_url, MIGRATIONS))
    assert main.run(["db", "upgrade"]) == 0
    assert capsys.readouterr().out == "the database has the newest schema\n"
    _name(monkeypatch, API, WORKER)
    assert main.run(["db", "upgrade"]) == 0
    assert capsys.readouterr().out == f"the database has the newest schema; granted {API} and {WORKER}\n"
    _name(monkeypatch, "nobody", WORKER)
    assert main.run(["db", "upgrade"]) == 2
    refused = capsys.readouterr().err
    assert f"{_API_ROLE}: the database has no role nobody" in refused
    assert str(make_url(as_role(database_url, API)).password) not in refused


def test_grants_are_printed_without_a_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _name(monkeypatch, "one", "two")
    assert main.run(["db", "grants"]) == 0
    told = capsys.readouterr().out
    assert 'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM "one", "two";' in told
    assert "{" not in told


@pytest.mark.parametrize(
    ("api", "worker", "told"),
    [
        (None, None, f"{_API_ROLE}: not set; name the role of the API"),
        ("one", None, f"{_WORKER_ROLE}: not set, but the other role is"),
        (None, "two", f"{_API_ROLE}: not set, but the other role is"),
        ("one", "one", f"{_WORKER_ROLE}: one is the API's: name another role"),
    ],
)
def test_roles_that_are_not_two_are_refused(
    api: str | None,
    worker: str | None,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _name(monkeypatch, api, worker)
    assert main.run(["db", "grants"]) == 2
    assert told in capsys.readouterr().err
