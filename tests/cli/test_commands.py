"""What the other commands say, and their exit codes."""

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from referral_rewards.config.credentials import credentials_file, store
from referral_rewards.local.embedded import free_port
from referral_rewards.local.keys import ensure_keys
from tests.cli.conftest import PROGRAM, Shell
from tests.cli.test_ingest import EXAMPLE
from tests.desk import life_of

EXPECTED = json.loads((Path(__file__).parents[2] / "examples" / "dexter-and-brie.expected.json").read_text())


def test_dexter_and_brie_stand_where_the_contract_says(shell: Shell) -> None:
    shell.publish()
    shell("ingest", EXAMPLE)
    shell.judge_all()
    listed = {each["referral"]: each for each in json.loads(shell("list", "--json").out)}
    assert {name: _as_expected(listed[name], wanted) for name, wanted in EXPECTED.items()} == EXPECTED
    first = listed["db1"]
    assert list(first) == [
        *("referral", "program", "version", "referrer", "channel", "status", "reason", "deadline"),
        *("conversion", "claim", "payouts"),
    ]
    assert list(first["claim"]) == ["digest", "recommendation", "checks", "flags", "score", "legs", "routes"]
    assert first["conversion"]["occurred_at"] == "2026-07-10T14:00:00Z"


def _as_expected(found: dict[str, object], wanted: dict[str, object]) -> dict[str, object]:
    """The part of a listed referral that the contract's table speaks of."""
    seen: dict[str, object] = {name: found[name] for name in ("status", "reason")}
    if "conversion" in wanted:
        conversion = found["conversion"]
        assert isinstance(conversion, dict)
        seen["conversion"] = {name: conversion[name] for name in ("order", "net_minor")}
    if "legs" in wanted:
        claim = found["claim"]
        assert isinstance(claim, dict)
        seen["legs"] = [{name: leg[name] for name in ("role", "kind", "amount_minor")} for leg in claim["legs"]]
    return seen


def test_lists_are_narrowed(shell: Shell) -> None:
    shell.publish()
    shell("ingest", EXAMPLE)
    shell.judge_all()
    for options, found in [
        (["--status", "denied"], ["db7"]),
        (["--status", "denied", "--program", "acme-friends"], ["db7"]),
        (["--program", "acme-friends", "--status", "rewarded"], []),
    ]:
        ran = shell("list", "--json", *options)
        assert [each["referral"] for each in json.loads(ran.out)] == found
    unknown = shell("list", "--json", "--program", "acme-freinds")
    assert (unknown.code, unknown.out) == (2, "")
    assert "acme-friends" in unknown.err
    assert "db7" in shell("list", "--status", "denied").out


def test_a_referral_without_terms_says_what_it_waits_for(shell: Shell) -> None:
    shell("ingest", shell.file("facts.jsonl", json.dumps(life_of("r1")[0])))
    (parked,) = json.loads(shell("list", "--json").out)
    assert (parked["status"], parked["reason"]) == (None, "no_terms_in_force")
    assert "1 referral that waited for it goes on" in shell("program", "publish", PROGRAM).out


def test_showing_and_the_queue_speak_to_people_and_programs(shell: Shell) -> None:
    shell.publish()
    shell("ingest", EXAMPLE)
    shell.judge_all()
    told = shell("show", "db1").out
    for said in (
        "awaiting approval",
        "minimum met",
        "The net amount is 80.00 USD; the minimum is 50.00 USD.",
        "acme/billing db-4",
    ):
        assert said in told
    assert json.loads(shell("show", "db4", "--json").out)["periods"]["claim_by"] == "2026-07-20T14:00:00Z"
    waiting = [(each["referral"], each["exception"]) for each in json.loads(shell("queue", "--json").out)]
    assert sorted(waiting) == [
        *(("db1", "approval"), ("db2", "late_fact"), ("db3", "approval"), ("db4", "late_fact")),
        *(("db5", "approval"), ("db6", "approval"), ("db8", "approval")),
    ]
    table = shell("queue").out
    assert all(column in table for column in ("referrer", "referred customer", "eligibility", "conversion event"))
    found = shell("queue", "--json", "--exception", "approval", "--search", "db1")
    assert [each["referral"] for each in json.loads(found.out)] == ["db1"]
    shell("user", "add", "fiona", "--role", "finance")
    assert json.loads(shell("queue", "--json", "--for", "fiona").out) == []
    assert shell("queue", "--for", "nobody").problems == ["there is no user 'nobody'"]
    assert shell("show", "nobody").problems == ["there is no referral 'nobody'"]


def test_programs_are_published_once_and_shown_as_written(shell: Shell) -> None:
    assert shell("program", "lint", PROGRAM).code == 0
    assert shell("program", "publish", PROGRAM).out == "acme-friends version 1 is published\n"
    assert shell("program", "publish", PROGRAM).out == "acme-friends version 1 has this very text already\n"
    assert shell("program", "show", "acme-friends").out.strip() == PROGRAM.read_text().strip()
    (listed,) = json.loads(shell("program", "list", "--json").out)
    assert (listed["version"], listed["effective_from"]) == (1, "2025-01-01T00:00:00Z")
    assert shell("program", "show", "acme-friends", "--version", "2").code == 1
    broken = shell.file("broken.yaml", PROGRAM.read_text().replace("currency: USD", "currency: XXQ\nmood: good"))
    for command in ("lint", "publish"):
        refused = shell("program", command, broken)
        assert refused.code == 2
        assert sorted(problem.partition(":")[0] for problem in refused.problems) == ["currency", "mood"]


def test_terms_that_would_change_a_bound_referral_are_refused(shell: Shell) -> None:
    shell.publish()
    shell("ingest", EXAMPLE)
    changed = shell.file("changed.yaml", PROGRAM.read_text().replace('minimum: "50.00"', 'minimum: "60.00"'))
    refused = shell("program", "publish", changed)
    assert (refused.code, len(refused.problems)) == (1, 1)
    assert "which is bound to version 1" in refused.problems[0]


def test_users_are_added_once_and_barred(shell: Shell) -> None:
    added = shell("user", "add", "olga", "--role", "finance", "--role", "operations", "--email", "Olga@Example.com")
    assert (added.code, added.out[:4]) == (0, "rrt_")
    assert shell.ask("SELECT roles, cardinality(marks) FROM app_user WHERE name = 'olga'") == [
        (["finance", "operations"], 1)
    ]
    assert shell.ask(f"SELECT count(*) FROM api_token WHERE token_hash = '{added.out.strip()}'") == [(0,)]
    assert shell("user", "add", "olga", "--role", "finance").problems == ["NAME: there is already a user 'olga'"]
    assert shell("user", "add", "o@example.com", "--role", "finance").code == 2
    assert shell("user", "add", "nothing").code == 2
    assert shell("user", "bar", "olga").code == 0
    assert shell.ask("SELECT barred_at IS NOT NULL FROM app_user WHERE name = 'olga'") == [(True,)]
    assert shell("user", "bar", "nobody").problems == ["there is no user 'nobody'"]


def test_credentials_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    for user in ("a", "b"):
        store(tmp_path / "data", user, f"rrt_{user}")
    path = credentials_file(tmp_path / "data")
    assert json.loads(path.read_text()) == {"a": "rrt_a", "b": "rrt_b"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nonsense"], 2, "referrals: No such command 'nonsense'."),
        (["list", "--status", "happy"], 2, "referrals list: Invalid value for '--status'"),
        (["ingest"], 2, "referrals ingest: Missing argument"),
        (["approve", "r1"], 2, "referrals approve: Missing option '--reason'"),
        (
            ["approve", "r1", "--reason", "fraud", "--note", "x", "--as", "olga"],
            2,
            "--reason: 'fraud' is none of terms_met",
        ),
        (
            ["approve", "r1", "--reason", "terms_met", "--note", "x", "--as", "olga"],
            2,
            "--as: no credential of olga is stored in .local (stored are ada, paula, reader, site); set ",
        ),
        (["approve", "--reason", "terms_met", "--note", "x"], 2, "REFERRAL: name referrals, or a file"),
        (["queue", "--flag", "nice"], 2, "--flag: 'nice' is none of none, evidence_conflict"),
        (["queue", "--older-than-days", "x"], 2, "--older-than-days: must be a whole number"),
        (["queue", "--search", "\0"], 2, "--search: holds characters"),
        (["queue", "--amount-min", "5"], 2, "--amount-min: needs a currency or a program"),
        (["program", "lint", "nowhere.yaml"], 2, "nowhere.yaml: no such file or directory"),
        (["decisions", "verify", "--data", "x"], 0, ""),
    ],
)
@pytest.mark.suite_has(5)
def test_every_problem_is_one_clear_line(shell: Shell, arguments: list[str], code: int, said: str) -> None:
    ran = shell(*arguments)
    assert (ran.code, len(ran.problems)) == (code, 1 if said else 0)
    assert ran.err.startswith(said)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/x", "the database does not answer: connection failed"),
        ("DATABASE_URL", "mysql://x", "REFERRALS_DATABASE_URL: must begin with postgresql://"),
        ("PEPPER", "short", "REFERRALS_PEPPER: must be"),
    ],
)
def test_a_wrong_setting_is_told(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"REFERRALS_{variable}", value)
    ran = shell("ledger", "check")
    assert (ran.code > 0, len(ran.problems)) == (True, 1)
    assert ran.err.startswith(said)


def test_a_database_without_our_schema_says_how_to_get_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFERRALS_DATABASE_URL", shell.database_url.rpartition("/")[0] + "/postgres")
    ran = shell("ledger", "check")
    assert (ran.code, len(ran.problems)) == (1, 1)
    assert "referrals db upgrade" in ran.err


def test_deciding_goes_from_the_command_line_over_http_into_the_record(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed script, the real API in a process of its own, and the key that only that process is given."""
    keys = ensure_keys(shell.folder / "data")
    monkeypatch.setenv("REFERRALS_VERIFY_KEYS", str(keys.verify_keys))
    shell.publish()
    shell("ingest", EXAMPLE)
    shell.judge_all()
    token = shell("user", "add", "olga", "--role", "program_owner").out.strip()
    port = free_port()
    serving = {**os.environ, "REFERRALS_SIGNING_KEY": str(keys.signing_key), "REFERRALS_API_PORT": str(port)}
    serving["REFERRALS_SEALING_KEYS"] = keys.sealing.read_text()
    api = subprocess.Popen([sys.executable, "-m", "referral_rewards.api"], env=serving, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/readyz")
        asking = {**os.environ, "REFERRALS_API_URL": url, "REFERRALS_TOKEN": token}
        command = [str(Path(sys.executable).with_name("referrals")), "approve", "db1", "--as", "olga"]
        words = ["--reason", "terms_met", "--note", "all there"]
        ran = subprocess.run([*command, *words], env=asking, capture_output=True, text=True, timeout=120, check=False)
        assert (ran.returncode, ran.stdout) == (0, "db1: approve by olga (program owner) was recorded as decision 1\n")
        stale = [*command, *words[:2], "--note", "else", "--digest", "0" * 64]
        ran = subprocess.run(stale, env=asking, capture_output=True, text=True, timeout=120, check=False)
        assert (ran.returncode, "the claim changed since you looked at it" in ran.stderr) == (1, True)
        seen = shell.file("seen.json", shell("queue", "--json").out)
        for chosen, again in ((["db5", "db6"], ""), (["--from", str(seen)], " before")):
            many = [*command[:2], *chosen, *command[3:], *words]
            ran = subprocess.run(many, env=asking, capture_output=True, text=True, timeout=120, check=False)
            assert f"db5: approve was recorded{again} as decision 2" in ran.stdout
        assert "db4" not in ran.stdout + ran.stderr, "a late fact is nothing to approve"
    finally:
        api.terminate()
        api.wait(60)
    assert shell("decisions", "verify").code == 0
    assert shell.ask("SELECT DISTINCT username, kind FROM decision") == [("olga", "approve")]


def _wait_for(url: str) -> None:
    until = time.monotonic() + 120
    while True:
        try:
            httpx.get(url, timeout=30).raise_for_status()
            return
        except httpx.HTTPError:
            assert time.monotonic() < until, f"{url} does not answer"
            time.sleep(0.1)


def test_a_chain_that_was_cut_is_found(shell: Shell) -> None:
    shell.with_database(lambda database: _forge(database))
    ran = shell("decisions", "verify")
    assert (ran.code, len(ran.problems)) == (1, 1)
    assert "the end of the chain" in ran.err


async def _forge(database: object) -> None:
    from sqlalchemy import text

    from models.session import Database

    assert isinstance(database, Database)
    async with database.transaction() as connection:
        await connection.execute(
            text("INSERT INTO decision_head (id, seq, hash, key_id, signature) VALUES (1, 1, 'x', 'y', 'z')")
        )
