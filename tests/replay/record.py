"""`python -m tests.replay.record [WAY…]`: lives the ways again on real servers and writes their histories anew.

To be run when a new way is added and, until the first release, when a change breaks a replay: no run is older than the
release. After it a history on record stays: runs that are months old look like it, and the change is patched instead.
"""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from models.migrate import upgrade
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.restores.mark import Mark, Newest, Record
from referral_rewards.local.embedded import postgres, temporal_cli
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.loopback import served
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.search_attributes import SEARCH_ATTRIBUTES
from referral_rewards.temporal import (
    REGISTER_MARK,
    clawback_workflow_id,
    cycle_workflow_id,
    payout_workflow_id,
    program_workflow_id,
    pull_id,
    reconciliation_workflow_id,
)
from referral_rewards.vendor_apis.connected import connected
from tests.clawbacks.taking import act, cases, rewarded, told
from tests.installation import Installation
from tests.pulls.pulling import source
from tests.pulls.vendors_faked import Stripe
from tests.rails.sending import live_until_approved, on_stage
from tests.rails.test_workflow import at_work, stands, wake
from tests.replay.histories import CYCLE, FOLDER, MARK, PAYOUT, PROGRAM, PULL, RECONCILIATION, WAYS
from tests.roles import ROLES, create_roles
from tests.vendors.reading import mapping
from tests.vendors.stripe_life import HOUR, LIFE
from tests.workflows.cycling import approved, comes_to, decide_on, monthly, open_cycle
from tests.workflows.journeys import Journey
from tests.workflows.scenes import payouts, scene, sql
from tests.workflows.test_program_life import carried_out
from tests.workflows.test_program_life import decide as decide_on_program
from worker.marking import Marking
from workflows.source_pull import SourcePull


async def record(names: Sequence[str]) -> None:
    """Lives each of these ways as a referral of its name, in one installation."""
    with TemporaryDirectory() as folder:
        async with postgres(Path(folder)) as url, await _temporal() as environment:
            await _prepared(url)
            async with scene(with_driver(url), environment) as life, life.workers():
                for name in [name for name in names if name not in (PAYOUT, CYCLE, PROGRAM, MARK, PULL)]:
                    if name == "clawback":
                        await _take_back(life)
                    elif name == RECONCILIATION:
                        await _reconcile(life)
                    else:
                        await WAYS[name](Journey(life, name.replace("_", "-")))
                        await _write(life, name)
        if PAYOUT in names:
            async with postgres(Path(folder) / "payout") as url, await _temporal() as environment:
                await _prepared(url)
                await _record_payout(with_driver(url), environment)
        if PROGRAM in names:
            async with postgres(Path(folder) / "program") as url, await _temporal() as environment:
                await _prepared(url)
                await _record_program(with_driver(url), environment)
        if MARK in names:
            async with postgres(Path(folder) / "mark") as url, await _temporal() as environment:
                await _prepared(url)
                await _record_mark(with_driver(url), environment)
        if PULL in names:
            async with postgres(Path(folder) / "pull") as url, await _temporal() as environment:
                await _prepared(url)
                await _record_pull(with_driver(url), environment)
        if CYCLE in names:
            async with postgres(Path(folder) / "cycle") as url, await _temporal() as environment:
                await _prepared(url)
                await _record_cycle(with_driver(url), environment)


async def _prepared(url: str) -> None:
    """The schema, and the roles that our processes have."""
    await create_roles(url)
    await asyncio.to_thread(upgrade, with_driver(url), ROLES)


async def _record_cycle(url: str, environment: WorkflowEnvironment) -> None:
    """A payout cycle that is stopped, resumed and released, and whose payouts come to rest."""
    async with scene(url, environment, monthly()) as life:
        await life.user("fay")
        await approved(life, "r1")
        async with life.workers():
            cycle = await open_cycle(life)
            row = await comes_to(life, cycle, "frozen")
            for decision, comes in (
                (MoneyAct.STOP_CYCLE, "stopped"),
                (MoneyAct.RESUME_CYCLE, "frozen"),
                (MoneyAct.RELEASE_CYCLE, "done"),
            ):
                await decide_on(life, cycle, decision)
                await comes_to(life, cycle, comes)
            handle = environment.client.get_workflow_handle(cycle_workflow_id(row.program, row.due_on))
            await handle.result()
            _save(CYCLE, await handle.fetch_history())


async def _record_program(url: str, environment: WorkflowEnvironment) -> None:
    """Acts on a program that take effect at once, and one whose time is to come, and comes."""
    async with scene(url, environment) as life:
        await life.user("paula")
        async with life.workers():
            for decision in (MoneyAct.PAUSE_PROGRAM, MoneyAct.RESUME_PROGRAM):
                await decide_on_program(life, decision)
                await carried_out(life)
            await decide_on_program(life, MoneyAct.END_PROGRAM, datetime.now(UTC) + timedelta(seconds=3))
            handle = environment.client.get_workflow_handle(program_workflow_id("acme-friends"))
            await handle.result()
            _save(PROGRAM, await handle.fetch_history())


async def _record_mark(url: str, environment: WorkflowEnvironment) -> None:
    """A mark that is raised, is told what is lower and what is no mark, and outgrows its first run."""
    async with scene(url, environment) as life, life.payouts_worker():
        marking = Marking(life.database, environment.client, f"{life.queue}-payouts")
        await marking.turn()
        handle = environment.client.get_workflow_handle(REGISTER_MARK)
        kept = await handle.query("kept", result_type=Mark)
        higher = Mark(0, {Record.DECISIONS: Newest(7, "h")}, kept.since)
        for told in (higher, kept, None, "nonsense"):
            await handle.signal("raise_to", told)
        first = (await handle.describe()).run_id
        await asyncio.gather(*(handle.signal("raise_to", None) for _ in range(200)))
        while (await handle.describe()).run_id == first:
            await asyncio.sleep(0.02)
        first_run = environment.client.get_workflow_handle(REGISTER_MARK, run_id=first)
        _save(MARK, await first_run.fetch_history())
        await handle.terminate()


async def _record_pull(url: str, environment: WorkflowEnvironment) -> None:
    """A pull of two pages, before which its source does not answer once."""
    lately = int(datetime.now(UTC).timestamp()) - HOUR // 2
    stripe = Stripe(events=[{**each, "created": lately} for each in LIFE[:4]], bad_days=[(503, b"", {})])
    async with scene(url, environment) as life, served(stripe) as at:
        life.told_of["shop"] = source("stripe", mapping(source="acme/shop"), at)
        async with connected(life.told_of) as apis:
            life.apis.update(apis)
            async with life.referrals_worker():
                handle = await environment.client.start_workflow(
                    SourcePull.run, "shop", id=pull_id("shop"), task_queue=f"{life.queue}-referrals"
                )
                await handle.result()
                _save(PULL, await handle.fetch_history())


async def _record_payout(url: str, environment: WorkflowEnvironment) -> None:
    """A payout by a provider that waits for funds, loses a reply, and is woken."""
    signer = await live_until_approved("stripe_transfer", url, environment)
    async with on_stage("stripe_transfer", url, signer, environment) as sending, at_work(sending) as handle:
        sending.provider.poor = True
        await wake(sending)
        await stands(sending, PayoutState.WAITING_FUNDS)
        sending.provider.poor = False
        sending.provider.fail(Fault.REPLY_LOST)
        await environment.fast_forward(handle, timedelta(hours=1, minutes=1))
        await stands(sending, PayoutState.UNKNOWN)
        await wake(sending)
        await handle.result()
        _save(PAYOUT, await handle.fetch_history())


async def _write(life: Installation, name: str) -> None:
    referral = name.replace("_", "-")
    _save(name, await life.handle(referral).fetch_history())
    if name == "rewarded":
        paid = (await payouts(life, referral))["referrer"]
        handle = life.environment.client.get_workflow_handle(payout_workflow_id(str(paid.id)))
        _save("payout", await handle.fetch_history())


async def _take_back(life: Installation) -> None:
    """A reward that is taken back whole at its provider."""
    await rewarded(life, "taken-back")
    await told(life, "conversion.reversed", "taken-back", kind="refund")
    (case,) = (await cases(life, "taken-back"))["referrer"]
    await act(life, MoneyAct.REVERSE_CLAWBACK, case.id, 2500)
    await life.relay.deliver()
    ((clawback,),) = await sql(life, "SELECT id FROM clawback")
    handle = life.environment.client.get_workflow_handle(clawback_workflow_id(str(clawback)))
    await handle.result()
    _save("clawback", await handle.fetch_history())


async def _reconcile(life: Installation) -> None:
    """The books' own credits, compared with the payouts that they are of."""
    await rewarded(life, "reconciled")
    async with life.database.transaction() as connection:
        now = datetime.now(UTC)
        asked = await reconciliations.ask(connection, "account_credit", now - timedelta(days=1), now, by="fay", at=now)
    await life.relay.deliver()
    handle = life.environment.client.get_workflow_handle(reconciliation_workflow_id(str(asked)))
    await handle.result()
    _save(RECONCILIATION, await handle.fetch_history())


def _save(name: str, history: WorkflowHistory) -> None:
    FOLDER.mkdir(exist_ok=True)
    # Without the names of processes and hosts: no replay looks at them.
    said = re.sub(r"\d+@[\w.-]+", "a worker", history.to_json())
    (FOLDER / f"{name}.json").write_text(json.dumps(json.loads(said), indent=1, sort_keys=True) + "\n")


async def _temporal() -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=temporal_cli(),
        dev_server_log_level="error",
        dev_server_startup_timeout=timedelta(seconds=30),
        search_attributes=list(SEARCH_ATTRIBUTES),
        data_converter=pydantic_data_converter,
        dev_server_extra_args=[
            *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
            *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="1ms"'),
        ],
    )


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:] or [*WAYS, "clawback", RECONCILIATION, PAYOUT, CYCLE, PROGRAM, MARK, PULL]))
