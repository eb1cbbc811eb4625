"""Payout cycles in a test: terms that pay in them, opening one, deciding on it, and waiting for where it comes to."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from tests.installation import PROGRAM, Installation
from tests.patience import PATIENCE_SECONDS
from tests.workflows.scenes import before_its_approver, referrals_at_work, sql


def monthly(minimum: str | None = None, *, program: str | None = None, **changes: str) -> str:
    """The example terms, paying once a month; ``changes`` replace parts of their text."""
    least = f', minimum: "{minimum}"' if minimum else ""
    text = PROGRAM.read_text().replace("timing: immediate", f"timing: {{cycle: monthly, day: 15{least}}}")
    if program is not None:
        text = text.replace("program: acme-friends", f"program: {program}")
    for before, after in changes.items():
        text = text.replace(before, after)
    return text


async def approved(life: Installation, *referrals: str) -> None:
    """Referrals of which every leg is approved and due for a cycle."""
    async with referrals_at_work(life):
        for referral in referrals:
            await before_its_approver(life, referral)
            await life.decide(referral)
            await life.settled(referral, among=frozenset({"approved"}))


async def open_cycle(life: Installation, program: str = "acme-friends", *, days: int = 0) -> UUID:
    """Opens a program's cycle as of so many days from now, as somebody does who won't wait for its day."""
    async with life.database.transaction() as connection:
        opened, _ = await cycles.open_early(connection, program, datetime.now(UTC) + timedelta(days=days))
    return opened


async def decide_on(
    life: Installation,
    cycle: UUID,
    act: MoneyAct,
    user: str = "fay",
    roles: Sequence[Role] = (Role.FINANCE,),
    *,
    marks: frozenset[str] = frozenset(),
    digest: str | None = None,
) -> Decision:
    """Records a decision on a cycle as the API does, against what is shown of it now."""
    reason = {MoneyAct.RELEASE_CYCLE: "list_checked", MoneyAct.STOP_CYCLE: "something_wrong"}.get(act, "cleared")
    async with life.database.transaction() as connection:
        shown = await subjects.shown(connection, SubjectKind.CYCLE, cycle, life.keys)
    async with life.database.transaction() as connection:
        decision, _ = await record(
            connection,
            Asked(str(cycle), act, reason, "looked at it", digest or shown.digest),
            Approver(user, frozenset(roles), marks),
            now=datetime.now(UTC),
            keys=life.keys,
            signer=life.signer,
        )
    return decision


async def cycle_row(life: Installation, cycle: UUID) -> Any:
    [row] = await sql(life, "SELECT * FROM payout_cycle WHERE id = :id", id=cycle)
    return row


async def comes_to(life: Installation, cycle: UUID, *states: str) -> Any:
    """The cycle's row once it stands at one of these states and every wake-up is delivered."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            row = await cycle_row(life, cycle)
            if not await life.relay.deliver() and row.state in states:
                return row
            await asyncio.sleep(0.05)


async def its_payouts(life: Installation, cycle: UUID) -> dict[str, Any]:
    """The cycle's payouts by payee."""
    return {row.payee: row for row in await sql(life, "SELECT * FROM payout WHERE cycle_id = :id", id=cycle)}
