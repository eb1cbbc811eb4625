"""Real servers for the suite: one PostgreSQL and one Temporal a session, a fresh database a test.

With pytest-xdist each worker process has servers of its own. All of them end with the session, by pid.
Sessions that run side by side do not meet: each keeps its files in a folder of its own.
"""

import asyncio
import shutil
import signal
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from models import session
from models.migrate import upgrade
from referral_rewards.config.stack import with_driver
from referral_rewards.local.embedded import postgres, temporal_cli
from referral_rewards.search_attributes import SEARCH_ATTRIBUTES
from tests import personal
from tests.patience import PATIENCE_SECONDS
from tests.roles import MIGRATIONS, ROLES, as_role, create_roles
from tests.snapshots import Snapshots, administer, administrator, beside, copied

_ROOM_BYTES = 8 * 2**30

# The same examples each time, and as long as it takes for each: a busy machine is no finding.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

if TYPE_CHECKING:
    from tests.desk import Desk


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--audited", action="store_true", help="audit each register that a test leaves behind")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Gives the session a folder of its own. Every session closes the one that pytest shares to other users, and as
    root our PostgreSQL runs as one: a session that begins would take the files from under the server of another.

    Also lets Ctrl-C through. A shell in the background has it ignored, and what the tests start would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        config.option.basetemp = tempfile.mkdtemp(prefix="referrals-tests-", dir=_memory())
        config.add_cleanup(partial(shutil.rmtree, config.option.basetemp, ignore_errors=True))
    if config.option.audited:
        from tests.audited import Auditor

        config.pluginmanager.register(Auditor())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves to `make chaos` what `@pytest.mark.suite_has(n)` says: the suite has n of a test's cases.

    Long tests come first: at the end of the suite the others would wait for them.
    """
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("suite_has") and not item.get_closest_marker("chaos"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for name, each in cases.items():
        wanted = each[0].get_closest_marker("suite_has")
        assert wanted is not None
        # By chance, or cases that repeat at regular steps would be left out together; and the same at each run.
        kept = Random(name).sample(each, min(len(each), *wanted.args))
        for item in each:
            if item not in kept:
                item.add_marker("chaos")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
async def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The session's PostgreSQL server, by the URL of an empty database (``postgresql://…``)."""
    async with postgres(tmp_path_factory.mktemp("postgres")) as url, administrator(url):
        await create_roles(url)
        yield url


@pytest.fixture(scope="session")
async def migrated_template(postgres_url: str) -> str:
    """The name of a database with the newest schema, for others to be copied from."""
    await administer(postgres_url, f"CREATE DATABASE migrated OWNER {MIGRATIONS}")
    await asyncio.to_thread(upgrade, as_role(with_driver(beside(postgres_url, "migrated")), MIGRATIONS), ROLES)
    return "migrated"


@pytest.fixture
async def database_url(postgres_url: str, migrated_template: str) -> AsyncIterator[str]:
    """An empty, migrated database of this test's own (``postgresql+psycopg://…``)."""
    async with copied(postgres_url, migrated_template) as url:
        yield url


@pytest.fixture(scope="session")
def snapshots(postgres_url: str, migrated_template: str) -> Snapshots:
    return Snapshots(postgres_url, migrated_template)


@pytest.fixture
async def desk(snapshots: Snapshots) -> AsyncIterator["Desk"]:
    """An approvers' desk of this test's own: people, a published program and its referrer are there."""
    # Only who asks for one loads the API.
    from tests.desk import desk, furnish

    async with snapshots.of(furnish) as (url, furniture), desk(url, furniture) as opened:
        yield opened


@pytest.fixture(autouse=True)
def beginning_of_the_test() -> None:
    from tests.desk import this_test_began

    this_test_began.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def keys_of_personal_data() -> Iterator[None]:
    """Lets each database that a test opens by hand have the keys of personal data."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(session, "NO_KEYS", personal.KEYS)
        yield


@pytest.fixture(scope="session", autouse=True)
def trusted_roots() -> Iterator[None]:
    """Reads the roots of TLS once. Each client of httpx does, though here nearly all speak plain HTTP on loopback: that
    is a sixth of what a command costs."""
    from httpx._transports import default

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(default, "create_ssl_context", cache(default.create_ssl_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_workers() -> Iterator[None]:
    """Lets a workflow task take its time. Temporal's SDK takes one of two seconds for a deadlock and interrupts it
    wherever it is; on a busy machine that meets innocent ones, and leaves what it interrupted half done."""
    from temporalio.worker._workflow import _WorkflowWorker

    begin = _WorkflowWorker.__init__

    def patiently(worker: _WorkflowWorker, **given: Any) -> None:
        begin(worker, **given)
        worker._deadlock_timeout_seconds = PATIENCE_SECONDS

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(_WorkflowWorker, "__init__", patiently)
        yield


@pytest.fixture(scope="session")
def quick_passwords() -> Iterator[None]:
    """Hashes passwords at the least cost that argon2id has: to try one costs more than all else that a test does."""
    from argon2 import PasswordHasher

    from referral_rewards.register.people import passwords

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture(scope="session")
async def temporal_env() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server whose time a test drives by hand: ``fast_forward(handle, timedelta(days=31))``."""
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=temporal_cli(),
        dev_server_log_level="error",
        dev_server_startup_timeout=timedelta(seconds=120),
        search_attributes=list(SEARCH_ATTRIBUTES),
        data_converter=pydantic_data_converter,
        dev_server_extra_args=[
            *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
            *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="1ms"'),
        ],
    )
    async with environment:
        yield environment


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of this test's own, short enough for every path below it."""
    return tmp_path / "data"


def _memory() -> Path | None:
    """Where files live in memory, if there is room for all that a session makes: copying a database there takes a
    fraction of the time. Nothing of a test outlives it."""
    shared = Path("/dev/shm")
    try:
        return shared if shutil.disk_usage(shared).free > _ROOM_BYTES else None
    except OSError:
        return None
