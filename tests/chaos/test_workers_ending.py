"""A worker ends when it is told to, quietly; and when something it needs has ended, loudly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from signal import SIGINT, SIGTERM, Signals

import pytest
from sqlalchemy import text

from referral_rewards.domain.errors import LocalStackError
from referral_rewards.local.supervisor import Child
from tests.chaos.cluster import Cluster, cluster, until
from tests.workflows.scenes import lived_until_review

pytestmark = [pytest.mark.timeout(600)]
SIGNALS = [(SIGTERM, 0), pytest.param(SIGINT, 130, marks=pytest.mark.chaos)]


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("ending")) as running:
        yield running


@pytest.fixture
async def whole(servers: Cluster) -> AsyncIterator[Cluster]:
    (servers.data / "logs" / "worker.log").unlink(missing_ok=True)
    yield servers
    await servers.rest()


def _log(whole: Cluster) -> str:
    return (whole.data / "logs" / "worker.log").read_text()


async def _code(worker: Child) -> int:
    """Its exit code, once it has ended."""
    return await asyncio.to_thread(worker.process.wait, 90)


async def _run(whole: Cluster, statement: str) -> None:
    async with whole.life.database.transaction() as connection:
        await connection.execute(text(statement))


@pytest.mark.parametrize(("signum", "code"), SIGNALS)
async def test_told_to_stop_a_worker_ends_without_a_traceback(whole: Cluster, signum: Signals, code: int) -> None:
    worker = await whole.work()
    worker.process.send_signal(signum)
    assert await _code(worker) == code
    whole.workers.clear()
    assert "Traceback" not in _log(whole)


@pytest.mark.parametrize(("signum", "code"), SIGNALS)
@pytest.mark.chaos
async def test_told_to_stop_amid_its_work_a_worker_finishes_it_without_a_traceback(
    whole: Cluster, signum: Signals, code: int
) -> None:
    whole.referral = f"busy-{signum.name.lower()}"
    await lived_until_review(whole.life, whole.referral)
    async with whole.held("SELECT 1 FROM referral WHERE id = :r FOR UPDATE"):
        worker = await whole.work()
        await until(whole.waits_for_a_lock)
        worker.process.send_signal(signum)
        await until(_tells(whole, "Beginning worker shutdown"))
    assert await _code(worker) == code
    whole.workers.clear()
    assert "Traceback" not in _log(whole)


@pytest.mark.chaos
async def test_interrupted_while_it_starts_a_worker_ends_without_a_traceback(whole: Cluster) -> None:
    """Temporal takes the connection and never answers."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        there, whole.temporal_address = whole.temporal_address, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        starting = asyncio.create_task(whole.work())
        await asked.wait()
        whole.temporal_address = there
        whole.workers[-1].process.send_signal(SIGINT)
        with pytest.raises(LocalStackError, match="ended with code 130 before it was ready"):
            await starting
    whole.workers.clear()
    assert "Traceback" not in _log(whole)


@pytest.mark.chaos
async def test_told_to_stop_while_the_database_is_away_a_worker_ends_without_a_traceback(whole: Cluster) -> None:
    worker = await whole.work()
    await whole.crash(whole.postgres, SIGINT)
    await until(_tells(whole, "side_task_waits"))
    worker.process.send_signal(SIGTERM)
    assert await _code(worker) == 0
    whole.workers.clear()
    await whole.start_postgres()
    # Before that an activity may have told of the server that went away under it.
    assert "Traceback" not in _log(whole).partition("Beginning worker shutdown")[2]


@pytest.mark.chaos
async def test_a_database_that_comes_back_finds_the_worker_at_work(whole: Cluster) -> None:
    worker = await whole.work()
    await whole.crash(whole.postgres, SIGINT)
    await until(_tells(whole, "side_task_waits"))
    await whole.start_postgres()
    whole.referral = "r1"
    await lived_until_review(whole.life, whole.referral)

    async def judged() -> bool:
        row = await whole.life.row(whole.referral)
        return row is not None and row.status == "awaiting_approval"

    await until(judged)
    assert worker.alive


@pytest.mark.chaos
async def test_a_worker_whose_relay_breaks_ends_with_a_code_and_its_reason(whole: Cluster) -> None:
    worker = await whole.work("referrals")
    await _run(whole, "ALTER TABLE outbox RENAME TO outbox_for_test")
    try:
        assert await _code(worker) == 1
    finally:
        await _run(whole, "ALTER TABLE outbox_for_test RENAME TO outbox")
    whole.workers.clear()
    last = _log(whole).strip().splitlines()[-1]
    assert last == (
        "worker: the relay ended, without which a worker does not live:"
        ' UndefinedTable: relation "outbox" does not exist'
    )
    assert "side_task_ended" in _log(whole)


async def test_a_worker_that_finds_no_database_says_so_in_one_line(whole: Cluster) -> None:
    await whole.crash(whole.postgres, SIGINT)
    try:
        with pytest.raises(LocalStackError, match=r"ended with code 1 .*: worker: .*Connection refused"):
            await whole.work("referrals")
    finally:
        whole.workers.clear()
        await whole.start_postgres()
    assert "Traceback" not in _log(whole)


def _tells(whole: Cluster, event: str) -> Callable[[], Awaitable[bool]]:
    async def told() -> bool:
        return event in _log(whole)

    return told
