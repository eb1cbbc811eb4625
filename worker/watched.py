"""What a worker process says of itself: whether its parts live, whether it can work, and how far it is behind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import product
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig

from models.session import UNREACHABLE, Database
from referral_rewards.config.settings import Settings
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.namespace import LOOK_SECONDS, Namespace
from referral_rewards.operation.looking import Look
from referral_rewards.operation.outgoing import Note, Reception
from referral_rewards.operation.pulse import Pulse, Readiness
from referral_rewards.operation.server import application, serving
from referral_rewards.register import overdue
from worker.side_tasks import Turn, reason

_log = structlog.get_logger("worker")

#: How long a side task may be silent beyond the pause that it announced: longer than any statement or call takes.
SILENCE_SECONDS: Final = 300.0
#: Seconds. No request to a provider is waited for longer than eight.
_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class Watched:
    """The metrics, the pulse and the readiness of one worker process."""

    def __init__(self) -> None:
        self.pulse = Pulse()
        self.ready = Readiness()
        self._registry = CollectorRegistry()
        self._lag = {
            name: Gauge(f"referrals_worker_{name}", told, registry=self._registry)
            for name, told in (
                ("outbox_depth", "Wake-ups that wait to be delivered to workflows."),
                ("outbox_first_seconds", "For how long the oldest about a decision or money waits; 0 without any."),
                ("outbox_in_turn_seconds", "For how long the oldest about a fact waits for its turn; 0 without any."),
                ("referrals_overdue", "Referrals that should have moved two minutes ago, up to 10,000."),
            )
        }
        self._ready = Gauge(
            "referrals_ready", "1 while the process can do its work, as `/readyz` tells it.", registry=self._registry
        )
        self._silent = Gauge(
            "referrals_parts_silent",
            "Parts of the process that ended or hang, as `/livez` names them.",
            registry=self._registry,
        )
        self._failures = Counter(
            "referrals_worker_side_task_failures",
            "Turns of a side task that failed because the database or Temporal did not answer.",
            ["task"],
            registry=self._registry,
        )
        self._turns = Counter(
            "referrals_worker_side_task_turns", "Turns of a side task.", ["task"], registry=self._registry
        )
        self._sweeps = Counter(
            "referrals_worker_sweeps", "Sweeps for what should have moved and did not.", registry=self._registry
        )
        self._woken = Counter("referrals_worker_swept", "Workflows that a sweep woke.", registry=self._registry)
        self._messages = Counter(
            "referrals_worker_messages",
            "Tries to tell a message, by who was to be told and where the message stands since.",
            ["audience", "state"],
            registry=self._registry,
        )
        self._requests = Counter(
            "referrals_worker_requests",
            "Requests to providers and sources: `look` only asks, `send` may move money.",
            ["to", "act", "reception"],
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "referrals_worker_request_seconds",
            "How long they took to begin an answer.",
            ["to"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def is_version(self, deployment: WorkerDeploymentConfig | None) -> None:
        """Tell, in the log and among the metrics, which version of the code this is, if Temporal is told."""
        if deployment is not None:
            version = {"deployment": deployment.version.deployment_name, "build": deployment.version.build_id}
            Info("referrals_worker_version", "The version that Temporal knows.", registry=self._registry).info(version)
            _log.info("version_served", **version)

    def expect(self, task: str) -> None:
        """Expect signs of life of a side task."""
        self.pulse.expect(task, SILENCE_SECONDS)

    def took(self, task: str, pause_seconds: float, *, failed: bool) -> None:
        """Note that a side task took a turn and rests for so long."""
        self.pulse.beat(task, within_seconds=pause_seconds + SILENCE_SECONDS)
        self._turns.labels(task).inc()
        if failed:
            self._failures.labels(task).inc()

    def swept(self, woken: int) -> None:
        """Note a sweep, and how many workflows it woke."""
        self._sweeps.inc()
        self._woken.inc(woken)

    def told(self, audience: str, state: NoticeState) -> None:
        """Note a try to tell a message."""
        self._messages.labels(audience, state.value).inc()

    def noting(self, to: str) -> Note:
        """Return the note of requests to a provider or a source. Its counters begin at zero, so that the first silence
        shows as an increase."""
        for act, became in product(("look", "send"), Reception):
            self._requests.labels(to, act, became.value)

        def note(act: str, became: Reception, seconds: float) -> None:
            self._requests.labels(to, act, became.value).inc()
            self._request_seconds.labels(to).observe(seconds)

        return note

    def serves(self, queue: str, worker: Worker) -> None:
        """Ask this worker, too, whether it polls."""
        self.pulse.ask(f"the poller of {queue}", lambda: worker.is_running)

    def looked(self, lag: overdue.Lag) -> None:
        """Take over how far behind we are."""
        self._lag["outbox_depth"].set(lag.depth)
        self._lag["outbox_first_seconds"].set(lag.first_seconds)
        self._lag["outbox_in_turn_seconds"].set(lag.in_turn_seconds)
        self._lag["referrals_overdue"].set(lag.overdue)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self._ready.set(self.ready.problem is None)
        self._silent.set(len(self.pulse.silent()))
        return generate_latest(self._registry)


def look(watched: Watched, database: Database, client: Client, namespace: Namespace) -> Turn:
    """Return the side task that finds out, every ten seconds, whether the process can do its work."""
    # One after another: whether Temporal is whole matters only once the database answers.
    looks = (
        Look("the database", lambda: _database_problem(watched, database)),
        Look("Temporal", lambda: _temporal_problem(client, namespace)),
    )

    async def turn() -> float:
        found = None
        for each in looks:
            found = found or await each.problem()
        watched.ready.found(found)
        return LOOK_SECONDS

    return turn


async def _database_problem(watched: Watched, database: Database) -> str | None:
    try:
        async with database.reading() as connection:
            watched.looked(await overdue.lag(connection, datetime.now(UTC)))
    except UNREACHABLE as error:
        return f"the database does not answer ({reason(error)})"
    except SQLAlchemyError as error:
        return f"the database is not as we need it ({reason(error)})"
    return None


async def _temporal_problem(client: Client, namespace: Namespace) -> str | None:
    try:
        await namespace.look(client)
    except RPCError as error:
        return f"Temporal does not answer ({error.status.name})"
    return namespace.problem


@asynccontextmanager
async def told(settings: Settings, watched: Watched) -> AsyncIterator[None]:
    """Answer probes and scrapes for the length of the block, if a port is set for them."""
    if settings.operation_port is None:
        yield
        return
    app = application(watched.pulse, watched.ready, watched.exposition)
    async with serving(settings.operation_host, settings.operation_port, app):
        yield
