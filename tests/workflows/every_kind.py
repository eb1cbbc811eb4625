"""A workflow of each kind that is about to take a step, in one installation: for whatever must hold for all of them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.client import WorkflowHandle

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.temporal import (
    clawback_workflow_id,
    cycle_workflow_id,
    payout_workflow_id,
    program_workflow_id,
    reconciliation_workflow_id,
)
from referral_rewards.vendor_apis.port import Page
from tests.clawbacks.taking import act, cases, rewarded, told
from tests.installation import PROGRAM, Installation
from tests.pulls.pulling import source
from tests.vendors.reading import mapping
from tests.workflows.cycling import monthly, open_cycle
from tests.workflows.scenes import before_its_approver, payouts, quiet, sql
from tests.workflows.test_program_life import decide as decide_on_program
from workflows.payout_cycle import PayoutCycleDue
from workflows.source_pull import SourcePull

#: Programs beside the example's: one that pays in cycles, and one that is paused.
_CLUB: Final = "club"
_PAUSED: Final = "paused-friends"
#: A source that is pulled.
_SHOP: Final = "shop"
#: What each run ends with, by its type; the referral `r2` comes to be on hold, and its run stays open.
ENDS: Final[dict[str, Any]] = {
    "Payout": "settled",
    "Clawback": "reversed",
    "PayoutCycle": "done",
    "PayoutCycleDue": None,
    "ProgramLife": None,
    "Reconciliation": 0,
    "SourcePull": None,
}


async def furnish(life: Installation) -> None:
    """People and programs for all of them."""
    await life.user("fay")
    await life.user("paula")
    await life.publish(monthly(program=_CLUB))
    await life.publish(PROGRAM.read_text().replace("program: acme-friends", f"program: {_PAUSED}"))
    life.told_of[_SHOP] = source("stripe", mapping(source=f"acme/{_SHOP}"), name=_SHOP)
    life.apis[_SHOP] = Quiet()


class Quiet:
    """A vendor to whom nothing happened."""

    async def page(self, since: datetime, place: str | None) -> Page:
        return Page((), None, None)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any] | None:
        return None


async def about_to_take_a_step(life: Installation, away: Installation) -> dict[str, WorkflowHandle[Any, Any]]:
    """A workflow of each kind, by the name of its type; most of them not started yet, for want of a wake-up."""
    async with away.workers():
        await rewarded(life, "r1")
        await told(life, "conversion.reversed", kind="refund")
        await before_its_approver(life, "r2")
    async with away.referrals_worker():
        await before_its_approver(life, "r3")
        await life.decide("r3")
        await life.settled("r3", among=frozenset({"approved"}))
        await quiet(life, "r3")
    paid = (await payouts(life, "r3"))["referrer"]
    client = life.environment.client
    await act(life, MoneyAct.REVERSE_CLAWBACK, (await cases(life))["referrer"][0].id, 2500)
    [taken] = await sql(life, "SELECT id FROM clawback")
    cycle = await open_cycle(life, _CLUB)
    [due] = await sql(life, "SELECT due_on FROM payout_cycle WHERE id = :id", id=cycle)
    now = datetime.now(UTC)
    async with life.database.transaction() as connection:
        # Until an hour ago: what is being paid while it compares would be a difference, or not.
        since, until = now - timedelta(days=9), now - timedelta(hours=1)
        asked = await reconciliations.ask(connection, "account_credit", since, until, by="fay", at=now)
    names = {
        "Payout": payout_workflow_id(str(paid.id)),
        "Clawback": clawback_workflow_id(str(taken.id)),
        "PayoutCycle": cycle_workflow_id(_CLUB, due.due_on),
        "PayoutCycleDue": f"due-{life.queue}",
        "ProgramLife": program_workflow_id(_PAUSED),
        "Reconciliation": reconciliation_workflow_id(str(asked)),
        "SourcePull": f"pull-{life.queue}",
    }
    return {"Referral": life.handle("r2")} | {name: client.get_workflow_handle(each) for name, each in names.items()}


async def woken(life: Installation, handles: dict[str, WorkflowHandle[Any, Any]]) -> None:
    """Has each of them hear of something to do. What is not running is started."""
    await life.decide("r2", DecisionKind.HOLD)
    await decide_on_program(life, MoneyAct.PAUSE_PROGRAM, program=_PAUSED)
    await life.environment.client.start_workflow(
        PayoutCycleDue.run, "nobody", id=handles["PayoutCycleDue"].id, task_queue=f"{life.queue}-payouts"
    )
    await life.environment.client.start_workflow(
        SourcePull.run, _SHOP, id=handles["SourcePull"].id, task_queue=f"{life.queue}-referrals"
    )
    while await life.relay.deliver():
        pass
