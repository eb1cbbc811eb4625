"""`referrals up`: everything is started, found, kept, restarted and stopped; each process knows only what it may."""

import asyncio
import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from socket import socket

import psutil
import psycopg
import pytest

from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import StackInfo, local_stack
from referral_rewards.domain.errors import LocalStackError
from referral_rewards.local.children import Secrets, Watched, children, connected, environment
from referral_rewards.local.embedded import HOST, free_port
from referral_rewards.local.stack import Ports, stack
from tests.patience import PATIENCE_SECONDS

GIVEN = {
    "PATH": "/bin",
    "REFERRALS_SIGNING_KEY": "/vault/signing.pem",
    "REFERRALS_RAIL_STRIPE_KEY": "sk_live",
    "REFERRALS_WEBHOOK_SECRETS": "{}",
    "REFERRALS_SMTP_URL": "smtps://acme:secret@mail.example",
    "REFERRALS_WEBHOOKS": "{}",
    "REFERRALS_EVENT_SOURCES": "/etc/sources.yaml",
    "REFERRALS_STATUS_LINK_KEYS": '["pepper"]',
    "TEMPORAL_API_KEY": "cloud",
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("REFERRALS_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)


def _ports() -> Ports:
    return Ports(*(free_port() for _ in Ports._fields))


def _known(data: Path, *, embedded_temporal: bool = True) -> dict[str, dict[str, str]]:
    info = StackInfo("http://api", "127.0.0.1:1", "", "postgresql://db")
    secrets = Secrets.of(data, GIVEN)
    common = environment(GIVEN, data, info, secrets, embedded_temporal=embedded_temporal)
    processes = children(data, 1, GIVEN, common, info, secrets, Watched(2, 3, 4, 5, 6))
    return {child.name: dict(child.env or {}) for child in processes}


@pytest.mark.parametrize(
    ("variable", "holders"),
    [
        ("REFERRALS_SIGNING_KEY", {"API"}),
        ("REFERRALS_SEALING_KEYS", {"API"}),
        ("REFERRALS_SECOND_FACTOR", {"API"}),
        ("REFERRALS_RAIL_STRIPE_KEY", {"worker payouts"}),
        ("REFERRALS_WEBHOOK_SECRETS", {"API"}),
        ("REFERRALS_EVENT_SOURCES", {"API", "worker referrals", "worker payouts"}),
        ("REFERRALS_SMTP_URL", {"worker referrals"}),
        ("REFERRALS_WEBHOOKS", {"worker referrals"}),
        ("REFERRALS_MAIL_FOLDER", set()),
        ("REFERRALS_STATUS_LINK_KEYS", {"API", "worker referrals"}),
        ("REFERRALS_PEPPER", {"API", "worker referrals", "worker payouts"}),
        ("REFERRALS_PERSONAL_KEYS", {"API", "worker referrals", "worker payouts"}),
        ("REFERRALS_VERIFY_KEYS", {"API", "worker referrals", "worker payouts"}),
        ("REFERRALS_OPERATION_PORT", {"API", "worker referrals", "worker payouts"}),
        ("REFERRALS_TEMPORAL_METRICS", {"worker referrals", "worker payouts"}),
        ("PATH", {"API", "worker referrals", "worker payouts"}),
        ("TEMPORAL_API_KEY", set()),
    ],
)
def test_each_process_knows_only_what_it_may(variable: str, holders: set[str], data: Path) -> None:
    assert {name for name, known in _known(data).items() if variable in known} == holders


def test_without_a_mail_server_letters_go_into_a_folder(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(GIVEN, "REFERRALS_SMTP_URL")
    holders = {name: known.get("REFERRALS_MAIL_FOLDER") for name, known in _known(data).items()}
    assert holders == {"API": None, "worker referrals": str(data / "mail"), "worker payouts": None}


@pytest.mark.parametrize(
    ("given", "sandboxes"),
    [
        ({}, {"stripe", "paypal", "tremendous"}),
        ({"REFERRALS_RAIL_STRIPE_KEY": "sk_live"}, {"paypal", "tremendous"}),
        ({"REFERRALS_RAIL_PAYPAL_CLIENT_ID": "app", "REFERRALS_RAIL_TREMENDOUS_KEY": "key"}, {"stripe"}),
        ({f"REFERRALS_RAIL_{name}_KEY": "1" for name in ("STRIPE", "PAYPAL", "TREMENDOUS")}, set()),
    ],
)
def test_a_sandbox_stands_in_for_each_provider_that_is_not_named_and_for_no_other(
    given: dict[str, str], sandboxes: set[str], data: Path
) -> None:
    found = connected(given, data, 8704)
    assert given.items() <= found.items()
    urls = {name: value for name, value in found.items() if name.endswith("_URL")}
    assert urls == {f"REFERRALS_RAIL_{name.upper()}_URL": f"http://{HOST}:8704/{name}" for name in sandboxes}
    assert set(json.loads(found.get("REFERRALS_WEBHOOK_SECRETS", "{}"))) == sandboxes


@pytest.mark.parametrize(("given", "own"), [({}, True), ({"REFERRALS_EVENT_SOURCES": "/etc/sources.yaml"}, False)])
def test_sandboxes_sell_unless_sources_of_events_are_named(given: dict[str, str], own: bool, data: Path) -> None:
    named = connected(given, data, 8704)["REFERRALS_EVENT_SOURCES"]
    assert (named == str(data / "event-sources.yaml")) is own


def test_credentials_of_an_outside_temporal_are_handed_on(data: Path) -> None:
    assert {known["TEMPORAL_API_KEY"] for known in _known(data, embedded_temporal=False).values()} == {"cloud"}


@pytest.mark.parametrize(
    ("index", "wanted_by"),
    [(0, "the API"), (1, "the Temporal Web UI"), (2, "Temporal"), (3, "PostgreSQL"), (7, "probes and metrics")],
)
async def test_a_taken_port_is_named_with_who_wanted_it(index: int, wanted_by: str, data: Path) -> None:
    ports = _ports()
    with socket() as taken:
        taken.bind((HOST, ports[index]))
        taken.listen()
        with pytest.raises(LocalStackError, match=f"port {ports[index]}, wanted by {wanted_by},.*--port-base"):
            async with stack(data, ports):
                pytest.fail("it started")
    assert local_stack(data) is None


@pytest.mark.parametrize("there", [None, "", "sub", "sub/lock", "note.txt"])
async def test_a_start_that_is_refused_leaves_nothing_behind(there: str | None, tmp_path: Path) -> None:
    """And takes nothing away that was there before it."""
    data, ports = tmp_path / "new" / "data", _ports()
    if there is not None:
        data.mkdir(parents=True)
        (data / there).mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    with socket() as taken:
        taken.bind((HOST, ports.api))
        taken.listen()
        with pytest.raises(LocalStackError, match="wanted by the API"):
            async with stack(data, ports):
                pytest.fail("it started")
    assert sorted(path for path in tmp_path.rglob("*") if path != data / "lock") == before


async def test_a_temporal_that_can_not_be_used_is_named_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"{HOST}:{free_port()}")
    with pytest.raises(LocalStackError, match="does not answer, or lacks our search attributes"):
        async with stack(tmp_path / "new", _ports()):
            pytest.fail("it started")
    assert list(tmp_path.iterdir()) == []


async def _connected(database_url: str) -> set[str]:
    """The roles that our processes are connected as."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await connection.execute(
            "SELECT DISTINCT usename FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return {row[0] for row in await found.fetchall()}


def _without_passwords(info: StackInfo) -> StackInfo:
    return info._replace(api_database_url=None, worker_database_url=None)


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


def _pids(data: Path) -> set[int]:
    return {int(pid) for pid in json.loads((data / "run" / "pids.json").read_text())}


@pytest.mark.slow
async def test_the_whole_stack_starts_recovers_stops_and_keeps_what_it_knows(data: Path) -> None:
    said: list[str] = []
    seen: list[Settings] = []

    async def look(settings: Settings) -> None:
        assert local_stack(data) is None, "it counts as ready only after this"
        seen.append(settings)

    ports = _ports()
    async with stack(data, ports, bootstrap=[look], sandboxes=True, say=said.append) as (supervisor, info):
        assert local_stack(data) == info
        assert stat.S_IMODE((data / "stack.json").stat().st_mode) == 0o600
        assert info.api == f"http://{HOST}:{ports.api}"
        assert seen[0].signing_key is not None
        first = [psutil.Process(pid) for pid in sorted(_pids(data))]
        assert len(first) == 6
        listening = {c.laddr.ip for child in first for c in child.net_connections() if c.status == "LISTEN"}
        assert listening == {HOST}

        assert await _connected(info.database_url) == {"referrals_api", "referrals_worker"}

        watching = asyncio.create_task(supervisor.watch())
        (payouts,) = (child for child in first if "payouts" in child.cmdline())
        os.kill(payouts.pid, signal.SIGKILL)
        await _until(lambda: payouts.pid not in _pids(data) and len(_pids(data)) == 6)
        await _until(lambda: (data / "run" / "payouts.ready").exists())
        assert "worker payouts ended with code -9; starting it again in 0.5 s" in said
        watching.cancel()
    assert local_stack(data) is None
    assert not any(child.is_running() for child in first)

    async with stack(data, ports, say=said.append) as (_, again):
        assert _without_passwords(again) == _without_passwords(info)
        assert again.url_for("api") != info.url_for("api"), "each start has passwords of its own"
