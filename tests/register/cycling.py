"""Payout cycles on a desk: steps taken as a worker takes them, decisions made through the API, payouts sent by our own
books."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from activities.inquiries import Inquiries
from activities.messages import PayoutRequest
from activities.payouts import Payouts
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.cycles import steps as cycle_steps
from referral_rewards.register.facts.intake import Intake
from referral_rewards.sources.http import RegisterSource
from tests.desk import PEPPER, PROGRAM, Desk
from worker.build import rails

REASONS = {MoneyAct.RELEASE_CYCLE: "list_checked", MoneyAct.STOP_CYCLE: "something_wrong"}


def in_cycles(minimum: str | None = None, **changes: str) -> str:
    """The example terms, paying once a month; ``changes`` replace parts of their text."""
    least = f', minimum: "{minimum}"' if minimum else ""
    source = PROGRAM.replace("timing: immediate", f"timing: {{cycle: monthly, day: 15{least}}}")
    for before, after in changes.items():
        source = source.replace(before, after)
    return source


@dataclass
class Cycling:
    """A desk whose program pays in cycles."""

    desk: Desk

    async def approved(self, *referrals: str, as_: str = "paula") -> None:
        """Referrals of which every leg is approved, and due for a cycle."""
        for referral in referrals:
            await self.desk.referral(referral)
            await self.desk.decide(referral, "approve", as_)
            assert await self.desk.judge(referral) == "approved"

    async def open(self, program: str = "acme-friends", *, days: int = 0) -> UUID:
        """The program's cycle of so many days from now; nothing of it is gathered yet."""
        async with self.desk.database.transaction() as connection:
            return (await cycles.open_early(connection, program, datetime.now(UTC) + timedelta(days=days)))[0]

    async def step(self, cycle: UUID) -> bool:
        """One step; whether the next can be taken at once."""
        async with self.desk.database.transaction() as connection:
            step = await cycle_steps.step(connection, cycle, datetime.now(UTC), self.desk.parts.keys)
        assert step is not None
        return step.more

    async def settle(self, cycle: UUID) -> str:
        """Takes every step that waits for nobody; where the cycle then stands."""
        while await self.step(cycle):
            pass
        return str((await self.row(cycle)).state)

    async def frozen(self, *, days: int = 0) -> UUID:
        """A cycle whose list waits to be released."""
        cycle = await self.open(days=days)
        assert await self.settle(cycle) == "frozen"
        return cycle

    async def act(self, cycle: UUID, act: MoneyAct, as_: str = "fiona", **given: str) -> httpx.Response:
        """A decision on the cycle, against the digest that is shown unless another is given."""
        shown = (await self.desk.get(f"/v1/cycles/{cycle}", as_)).json()
        asked = {"act": act, "reason": REASONS.get(act, "cleared"), "note": "looked at it", "digest": shown["digest"]}
        headers = self.desk.bearer(as_)
        return await self.desk.api.post(f"/v1/cycles/{cycle}/decisions", json=asked | given, headers=headers)

    async def decided(self, cycle: UUID, act: MoneyAct, as_: str = "fiona") -> str:
        """Decides, and lets the cycle go on; where it then stands."""
        made = await self.act(cycle, act, as_)
        assert made.status_code == 201, made.text
        return await self.settle(cycle)

    async def send(self, cycle: UUID, *, only: Collection[str] | None = None, times: int = 3) -> dict[str, str]:
        """Sends the cycle's payouts as their workflows do, each until it rests or that often; where they then stand."""
        paying = Payouts(
            self.desk.database,
            self.desk.parts.keys,
            rails(self.desk.database.worker, self.desk.parts.keys),
            Inquiries(self.desk.database, Intake(PEPPER), {"register": RegisterSource()}),
            lambda: datetime.now(UTC),
        )
        for payee, payout in (await self.payouts(cycle)).items():
            for _ in range(times if only is None or payee in only else 0):
                progress = await paying.send_payout(PayoutRequest(payout=str(payout.id), now=datetime.now(UTC)))
                if progress.again_after is None:
                    break
        return {payee: payout.state for payee, payout in (await self.payouts(cycle)).items()}

    async def row(self, cycle: UUID) -> Any:
        [row] = await self.rows("SELECT * FROM payout_cycle WHERE id = :cycle", cycle=cycle)
        return row

    async def payouts(self, cycle: UUID) -> dict[str, Any]:
        """The cycle's payouts by payee."""
        found = await self.rows("SELECT * FROM payout WHERE cycle_id = :cycle ORDER BY payee", cycle=cycle)
        return {row.payee: row for row in found}

    async def amounts(self, cycle: UUID) -> dict[str, int]:
        """What is to be sent of the cycle, or was, by payee."""
        its = await self.payouts(cycle)
        return {payee: row.amount_minor for payee, row in its.items() if row.state != "cancelled"}

    async def money(self) -> dict[str, int]:
        """Every account of the books that is not at zero, in minor units."""
        found = await self.rows(
            "SELECT account, sum(amount_minor) AS total FROM posting GROUP BY 1 HAVING sum(amount_minor) <> 0"
        )
        return {row.account: int(row.total) for row in found}

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        async with self.desk.database.transaction() as connection:
            result = await connection.execute(text(statement), parameters)
            return list(result.all()) if result.returns_rows else []
