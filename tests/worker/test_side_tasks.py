"""What runs beside the workers waits out a silence of the database, and whatever else ends it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from structlog.testing import capture_logs
from temporalio.service import RPCError, RPCStatusCode

from models.session import Database
from tests.patience import PATIENCE_SECONDS
from worker import side_tasks
from worker.process import Connections
from worker.side_tasks import SideTaskEnded, reason, take_turns, watch


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause that a test can wait for."""
    monkeypatch.setattr(side_tasks, "_FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
async def narrow(database_url: str) -> AsyncIterator[Database]:
    """A database with two connections at most, for which nobody waits longer than a moment."""
    database = Database.at(database_url, pool_size=1, patience_seconds=0.05)
    yield database
    await database.close()


@asynccontextmanager
async def _exhausted(database: Database) -> AsyncIterator[None]:
    async with database.transaction(), database.transaction():
        yield


@asynccontextmanager
async def _running(turn: side_tasks.Turn, **parts: Any) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.create_task(take_turns("a task", turn, **parts))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(BaseException):
            await task


async def _until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


async def _seen(database: Database) -> list[str]:
    async with database.transaction() as connection:
        return list((await connection.execute(text("SELECT rail FROM rail_connection"))).scalars())


async def test_a_pool_without_a_connection_is_waited_for(narrow: Database) -> None:
    connections = Connections(narrow, {"stripe_transfer": "test"})
    with capture_logs() as logs:
        async with _exhausted(narrow):
            running = asyncio.create_task(take_turns("connections", connections.turn))
            await _until(lambda: len(logs) >= 2)
            assert not running.done()
        while not await _seen(narrow):
            await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert {(each["event"], each["task"]) for each in logs} == {("side_task_waits", "connections")}
    assert all(each["why"].startswith("TimeoutError: QueuePool limit") for each in logs)


async def test_a_session_that_the_server_ends_is_waited_for(database_url: str, narrow: Database) -> None:
    turns = 0

    async def turn() -> float:
        nonlocal turns
        async with narrow.transaction() as connection:
            turns += 1
            if turns == 1:
                await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
            await connection.execute(text("SELECT 1"))
        return 0.01

    with capture_logs() as logs:
        async with _running(turn) as running:
            await _until(lambda: turns >= 3)
            assert not running.done()
    assert [each["why"] for each in logs] == ["AdminShutdown: terminating connection due to administrator command"]


@pytest.mark.parametrize(
    "silence",
    [
        RPCError("unavailable", RPCStatusCode.UNAVAILABLE, b""),
        ConnectionRefusedError("nobody listens"),
        PoolTimeout("QueuePool limit"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_silence_that_lasts_ends_it_with_its_reason(silence: Exception) -> None:
    async def turn() -> float:
        raise silence

    with capture_logs() as logs, pytest.raises(SideTaskEnded, match="a task ended, without which") as ended:
        await watch(asyncio.Event(), {"a task": turn}, patience_seconds=0.05)
    assert str(ended.value).endswith(reason(silence))
    assert [each["event"] for each in logs][-2:] == ["side_task_waits", "side_task_ended"]
    assert (logs[-1]["log_level"], logs[-1]["task"], logs[-1]["why"]) == ("error", "a task", reason(silence))


async def test_an_answer_in_between_begins_the_patience_anew() -> None:
    answers = 0

    async def turn() -> float:
        nonlocal answers
        answers += 1
        if answers % 2:
            raise PoolTimeout("QueuePool limit")
        return 0.02

    async with _running(turn, patience_seconds=0.015) as running:
        await _until(lambda: answers >= 10 or running.done())
        assert not running.done()


async def test_a_mistake_of_ours_ends_it_at_once(narrow: Database) -> None:
    async with narrow.transaction() as connection:
        await connection.execute(text("DROP TABLE rail_connection"))
    turns = {"connections": Connections(narrow, {"stripe_transfer": "test"}).turn}
    with (
        capture_logs() as logs,
        pytest.raises(SideTaskEnded, match='UndefinedTable: relation "rail_connection" does not exist'),
    ):
        await watch(asyncio.Event(), turns)
    assert [each["event"] for each in logs] == ["side_task_ended"]
    assert isinstance(logs[0]["exc_info"], ProgrammingError)


async def test_one_that_ends_takes_the_others_with_it() -> None:
    cancelled: list[str] = []

    async def lasts() -> float:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append("lasts")
        return 0.0

    async def breaks() -> float:
        await asyncio.sleep(0)
        raise KeyError("broken")

    with pytest.raises(SideTaskEnded, match=r"breaks ended.*KeyError"):
        await watch(asyncio.Event(), {"lasts": lasts, "breaks": breaks})
    assert cancelled == ["lasts"]


async def test_told_to_stop_they_end_without_a_word(narrow: Database) -> None:
    stop, said = asyncio.Event(), Connections(narrow, {"stripe_transfer": "test"})

    async def turn() -> float:
        await said.say(datetime.now(UTC))
        stop.set()
        return 60.0

    with capture_logs() as logs:
        await watch(stop, {"connections": turn})
    assert logs == []
    assert await _seen(narrow) == ["stripe_transfer"]
