"""A whole stack for a case: embedded servers, workers, sandboxes."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.session import Database
from referral_rewards.local import bootstrap
from referral_rewards.local.embedded import HOST, free_port
from referral_rewards.local.stack import Ports, stack
from tests.cases.running import Stack


@pytest.fixture
async def running(data: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stack]:
    for name in [name for name in os.environ if name.startswith(("REFERRALS_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    ports = Ports(*(free_port() for _ in Ports._fields))
    steps = bootstrap.steps(example=True)
    async with stack(data, ports, bootstrap=steps, sandboxes=True, say=lambda line: None) as (_, info):
        database = Database.at(info.database_url)
        yield Stack(data, database, f"http://{HOST}:{ports.sandboxes}")
        await database.close()
