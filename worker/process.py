"""One worker process: it serves the task queues of its role and runs the side tasks until it is stopped."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NoReturn

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.pulls import Pulls
from activities.queues import Queues
from activities.restores import Whole
from models import pooler, power
from models.session import Database
from referral_rewards import interrupts, observability
from referral_rewards.audit.loading import Means
from referral_rewards.config import event_sources
from referral_rewards.config.event_sources import Process
from referral_rewards.config.settings import Settings
from referral_rewards.domain.errors import BadInput, Problem, ReferralRewardsError
from referral_rewards.domain.payouts.rail_catalogue import PROVIDERS
from referral_rewards.namespace import Namespace
from referral_rewards.personal import PersonalKeys
from referral_rewards.rails.access import Access, modes
from referral_rewards.rails.connected import outside
from referral_rewards.rails.port import Rail
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.notices import status_links
from referral_rewards.register.restores import secrets
from referral_rewards.sources.connecting import connected
from referral_rewards.sources.port import Source
from referral_rewards.temporal import connect
from referral_rewards.tracing import Tracing, current
from referral_rewards.vendor_apis.connected import connected as vendor_apis
from referral_rewards.vendors.connected import ConnectedSource
from worker import versions
from worker.build import payouts_worker, provider_worker, referrals_worker, telling
from worker.clocks import clock_watch, look_at_the_clock
from worker.erasing import Erasing
from worker.examining import Examining
from worker.kept_erasings import KeptErasings
from worker.letters import Home, Letters
from worker.marking import Marking
from worker.measuring import Measuring
from worker.relay import Relay
from worker.retaining import Retaining
from worker.roles import OF_PROVIDERS, ROLES, access_of
from worker.side_tasks import TRANSIENT, Turn, reason, watch
from worker.watched import Watched, look, told

_log = structlog.get_logger("worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT, then let work in progress finish. Return the exit code."""
    parser = argparse.ArgumentParser(prog="worker", description="Runs the workers of one role.")
    parser.add_argument("--role", choices=ROLES, default="all", help="which task queues to serve (default: all)")
    role = parser.parse_args(arguments).role
    try:
        settings = Settings.load()
        observability.configure_logging(settings)
        return asyncio.run(run(settings, role))
    except BadInput as error:
        for problem in error.problems:
            print(f"worker: {problem}", file=sys.stderr)
        return 2
    except (ReferralRewardsError, RuntimeError) as error:
        print(f"worker: {error}", file=sys.stderr)
        return 1
    except TRANSIENT as error:
        print(f"worker: {reason(error)}", file=sys.stderr)
        return 1


async def run(settings: Settings, role: str) -> int:
    """Serve the role's task queues until stopped. The relay, the postman and the measuring run beside the referrals
    worker.

    The exit code says whether Ctrl-C stopped it.
    """
    keys, personal, intake = secrets_of(settings)
    deployment = versions.deployment(os.environ)
    access = access_of(settings, role)
    told_of = connected_sources(settings) if role in ("referrals", "all") else {}
    tracing = Tracing.to(settings.traces_url, f"referrals-worker-{role}")
    interceptors = [tracing.interceptor()] if tracing is not None else []
    client = await connect(settings, runtime=runtime(settings), interceptors=interceptors)
    namespace, watched = Namespace(), Watched()
    await name_what_is_missing(namespace, client)
    stop, codes = asyncio.Event(), [0]

    def stopped(code: int) -> None:
        codes.append(code)
        stop.set()

    for signum, code in ((signal.SIGTERM, 0), (signal.SIGINT, interrupts.INTERRUPTED)):
        asyncio.get_running_loop().add_signal_handler(signum, stopped, code)
    async with AsyncExitStack() as running:
        traced_by = None
        if tracing is not None:
            running.push_async_callback(tracing.close)
            traced_by = current
        url, pooled = settings.database_for("worker"), settings.pooled
        database = Database.at(url, pool_size=5, personal=personal, traced_by=traced_by, pooled=pooled)
        running.push_async_callback(database.close)
        steps = Database.at(url, pool_size=10, planned_once=True, personal=personal, traced_by=traced_by, pooled=pooled)
        running.push_async_callback(steps.close)
        await _check_secrets(database, intake, keys)
        await look_at_the_clock(database)
        await running.enter_async_context(told(settings, watched))
        sources = await running.enter_async_context(connected(settings.endpoints(Process.WORKER), watched.noting))
        watched.is_version(deployment)
        process = _Process(
            *(settings, client, keys, database, steps, intake, sources, told_of, watched, running, deployment)
        )
        process.beside["the look at what it needs"] = look(watched, database, client, namespace)
        process.beside["the look at its clock"] = clock_watch(database)
        if role in ("payouts", "all"):
            await process.serve_payouts(access)
        elif role in OF_PROVIDERS.values():
            await process.serve_providers(access)
        if role in ("referrals", "all"):
            await process.serve_referrals()
        observability.announce_ready(settings)
        try:
            await watch(stop, process.beside, watched)
        finally:
            # All at once: one after another they would take longer than anybody waits.
            await asyncio.gather(*(each.shutdown() for each in process.serving))
    return codes[-1]


def secrets_of(settings: Settings) -> tuple[KeyRing, PersonalKeys, Intake]:
    """Return what no worker of any role starts without: the keys that verify decisions, those of personal data, and
    what hashes identities. No server is asked before, so that a missing one is named at once.

    Raises:
        BadInput: if one is not set, or is none.
    """
    if settings.verify_keys is None:
        raise BadInput([Problem("REFERRALS_VERIFY_KEYS", "not set; without public keys no decision can be believed")])
    intake = Intake(settings.pepper_bytes(), settings.phone_regions(), settings.stores)
    return KeyRing.load(settings.verify_keys), settings.personal(), intake


@dataclass(slots=True)
class _Process:
    """What a process serves, and what runs beside it. ``steps`` is the same database, planned once, for judging and
    paying; ``told_of`` are the sources that tell of events; ``running`` ends with the process whatever was begun."""

    settings: Settings
    client: Client
    keys: KeyRing
    database: Database
    steps: Database
    intake: Intake
    sources: Mapping[str, Source]
    told_of: Mapping[str, ConnectedSource]
    watched: Watched
    running: AsyncExitStack
    deployment: WorkerDeploymentConfig | None
    beside: dict[str, Turn] = field(default_factory=dict)
    serving: list[Worker] = field(default_factory=list)

    async def serve_payouts(self, access: Access) -> None:
        """Serve payouts and all that moves money, and the rails of the providers that the process has access to. What
        goes over the rails of others is left to the processes that serve them."""
        queue = self.settings.payouts_queue
        rails, whole = await self.serve_providers(access)
        of_all = {name: f"{queue}-{provider}" for name, provider in PROVIDERS.items()}
        queues = Queues(
            {name: each for name, each in of_all.items() if name in rails},
            {name: each for name, each in of_all.items() if name not in rails},
        )
        await self._serve(
            payouts_worker(
                *(self.client, queue, self.database, self.keys, self.intake, self.sources),
                queues=queues,
                is_whole=whole,
                steps=self.steps,
                deployment=self.deployment,
            )
        )

    async def serve_providers(self, access: Access) -> tuple[Mapping[str, Rail], Whole]:
        """Serve the task queue of each provider that the process has access to. Return their rails, and what says
        whether the register lacks nothing of its mark."""
        rails = await self.running.enter_async_context(outside(access, self.watched.noting))
        queue = self.settings.payouts_queue
        marking = Marking(self.database, self.client, queue)
        # Before anything is served: a restored register must not pay again what it forgot.
        await marking.turn()
        self.beside["the watch of the register's mark"] = marking.turn
        self.beside["the report of connected rails"] = Connections(self.database, modes(access, rails)).turn
        common = (self.database, self.keys, self.intake, self.sources)
        for provider in sorted({PROVIDERS[name] for name in rails}):
            its = {name: rail for name, rail in rails.items() if PROVIDERS[name] == provider}
            pace = self.settings.requests_pace()[provider]
            worker = provider_worker(
                *(self.client, f"{queue}-{provider}", *common, its, pace),
                *(marking.is_whole, self.steps, self.deployment),
            )
            await self._serve(worker)
        return rails, marking.is_whole

    async def serve_referrals(self) -> None:
        """Serve referrals; relay, postman, examining and measuring run beside."""
        settings, database, keys, intake = self.settings, self.database, self.keys, self.intake
        queue = settings.referrals_queue
        common = (database, keys, intake, self.sources, self.steps)
        apis = await self.running.enter_async_context(vendor_apis(self.told_of, self.watched.noting))
        pulls = Pulls(database, intake, self.told_of, apis)
        await self._serve(referrals_worker(self.client, queue, *common, self.deployment, pulls))
        relay = Relay(
            database,
            self.client,
            referrals_queue=queue,
            payouts_queue=settings.payouts_queue,
            pause=settings.relay_poll_seconds,
            noted=self.watched.swept,
            pulls={name: each.pull for name, each in self.told_of.items() if each.pull is not None},
        )
        key, *_ = status_links.keys(settings.own_link_keys(), intake.key_for(status_links.PURPOSE))
        home = Home(settings.home_url(), key)
        post, measurements = await self.running.enter_async_context(
            telling(database, Letters(keys, home), settings.mailer(), settings.hooks(), self.watched.told)
        )
        self.beside |= {
            "the relay": relay.turn,
            "the postman": post.turn,
            "the examining of rewards": Examining(database, Means(keys.keys, intake.marker)).turn,
            "the measuring": Measuring(database).turn,
            "the erasing of persons": Erasing(database).turn,
            "the keeping of erasings": KeptErasings(database, self.client, settings.backups()).turn,
            "the retention of marks": Retaining(database, settings.retention()).turn,
            "the measurement events": measurements.turn,
        }

    async def _serve(self, worker: Worker) -> None:
        await self.running.enter_async_context(worker)
        self.serving.append(worker)
        self.watched.serves(worker.task_queue, worker)


def connected_sources(settings: Settings) -> Mapping[str, ConnectedSource]:
    """Return the connected sources, with the keys of their APIs and no secret of a signature.

    Raises:
        BadInput: with every problem in their file.
    """
    if settings.event_sources is None:
        return {}
    return event_sources.load(settings.event_sources, process=event_sources.Process.WORKER)


async def _check_secrets(database: Database, intake: Intake, keys: KeyRing) -> None:
    """Return if we may use the database as we do, and pepper and keys belong to the register.

    Raises:
        BadInput: naming the setting that is wrong.
    """
    if (unnamed := await pooler.problem(database)) is not None:
        raise BadInput([unnamed])
    if (excess := await power.excess(database)) is not None:
        _log.warning("database_role_too_strong", why=excess)
    fingerprint = intake.key_for(secrets.PURPOSE).hex()
    await secrets.check(database, fingerprint, keys.listed, None, datetime.now(UTC))


def end(code: int) -> NoReturn:
    """End the process at once, with all work finished. A normal exit could abort: threads of the Temporal runtime may
    still call back while the interpreter shuts down."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def name_what_is_missing(namespace: Namespace, client: Client) -> None:
    """Log what the namespace lacks, before anything is served. No worker ends because it was not told."""
    try:
        await namespace.look(client)
    except RPCError as error:
        _log.warning("namespace_not_read", status=error.status.name)


def runtime(settings: Settings) -> Runtime | None:
    """Return the runtime that tells the metrics of Temporal's client; None for the default one, which tells none."""
    where = settings.temporal_metrics
    if where is None:
        return None
    metrics = PrometheusConfig(bind_address=where, durations_as_seconds=True)
    try:
        return Runtime(telemetry=TelemetryConfig(metrics=metrics))
    except (RuntimeError, ValueError) as error:
        raise BadInput([Problem("REFERRALS_TEMPORAL_METRICS", f"{where}: {error}")]) from None


_AGAIN_SECONDS: Final = 60.0


class Connections:
    """The rails of a worker by name, each with its mode: live (real money), test or sandbox."""

    def __init__(self, database: Database, rails: Mapping[str, str]) -> None:
        self._database = database
        self._rails = rails

    async def turn(self) -> float:
        """Report the rails and return the seconds until the next report."""
        await self.say(datetime.now(UTC))
        return _AGAIN_SECONDS

    async def say(self, now: datetime) -> None:
        """Record the rails as connected at ``now``."""
        await self._database.write(self._say, now)

    async def _say(self, connection: AsyncConnection, now: datetime) -> None:
        for rail, mode in self._rails.items():
            await connection.execute(_SAY, {"rail": rail, "mode": mode, "at": now})


_SAY: Final = text("""
INSERT INTO rail_connection (rail, mode, seen_at) VALUES (:rail, :mode, :at)
ON CONFLICT (rail) DO UPDATE SET mode = excluded.mode, seen_at = excluded.seen_at
""")
