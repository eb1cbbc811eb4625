"""A process whose clock is wrong serves nothing: what it records would bear a wrong time."""

from datetime import timedelta

import pytest

from models.session import Database
from referral_rewards.api.operating import usable_now
from referral_rewards.domain.errors import ClocksApart
from tests.clocks import ahead
from tests.desk import Desk
from worker.clocks import clock_watch, look_at_the_clock

_HOURS = [2, -30]


async def test_a_worker_whose_clock_is_right_goes_on_looking(database_url: str) -> None:
    database = Database.at(database_url)
    assert await clock_watch(database)() > 0
    await database.close()


@pytest.mark.parametrize("hours", _HOURS)
async def test_a_worker_whose_clock_is_wrong_does_not_serve(
    database_url: str, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    monkeypatch.setattr("worker.clocks.datetime", ahead(timedelta(hours=hours)))
    database = Database.at(database_url)
    with pytest.raises(ClocksApart, match="the clock of this process is"):
        await look_at_the_clock(database)
    with pytest.raises(ClocksApart):
        await clock_watch(database)()
    await database.close()


@pytest.mark.parametrize("hours", [2, -2])
async def test_an_api_whose_clock_is_wrong_records_no_decision_and_is_not_ready(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    await desk.referral("r1")
    for module in ("referral_rewards.api.recording", "referral_rewards.api.operating"):
        monkeypatch.setattr(f"{module}.datetime", ahead(timedelta(hours=hours)))
    refused = await desk.decide("r1", "approve", as_="paula")
    assert refused.status_code == 503, refused.text
    assert "the database's" in refused.json()["detail"]
    desk.parts.ready.found(await usable_now(desk.parts))
    ready = await desk.get("/readyz")
    assert ready.status_code == 503, ready.text
    monkeypatch.undo()
    assert (await desk.decide("r1", "approve", as_="paula")).status_code == 201
