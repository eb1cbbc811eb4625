"""What the command line's tests share: the commands as they are typed, against a real database."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from models.session import Database
from referral_rewards.cli import main
from referral_rewards.register.decisions.signing import KeyRing
from tests.desk import PEPPER, judged

T = TypeVar("T")
PROGRAM = Path(__file__).parents[2] / "programs" / "acme-friends.yaml"


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
    """Runs commands in this process, in a folder of their own."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    database_url: str

    def __call__(self, *arguments: str | Path) -> Ran:
        self.capture.readouterr()
        code = main.run([str(each) for each in arguments])
        captured = self.capture.readouterr()
        return Ran(code, captured.out, captured.err)

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def publish(self) -> None:
        assert self("program", "publish", PROGRAM).code == 0

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
) -> Shell:
    """A shell with the settings of an installation in its environment."""
    monkeypatch.chdir(tmp_path)
    verify = tmp_path / "verify.json"
    verify.write_text("[]")
    for name in ("DATA", "API_URL", "TOKEN", "LOG_LEVEL"):
        monkeypatch.delenv(f"REFERRALS_{name}", raising=False)
    monkeypatch.setenv("REFERRALS_DATABASE_URL", database_url)
    monkeypatch.setenv("REFERRALS_PEPPER", PEPPER.hex())
    monkeypatch.setenv("REFERRALS_VERIFY_KEYS", str(verify))
    return Shell(tmp_path, capsys, database_url)
