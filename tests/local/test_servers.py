"""The suite's own servers are real ones, and each test has a database of its own."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import pytest
from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from referral_rewards.local.embedded import free_port

_HANDED_OUT: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


async def _query(url: str, statement: str) -> object:
    async with await psycopg.AsyncConnection.connect(url.replace("+psycopg", "")) as connection:
        cursor = await connection.execute(statement.encode())
        row = await cursor.fetchone()
        return row[0] if row else None


async def test_a_fresh_database_has_the_newest_schema(database_url: str) -> None:
    assert await _query(database_url, "SELECT count(*) FROM alembic_version") == 1


@pytest.mark.parametrize("attempt", [1, 2])
async def test_what_one_test_writes_no_other_test_sees(database_url: str, attempt: int) -> None:
    async with await psycopg.AsyncConnection.connect(database_url.replace("+psycopg", "")) as connection:
        await connection.execute("CREATE TABLE left_behind ()")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("listen_addresses", "127.0.0.1"), ("TimeZone", "UTC"), ("max_connections", "100"), ("server_encoding", "UTF8")],
)
async def test_postgres_listens_on_loopback_and_is_set_for_us(postgres_url: str, setting: str, value: str) -> None:
    assert await _query(postgres_url, f"SHOW {setting}") == value


async def test_text_sorts_by_code_point(postgres_url: str) -> None:
    ordered = "SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(ARRAY['b', 'a', 'B', 'A', 'ä']) o"
    assert await _query(postgres_url, ordered) == "A B a b ä"


async def test_postgres_lets_nobody_in_without_the_password(postgres_url: str) -> None:
    user, _, rest = postgres_url.partition("@")
    with pytest.raises(psycopg.OperationalError, match="password"):
        await psycopg.AsyncConnection.connect(f"{user.rpartition(':')[0]}:wrong@{rest}")


@workflow.defn
class WaitsAMonth:
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(days=30))
        return workflow.now().isoformat()


async def test_a_month_passes_when_a_test_says_so(temporal_env: WorkflowEnvironment) -> None:
    async with Worker(
        temporal_env.client, task_queue="month", workflows=[WaitsAMonth], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        handle = await temporal_env.client.start_workflow(WaitsAMonth.run, id="month", task_queue="month")
        await temporal_env.fast_forward(handle, timedelta(days=31))
        assert await handle.result()


@pytest.mark.skipif(not _HANDED_OUT.exists(), reason="the system does not say which ports it hands out")
def test_a_free_port_is_another_each_time_and_none_that_the_system_hands_out_by_itself() -> None:
    """Whoever asks for any port might be given it before the server that it is meant for has begun."""
    ports = [free_port() for _ in range(200)]
    lowest, highest = map(int, _HANDED_OUT.read_text().split())
    assert len(set(ports)) == len(ports)
    assert not [port for port in ports if lowest <= port <= highest]
