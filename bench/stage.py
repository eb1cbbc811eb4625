"""Servers and workers of a measurement, run as the local stack runs them."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.lives import Lives
from models.migrate import upgrade
from models.session import Database
from referral_rewards.config.stack import StackInfo, decode_keys, decode_secret, with_driver
from referral_rewards.local.children import Secrets, Watched, children, environment
from referral_rewards.local.embedded import HOST, Servers, servers
from referral_rewards.local.supervisor import Program
from referral_rewards.personal import PersonalKeys
from referral_rewards.register.decisions.signing import Signer


@dataclass(frozen=True)
class Stage:
    """The servers and workers of the measurement."""

    data: Path
    hosts: Servers
    common: Mapping[str, str]
    info: StackInfo
    secrets: Secrets


@asynccontextmanager
async def stage(data: Path) -> AsyncIterator[Stage]:
    """Start the servers, with the schema and the keys."""
    async with servers(data) as hosts:
        yield await furnished(data, hosts)


async def furnished(data: Path, hosts: Servers) -> Stage:
    """Return the stage on these servers, with the schema and the keys."""
    await asyncio.to_thread(upgrade, with_driver(hosts.database_url))
    secrets = Secrets.of(data, {})
    info = StackInfo("http://127.0.0.1:1", hosts.temporal, hosts.web_ui, hosts.database_url)
    common = environment(os.environ, data, info, secrets, embedded_temporal=True)
    # The sandbox imports the workflow's modules for each run, and without bytecode would compile them each time.
    common.pop("PYTHONDONTWRITEBYTECODE", None)
    return Stage(data, hosts, {**common, "PYTHONPYCACHEPREFIX": str(data / "bytecode")}, info, secrets)


@asynccontextmanager
async def lives_on(its: Stage) -> AsyncIterator[Lives]:
    """Yield who tells facts there and decides."""
    personal = PersonalKeys(decode_keys(its.secrets.personal_keys))
    database = Database.at(with_driver(its.hosts.database_url), personal=personal)
    client = await Client.connect(its.hosts.temporal, data_converter=pydantic_data_converter)
    signer = Signer.load(Path(its.secrets.signing_key))
    try:
        lives = Lives(database, client, decode_secret(its.secrets.pepper.strip()), signer)
        await lives.prepare()
        yield lives
    finally:
        await database.close()


def workers(its: Stage) -> tuple[Program, Program]:
    """Return the two workers as the local stack runs them."""
    watched = Watched(*_free_ports(len(Watched._fields)))
    _, referrals, payouts = children(its.data, 1, {}, its.common, its.info, its.secrets, watched)
    return referrals, payouts


def _free_ports(count: int) -> list[int]:
    """Return so many ports of loopback that nobody uses."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]
