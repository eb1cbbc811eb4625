"""Builds the workers of every task queue, and those that tell others beside them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

import httpx
from temporalio.client import Client
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.clawbacks import Clawbacks
from activities.cycles import Cycles
from activities.inquiries import Inquiries
from activities.payouts import Payouts
from activities.programs import Programs
from activities.pulls import Pulls
from activities.queues import NONE_APART, Queues
from activities.reconciliations import Reconciliations
from activities.referrals import Referrals
from activities.restores import Whole, always_whole
from models.session import Database
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.notices.port import Mailer
from referral_rewards.notices.webhook import Hook, Webhooks
from referral_rewards.rails.account_credit import AccountCredit
from referral_rewards.rails.manual import Manual
from referral_rewards.rails.port import Rail
from referral_rewards.register import outgoing_events
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.facts.intake import Intake
from referral_rewards.sources.port import Source
from worker.letters import Letters
from worker.measurements import Measurements
from worker.postman import Postman
from worker.sandbox import runner
from workflows.clawback import Clawback
from workflows.payout import Payout
from workflows.payout_cycle import PayoutCycle, PayoutCycleDue
from workflows.program_life import ProgramLife
from workflows.reconciliation import Reconciliation
from workflows.referral import Referral
from workflows.register_mark import RegisterMark
from workflows.source_pull import SourcePull

#: How long work in progress may take to finish when a worker is stopped: longer than a step that signs in at a
#: provider, looks a payment up and sends it, each of which may take eight seconds.
GRACE: Final = timedelta(seconds=30)
#: Workflow tasks that a worker handles at once, and steps in them that use the database, which has ten connections.
#: Each must end within the ten seconds that the server waits for it. With more at once a burst of wake-ups ends none in
#: time, and all of its work is thrown away and done again.
TASKS_AT_ONCE: Final = 20
_STEPS_AT_ONCE: Final = 10
#: Seconds between two polls for due messages.
_POSTMANS_PAUSE: Final = 2.0

#: The workflows of each task queue.
REFERRAL_WORKFLOWS: Final = (Referral, ProgramLife, SourcePull)
PAYOUT_WORKFLOWS: Final = (Payout, Clawback, PayoutCycle, PayoutCycleDue, Reconciliation, RegisterMark)


def referrals_worker(
    client: Client,
    queue: str,
    database: Database,
    keys: KeyRing,
    intake: Intake,
    sources: Mapping[str, Source],
    steps: Database | None = None,
    deployment: WorkerDeploymentConfig | None = None,
    pulls: Pulls | None = None,
) -> Worker:
    """The worker of `Referral` and `ProgramLife` workflows, the activities that judge, and the pulling of sources. Of
    our own keys it holds public ones only.

    ``steps`` is the same database, planned once, for judging; ``deployment`` is the version of the code
    (`versions.deployment`); ``pulls`` asks the sources that are connected, by default none."""
    steps = steps or database
    pulls = pulls or Pulls(database, intake, {}, {})
    judging = Referrals(steps, keys, Inquiries(steps, intake, sources))
    return Worker(
        client,
        task_queue=queue,
        workflows=REFERRAL_WORKFLOWS,
        activities=[
            *(judging.judge_referral, judging.assemble_claim),
            *(Programs(database, keys).wake_page, pulls.pull_page),
        ],
        workflow_runner=runner(versioned=deployment is not None),
        max_concurrent_workflow_tasks=TASKS_AT_ONCE,
        max_concurrent_local_activities=_STEPS_AT_ONCE,
        max_cached_workflows=1000,
        graceful_shutdown_timeout=GRACE,
        deployment_config=deployment,
    )


def payouts_worker(
    client: Client,
    queue: str,
    database: Database,
    keys: KeyRing,
    intake: Intake,
    sources: Mapping[str, Source],
    outside: Mapping[str, Rail] = MappingProxyType({}),
    queues: Queues = NONE_APART,
    is_whole: Whole = always_whole,
    steps: Database | None = None,
    deployment: WorkerDeploymentConfig | None = None,
) -> Worker:
    """The worker of payouts, clawbacks, payout cycles, reconciliations and the register's mark. Its activities pay in
    our own books and over the rails ``outside``.

    ``queues`` knows the rails that a `provider_worker` serves, here or in another process. ``is_whole`` is asked before
    anything is sent: whether the register lacks nothing of its mark. ``steps`` is the same database, planned once, for
    paying; ``deployment`` the version of the code (`versions.deployment`).
    """
    steps = steps or database
    connected = rails(steps, keys, outside)
    paying = Payouts(steps, keys, connected, Inquiries(steps, intake, sources), _now, queues, is_whole)
    reversing = Clawbacks(database, keys, connected, _now, queues, is_whole)
    cycling = Cycles(database, keys)
    reconciling = Reconciliations(database, connected, queues)
    return Worker(
        client,
        task_queue=queue,
        workflows=PAYOUT_WORKFLOWS,
        activities=[
            *(paying.send_payout, reversing.reverse_clawback),
            *(cycling.open_due_cycle, cycling.advance_cycle),
            *(reconciling.route_reconciliation, reconciling.list_page, reconciling.compare_some),
            reconciling.abandon_reconciliation,
        ],
        workflow_runner=runner(versioned=deployment is not None),
        max_concurrent_workflow_tasks=TASKS_AT_ONCE,
        max_concurrent_local_activities=_STEPS_AT_ONCE,
        max_cached_workflows=500,
        graceful_shutdown_timeout=GRACE,
        deployment_config=deployment,
    )


def provider_worker(
    client: Client,
    queue: str,
    database: Database,
    keys: KeyRing,
    intake: Intake,
    sources: Mapping[str, Source],
    its_rails: Mapping[str, Rail],
    per_second: float,
    is_whole: Whole = always_whole,
    steps: Database | None = None,
    deployment: WorkerDeploymentConfig | None = None,
) -> Worker:
    """The worker of the activities that call the rails of one provider, at most ``per_second`` over all such workers.

    Only this worker and the payouts worker ever hold provider secrets.
    """
    steps = steps or database
    asking = Inquiries(steps, intake, sources)
    paying = Payouts(steps, keys, its_rails, asking, _now, is_whole=is_whole)
    reversing = Clawbacks(database, keys, its_rails, _now, is_whole=is_whole)
    reconciling = Reconciliations(database, its_rails)
    return Worker(
        client,
        task_queue=queue,
        activities=[
            *(paying.send_payout, reversing.reverse_clawback),
            *(reconciling.list_page, reconciling.compare_some),
        ],
        max_task_queue_activities_per_second=per_second,
        graceful_shutdown_timeout=GRACE,
        deployment_config=deployment,
    )


@asynccontextmanager
async def telling(
    database: Database,
    letters: Letters,
    mail: Mailer | None,
    hooks: Mapping[str, Hook],
    noted: Callable[[str, NoticeState], None] = lambda audience, state: None,
) -> AsyncIterator[tuple[Postman, Measurements]]:
    """Yield for the length of the block who sends messages, and who tells measurement events. From now on events are
    planned for the webhooks ``hooks``."""
    await database.write(outgoing_events.connect, {name: hook.events for name, hook in hooks.items()})
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
        webhooks = Webhooks(hooks, client)
        post = Postman(database, letters, mail=mail, webhooks=webhooks, pause=_POSTMANS_PAUSE, noted=noted)
        yield post, Measurements(database, webhooks)


def rails(database: Database, keys: KeyRing, outside: Mapping[str, Rail] = MappingProxyType({})) -> Mapping[str, Rail]:
    """Return the rails that this installation can pay over, by their names in the terms."""
    own: tuple[Rail, ...] = (AccountCredit(database, _now), Manual(database, keys))
    return {**outside, **{rail.facts.name: rail for rail in own}}


def _now() -> datetime:
    return datetime.now(UTC)
