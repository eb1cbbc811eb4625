"""The API tells how it is on a port of its own, at once and whatever the database does."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.api import operating
from referral_rewards.domain.errors import BadInput
from referral_rewards.local.embedded import HOST, free_port
from tests.chaos.cluster import until
from tests.desk import Desk, life_of


async def test_the_api_tells_life_readiness_and_metrics_on_a_port_of_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operating, "LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(operating, "MEASURE_EVERY_SECONDS", 0.01)
    await desk.tell(life_of("a")[0])
    port = free_port()
    looking = asyncio.create_task(operating.look(desk.parts))
    async with (
        operating.told(desk.parts, HOST, port),
        httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=1) as client,
    ):

        async def ready(code: int) -> bool:
            return (await client.get("/readyz")).status_code == code

        async def tells(line: str) -> bool:
            return line in (await client.get("/metrics")).text.splitlines()

        await until(lambda: tells("referrals_outbox_depth 1.0"))
        assert await tells("referrals_ready 1.0")
        assert (await client.get("/livez")).json() == {"status": "ok"}
        assert not await tells("referrals_measured_timestamp_seconds 0.0")
        async with desk.database.transaction() as connection:
            await connection.execute(text("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE"))
            await until(lambda: ready(503))
            assert (await client.get("/readyz")).json() == {"status": "the database does not answer"}
            assert await tells("referrals_ready 0.0"), "a scrape is answered as well"
        await until(lambda: ready(200))
        with pytest.raises(BadInput, match=f"{HOST}:{port}"):
            async with operating.told(desk.parts, HOST, port):
                pass
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_without_a_port_nothing_is_counted_and_told(desk: Desk) -> None:
    async with operating.told(desk.parts, HOST, None):
        assert "referrals_measured_timestamp_seconds 0.0" in operating.exposition(desk.parts)().decode()


async def test_a_part_that_ended_is_told_of(desk: Desk) -> None:
    async with operating.told(desk.parts, HOST, free_port()):
        assert desk.parts.pulse.silent() == ()
    assert desk.parts.pulse.silent() == ("the measuring",)
