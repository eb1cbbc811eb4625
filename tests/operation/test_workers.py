"""A worker process tells probes and Prometheus how it is, also while the database is away."""

from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from referral_rewards.local.embedded import free_port
from tests.chaos.cluster import Cluster, cluster, until

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("watched")) as running:
        yield running


async def test_a_worker_tells_how_it_is_and_goes_on_telling_while_the_database_is_away(servers: Cluster) -> None:
    port, temporals = free_port(), free_port()
    servers.further = {
        "REFERRALS_OPERATION_PORT": str(port),
        "REFERRALS_TEMPORAL_METRICS": f"127.0.0.1:{temporals}",
    }
    await servers.work()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

        async def ready(code: int) -> bool:
            return (await client.get("/readyz")).status_code == code

        await until(lambda: ready(200))
        assert (await client.get("/livez")).json() == {"status": "ok"}
        told = (await client.get("/metrics")).text
        assert 'referrals_worker_side_task_turns_total{task="the relay"}' in told
        names = {each.name for each in text_string_to_metric_families(told)}
        assert {"referrals_worker_outbox_oldest_seconds", "referrals_worker_referrals_overdue"} <= names
        sdk = httpx.get(f"http://127.0.0.1:{temporals}/metrics").text
        assert "temporal_num_pollers" in sdk

        async with servers.held("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE"):
            await until(lambda: ready(503))
            assert "the database does not answer" in (await client.get("/readyz")).json()["status"]
            assert (await client.get("/livez")).status_code == 200, "it waits, and lives"
        await until(lambda: ready(200))
