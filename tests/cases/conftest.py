"""A whole stack for the cases of a module: embedded servers, workers, sandboxes. Each case has programs of its own."""

import os
from collections.abc import AsyncIterator

import pytest

from models.session import Database
from referral_rewards.local import bootstrap
from referral_rewards.local.embedded import HOST, free_port
from referral_rewards.local.stack import Ports, stack
from tests.cases.running import Stack


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    data = tmp_path_factory.mktemp("cases") / "data"
    ports = Ports(*(free_port() for _ in Ports._fields))
    steps = bootstrap.steps(example=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in [name for name in os.environ if name.startswith(("REFERRALS_", "TEMPORAL_"))]:
            monkeypatch.delenv(name)
        async with stack(data, ports, bootstrap=steps, sandboxes=True, say=lambda line: None) as (_, info):
            monkeypatch.setenv("REFERRALS_DATA", str(data))
            database = Database.at(info.database_url)
            yield Stack(data, database, f"http://{HOST}:{ports.sandboxes}")
            await database.close()
