"""A worker process tells probes and Prometheus how it is, also while the database is away."""

from collections.abc import AsyncIterator

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from referral_rewards.local.embedded import free_port
from tests.chaos.cluster import Cluster, cluster, until
from tests.workflows.scenes import lived_until_review

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("watched")) as running:
        yield running


def _all_of(pid: int) -> list[psutil.Process]:
    """A process and its children, which a signal to the first one does not reach."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


@pytest.mark.chaos
async def test_a_worker_tells_how_it_is_and_goes_on_telling_while_the_database_is_away(servers: Cluster) -> None:
    port, temporals = free_port(), free_port()
    servers.further = {
        "REFERRALS_OPERATION_PORT": str(port),
        "REFERRALS_TEMPORAL_METRICS": f"127.0.0.1:{temporals}",
    }
    await servers.work()
    await lived_until_review(servers.life, "r1")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

        async def ready(code: int) -> bool:
            return (await client.get("/readyz")).status_code == code

        await until(lambda: ready(200))
        assert (await client.get("/livez")).json() == {"status": "ok"}

        async def relays() -> bool:
            return 'side_task_turns_total{task="the relay"}' in (await client.get("/metrics")).text

        await until(relays)
        told = (await client.get("/metrics")).text
        names = {each.name for each in text_string_to_metric_families(told)}
        assert {"referrals_worker_outbox_first_seconds", "referrals_worker_referrals_overdue"} <= names

        async def tells_of_temporal() -> bool:
            """Of pollers and latencies; those of failures are told once there is one."""
            sdk = (await client.get(f"http://127.0.0.1:{temporals}/metrics")).text
            names = {each.name for each in text_string_to_metric_families(sdk)}
            return {"temporal_num_pollers", "temporal_workflow_task_schedule_to_start_latency"} <= names

        await until(tells_of_temporal)

        for process in _all_of(servers.postgres.process.pid):
            process.suspend()
        try:
            await until(lambda: ready(503))
            client.timeout = httpx.Timeout(1)
            assert "the database does not answer" in (await client.get("/readyz")).json()["status"]
            assert (await client.get("/livez")).status_code == 200
            assert "referrals_ready 0.0" in (await client.get("/metrics")).text.splitlines()
            client.timeout = httpx.Timeout(30)
        finally:
            for process in _all_of(servers.postgres.process.pid):
                process.resume()
        await until(lambda: ready(200))
        assert "referrals_ready 1.0" in (await client.get("/metrics")).text.splitlines()

        async with servers.held("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE"):
            await until(lambda: ready(503))
            assert "the database does not answer" in (await client.get("/readyz")).json()["status"]
            assert (await client.get("/livez")).status_code == 200, "it waits, and lives"
        await until(lambda: ready(200))
