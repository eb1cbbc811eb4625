"""What the command line's tests share: the commands as they are typed, against the real API over a real database.

An installation here has an administrator (ada), a program owner (paula) and a service that tells facts (site). Their
tokens are stored as those of a local stack are, so that commands find them without flags.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from models.session import Database
from referral_rewards.api.dependencies import Parts
from referral_rewards.api.metrics import Metrics
from referral_rewards.cli import main
from referral_rewards.config.credentials import Purpose, store, store_defaults
from referral_rewards.domain.facts.rights import EVERYTHING
from referral_rewards.domain.people.authority import Role, Scope
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.people import users
from referral_rewards.sources.connecting import Place
from referral_rewards.vendors.connected import ConnectedSource
from tests import personal
from tests.apps import at_an_address
from tests.desk import PEPPER, judged
from tests.roles import Register

T = TypeVar("T")
PROGRAM = Path(__file__).parents[2] / "programs" / "acme-friends.yaml"
PEOPLE: dict[str, Role] = {"ada": Role.ADMINISTRATOR, "paula": Role.PROGRAM_OWNER}


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        return self.err.splitlines()


@dataclass(frozen=True)
class Shell:
    """Runs commands in this process, in a folder of their own. ``sources`` are those that the API knows, and
    ``event_sources`` those that tell it of events."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    database_url: str
    url: str
    sources: dict[str, Place] = field(default_factory=dict)
    event_sources: dict[str, ConnectedSource] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path) -> Ran:
        self.capture.readouterr()
        code = main.run([str(each) for each in arguments])
        captured = self.capture.readouterr()
        # The API of this process logs to the same output.
        own = [line for line in captured.out.splitlines(keepends=True) if "[info " not in line]
        return Ran(code, "".join(own), captured.err)

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def publish(self) -> None:
        assert self("program", "publish", PROGRAM).code == 0

    def confirm(self, name: str) -> None:
        """Confirms what ada changed of an account, as a second administrator would."""

        async def work(database: Database) -> None:
            async with database.transaction() as connection:
                await connection.execute(
                    text(
                        "UPDATE account_change SET confirmed_by = 'alan', confirmed_at = now() WHERE username = :name"
                    ),
                    {"name": name},
                )

        self.with_database(work)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """What the database says."""

        async def work(database: Database) -> list[tuple[Any, ...]]:
            async with database.transaction() as connection:
                return [tuple(row) for row in await connection.execute(text(statement))]

        return self.with_database(work)

    def judge_all(self) -> None:
        """Judges every referral, as the workers would, until all wait for a timer or a person."""
        names = [name for (name,) in self.ask("SELECT id FROM referral WHERE parked IS NULL ORDER BY id")]

        async def work(database: Database) -> None:
            for name in names * 2:
                await judged(database, KeyRing.of([]), name)

        self.with_database(work)

    def with_database(self, work: Callable[[Database], Awaitable[T]]) -> T:
        async def opened() -> T:
            database = Database.at(self.database_url)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(opened())


@pytest.fixture
def shell(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shell]:
    """A shell beside an installation that runs, in a folder where it is found without flags."""
    monkeypatch.chdir(tmp_path)
    signer = Signer.generate()
    verify = tmp_path / "verify.json"
    verify.write_text(json.dumps([signer.public_entry()]))
    for name in ("DATA", "API_URL", "TOKEN", "LOG_LEVEL", "SOURCES"):
        monkeypatch.delenv(f"REFERRALS_{name}", raising=False)
    monkeypatch.setenv("REFERRALS_DATABASE_URL", database_url)
    monkeypatch.setenv("REFERRALS_PEPPER", PEPPER.hex())
    monkeypatch.setenv("REFERRALS_PERSONAL_KEYS", personal.KEY.hex())
    monkeypatch.setenv("REFERRALS_VERIFY_KEYS", str(verify))
    sources: dict[str, Place] = {}
    event_sources: dict[str, ConnectedSource] = {}
    with _served(database_url, tmp_path / ".local", signer, sources, event_sources) as url:
        yield Shell(tmp_path, capsys, database_url, url, sources, event_sources)


@contextmanager
def _served(
    database_url: str,
    data: Path,
    signer: Signer,
    sources: dict[str, Place],
    event_sources: dict[str, ConnectedSource],
) -> Iterator[str]:
    """The API in a thread of its own, where the folder says that it is; its address."""
    ready, over = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        database = Register.at(database_url)
        keys = KeyRing.of([signer.public_entry()])
        await _add_people(database, data)
        told = {"sources": sources, "event_sources": event_sources, "home_url": "http://home"}
        parts = Parts(database.api, Intake(PEPPER), keys, signer, Metrics(), **told)
        async with at_an_address(parts) as url:
            stack = {"api": url, "temporal": "", "web_ui": "", "database_url": database_url}
            (data / "stack.json").write_text(json.dumps(stack))
            found.append(url)
            ready.set()
            await asyncio.to_thread(over.wait)
        await database.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(120), "the API did not start"
        yield found[0]
    finally:
        over.set()
        thread.join()


async def _add_people(database: Database, data: Path) -> None:
    now = datetime.now(UTC)
    async with database.transaction() as connection:
        for name, role in PEOPLE.items():
            store(data, name, await users.add(connection, name, roles=(role,), at=now))
        store(data, "site", await users.add(connection, "site", scopes=(Scope.EVENTS_WRITE,), tells=EVERYTHING, at=now))
        reads = (Scope.CLAIMS_READ,)
        store(data, "reader", await users.new_token(connection, "ada", label="reader", scopes=reads, at=now))
    defaults = {Purpose.READ: "reader", Purpose.TELL: "site", Purpose.PUBLISH: "paula", Purpose.ADMINISTER: "ada"}
    store_defaults(data, defaults)
