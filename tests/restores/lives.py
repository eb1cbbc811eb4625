"""What leads up to a payment, lived once for the session and copied: up to its approval, beyond, or into a cycle."""

import re
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.cycles import steps as cycle_steps
from referral_rewards.register.decisions.signing import Signer
from tests.installation import PROGRAM, Installation
from tests.rails.sending import KINDS
from tests.workflows.cycling import open_cycle
from tests.workflows.scenes import before_its_approver, days_ago, referrals_at_work, scene, sql

Until = Literal["review", "approved", "frozen"]
APPROVERS = (Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS)


async def live(
    rail: str, account: str | None, until: Until, database_url: str, environment: WorkflowEnvironment
) -> tuple[Signer, UUID | None]:
    """Lives r1, whose referrer is paid over that rail, up to there. Return who signs, and the cycle, if any."""
    async with scene(database_url, environment, _terms(rail, in_cycles=until == "frozen")) as life:
        for name in ("faye", "finn"):
            await life.user(name, Role.FINANCE)
        if account is not None:
            method = {"payee": "dexter", "rail": rail, "reference": account}
            await life.record("payee.method_set", days_ago(200), method)
        async with referrals_at_work(life):
            await before_its_approver(life, "r1")
            if until != "review":
                await life.decide("r1", roles=APPROVERS)
                await life.settled("r1", among=frozenset({"approved"}))
        cycle = await open_cycle(life) if until == "frozen" else None
        if cycle is not None:
            await advance(life, cycle)
        await sql(life, "DELETE FROM outbox")
        return life.signer, cycle


async def advance(life: Installation, cycle: UUID) -> None:
    """Takes every step of a cycle that waits for nobody."""
    more = True
    while more:
        async with life.database.transaction() as connection:
            step = await cycle_steps.step(connection, cycle, datetime.now(UTC), life.keys)
        assert step is not None
        more = step.more


def _terms(rail: str, *, in_cycles: bool) -> str:
    kind, _ = KINDS.get(rail, ("cash", None))
    source = PROGRAM.read_text().replace("kind: credit\n", f"kind: {kind}\n")
    rails = ", ".join(f"{each}: {name}" for each, name in {"credit": "account_credit", kind: rail}.items())
    source = re.sub(r"  rails: \{.*\}", f"  rails: {{{rails}}}", source)
    if in_cycles:
        source = source.replace("timing: immediate", "timing: {cycle: monthly, day: 15}")
    return source
