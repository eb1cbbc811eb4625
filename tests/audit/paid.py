"""Referrals lived through the real API and the real activities until they were paid, and in part taken back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from activities.clawbacks import Clawbacks
from activities.inquiries import Inquiries
from activities.messages import ClawbackRequest, PayoutRequest
from activities.payouts import Payouts
from referral_rewards.api.exporting import export
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import REASONS, MoneyAct, SubjectKind
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.fake_source import FakeSource, as_app
from referral_rewards.loopback import served
from referral_rewards.register.payouts import answers
from referral_rewards.register.people import users
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from referral_rewards.sources.http import HttpSource, RegisterSource
from referral_rewards.sources.port import Endpoint, Source
from tests.desk import PROGRAM, Desk, account, days_ago, event, judged, life_of
from tests.register.cycling import Cycling, in_cycles
from tests.sources.told import LONG, SOON
from worker.build import rails

ACME = "acme-friends"
#: The referrer is paid by hand, the referee gets account credit: one of finance and the program owner approve together.
_TERMS = (
    PROGRAM.replace("    kind: credit\n    tiers:", "    kind: cash\n    tiers:", 1)
    .replace("cash: stripe_transfer", "cash: manual")
    .replace("  conversions: register ", "  customers: crm\n  conversions: register ")
    .replace("effective_from: 2025-01-01", "effective_from: 2025-01-02")
)


@dataclass
class Cashier:
    """Pays, confirms and takes back, as workers and people would."""

    desk: Desk

    crm: HttpSource
    crm_at: Endpoint

    @property
    def sources(self) -> dict[str, Source]:
        return {"register": RegisterSource(), "crm": self.crm}

    async def judge(self, referral: str) -> str:
        return await judged(self.desk.database, self.desk.parts.keys, referral, {"crm": self.crm})

    async def approved(self, referral: str, facts: list[dict[str, Any]] | None = None) -> None:
        """A referral whose rewards one of finance and the program owner approved."""
        told = await self.desk.tell(facts or life_of(referral))
        assert told.status_code == 202, told.text
        assert await self.judge(referral) == "awaiting_approval"
        for person in ("fiona", "paula"):
            answer = await self.desk.decide(referral, "approve", person)
            assert answer.status_code < 300, answer.text
        assert await self.judge(referral) == "approved"

    async def paid_by_a_cycle(self, referral: str) -> None:
        """Terms that pay once a month, a referral by them, and the cycle that paid it."""
        began = days_ago(59)
        terms = in_cycles().replace("effective_from: 2025-01-01T00:00:00Z", f"effective_from: {began.isoformat()}")
        await self.desk.publish(terms.replace("[program_owner]", "[finance, program_owner]"))
        sent, *others = life_of(referral)
        await self.approved(referral, [{**sent, "time": began.isoformat()}, *others])
        cycling = Cycling(self.desk)
        cycle = await cycling.frozen()
        assert await cycling.decided(cycle, MoneyAct.RELEASE_CYCLE, "felix") == "released"
        assert set((await cycling.send(cycle)).values()) == {"settled"}
        await cycling.settle(cycle)
        await self.judge(referral)

    async def paid(self, referral: str) -> None:
        """Sends all payouts of a referral; felix confirms what was paid by hand."""
        await self.export()
        asked = "SELECT id, rail FROM payout WHERE referral_id = :id OR cycle_id IS NOT NULL ORDER BY id"
        for row in await self.sql(asked, id=referral):
            state = await self.step(row.id)
            if state == "accepted":
                await self.act(SubjectKind.PAYOUT, row.id, MoneyAct.CONFIRM_PAYOUT, reference=f"BANK-{row.id}")
                state = await self.step(row.id)
            assert state == "settled", (row, state)
        await self.judge(referral)

    async def export(self) -> None:
        parts, now = self.desk.parts, _now()
        async with self.desk.database.reading() as connection:
            fiona = await users.signed_in(connection, self.desk.tokens["fiona"], now)
        exported = await export(replace(parts, sources={"crm": self.crm_at}), fiona)
        assert not exported.left_out, exported

    async def step(self, payout: UUID) -> str:
        parts = self.desk.parts
        asking = Inquiries(self.desk.database, parts.intake, self.sources)
        doing = Payouts(
            self.desk.database.worker, parts.keys, rails(self.desk.database.worker, parts.keys), asking, _now
        )
        return (await doing.send_payout(PayoutRequest(payout=str(payout), now=_now()))).state

    async def act(self, kind: SubjectKind, subject: UUID, act: MoneyAct, user: str = "felix", **said: Any) -> None:
        """Records what somebody of finance decides."""
        parts = self.desk.parts
        async with self.desk.database.transaction() as connection:
            shown = await subjects.shown(connection, kind, subject, parts.keys)
            asked = Asked(str(subject), act, REASONS[act][0], "looked at it", shown.digest, **said)
            approver = Approver(user, frozenset({Role.FINANCE}))
            await record(connection, asked, approver, now=_now(), keys=parts.keys, signer=parts.signer)

    async def refunded(self, referral: str) -> dict[str, UUID]:
        """All of a referral's order is refunded; the case of each role."""
        data = {"order": f"o-{referral}", "kind": "refund"}
        told = await self.desk.tell([event(f"{referral}-refund", "conversion.reversed", days_ago(0.001), data)])
        assert told.status_code == 202, told.text
        await self.judge(referral)
        found = await self.sql(
            "SELECT c.id, l.role FROM clawback_case c JOIN leg l ON l.id = c.leg_id WHERE c.referral_id = :id",
            id=referral,
        )
        return {row.role: row.id for row in found}

    async def payout(self, referral: str, rail: str = "manual") -> UUID:
        """The payout of a referral over a rail."""
        (row,) = await self.sql(
            "SELECT id FROM payout WHERE referral_id = :id AND rail = :rail", id=referral, rail=rail
        )
        return row.id  # type: ignore[no-any-return]

    async def hears(self, payout: UUID, state: PayoutState, reference: str | None = None) -> str:
        """The rail says by itself what became of a payment; where the payout stands then."""
        async with self.desk.database.transaction() as connection:
            return await answers.note(connection, payout, state, _now(), reference=reference, why="the rail says so")

    async def take(self, case: UUID, act: MoneyAct, amount_minor: int) -> None:
        """An amount is taken back; at its provider if that is how."""
        await self.act(SubjectKind.CLAWBACK_CASE, case, act, amount_minor=amount_minor)
        for row in await self.sql("SELECT id FROM clawback WHERE state = 'approved'"):
            parts = self.desk.parts
            doing = Clawbacks(self.desk.database.worker, parts.keys, rails(self.desk.database.worker, parts.keys), _now)
            done = await doing.reverse_clawback(ClawbackRequest(clawback=str(row.id), now=_now()))
            assert done.state == "reversed", done

    async def sql(self, statement: str, **parameters: Any) -> list[Any]:
        async with self.desk.database.transaction() as connection:
            result = await connection.execute(text(statement), parameters)
            return list(result.all()) if result.returns_rows else []


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def cashier_of(desk: Desk) -> AsyncIterator[Cashier]:
    """Whoever pays at a desk, with the source that it asks about customers, for the length of the block."""
    async with served(as_app(FakeSource("crm"))) as url, httpx.AsyncClient(trust_env=False) as client:
        crm = Endpoint(url)
        yield Cashier(desk, HttpSource("crm", crm, client, patience_seconds=LONG, pauses=SOON), crm)


async def begun(desk: Desk) -> None:
    """Terms by which the referrer is paid by hand, dexter's account, and felix of finance."""
    await desk.add_user("felix", Role.FINANCE)
    await desk.publish(_TERMS)
    assert (await desk.tell([account("dexter")])).status_code == 202


async def lived(desk: Desk) -> None:
    """Four referrals of dexter that were paid. The order of the first was refunded: of its rewards a part was reversed,
    a part is kept from the third's payment, and the rest was written off. The fourth was paid by a payout cycle."""
    await begun(desk)
    async with cashier_of(desk) as cashier:
        await _lived(cashier)


async def _lived(cashier: Cashier) -> None:
    for referral in ("r1", "r2"):
        await cashier.approved(referral)
        await cashier.paid(referral)
    cases = await cashier.refunded("r1")
    await cashier.take(cases["referee"], MoneyAct.REVERSE_CLAWBACK, 800)
    await cashier.take(cases["referrer"], MoneyAct.OFFSET_CLAWBACK, 2000)
    await cashier.take(cases["referrer"], MoneyAct.WRITE_OFF_CLAWBACK, 500)
    await cashier.judge("r1")
    await cashier.approved("r3")
    await cashier.paid("r3")
    await cashier.judge("r1")
    await cashier.paid_by_a_cycle("r4")
