"""Cases of payees, from their files through the commands, on a whole stack: embedded servers, workers, sandboxes."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import text

from models.session import Database
from referral_rewards.local import bootstrap
from referral_rewards.local.embedded import HOST, free_port
from referral_rewards.local.stack import Ports, stack

CASES: Final = Path(__file__).parent
_SECONDS_MAX: Final = 240
_SAYING: Final = ("--reason", "confirmed_with_payee", "--note", "called back")


@dataclass(frozen=True)
class Stack:
    """A running stack, and hands to type commands of one case."""

    data: Path
    database: Database
    sandboxes: str

    async def types(self, *words: str, code: int = 0) -> str:
        """Types a command and returns what it said; it must end with that code."""
        done = await asyncio.to_thread(self._run, words)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    async def read(self, *words: str) -> Any:
        done = await asyncio.to_thread(self._run, (*words, "--json"))
        assert done.returncode == 0, (words, done.stderr)
        return json.loads(done.stdout)

    def _run(self, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "referral_rewards.cli.main", *words]
        environment = {**os.environ, "REFERRALS_DATA": str(self.data)}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    async def sql(self, statement: str) -> list[Any]:
        async with self.database.transaction() as connection:
            found = await connection.execute(text(statement))
            return list(found) if found.returns_rows else []

    async def sandbox(self, provider: str, **wanted: Any) -> Any:
        async with httpx.AsyncClient() as client:
            url = f"{self.sandboxes}/control/{provider}"
            if wanted:
                assert (await client.post(url, json=wanted)).status_code == 204
            return (await client.get(url)).json()

    async def begins(self, case: str, referral: str) -> None:
        """Publishes a case's terms, tells its facts, and approves its referral."""
        folder = CASES / case
        await self.types("program", "publish", str(folder / "terms.yaml"))
        await self.types("ingest", str(folder / "facts.jsonl"), "--wait")
        saying = ("--reason", "terms_met", "--note", "checked")
        await self.types("approve", referral, *saying, "--as", "fiona")

    async def payouts(self, payee: str) -> list[dict[str, Any]]:
        return list(await self.read("payout", "list", "--payee", payee, "--as", "fiona"))

    async def waiting(self, payee: str) -> list[tuple[str, str]]:
        shown = await self.read("payee", "show", payee, "--as", "fiona")
        return [(each["referral"], each["state"]) for each in shown["waiting"]]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_SECONDS_MAX):
        while not await holds():
            await asyncio.sleep(0.2)


@pytest.fixture
async def running(data: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stack]:
    for name in [name for name in os.environ if name.startswith(("REFERRALS_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    ports = Ports(*(free_port() for _ in Ports._fields))
    steps = bootstrap.steps(example=True)
    async with stack(data, ports, bootstrap=steps, sandboxes=True, say=lambda line: None) as (_, info):
        database = Database.at(info.database_url)
        yield Stack(data, database, f"http://{HOST}:{ports.sandboxes}")
        await database.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_31_a_payee_who_connects_an_account_later_is_paid_without_a_new_approval(running: Stack) -> None:
    await running.begins("31-payee-connects-later", "c31-r1")

    async def waits() -> bool:
        return await running.waiting("c31-mira") == [("c31-r1", "waiting_method")]

    await until(waits)
    (shown,) = await running.read("list", "--program", "c31")
    assert (shown["status"], shown["payouts"], shown["claim"]["flags"]) == ("approved", [], [])
    queue = [each for each in await running.read("queue", "--program", "c31") if each["referral"] == "c31-r1"]
    assert queue == [], "nobody can do anything before she names one"

    await running.types("ingest", str(CASES / "31-payee-connects-later" / "facts-2.jsonl"), "--wait")
    (entry,) = await running.read("queue", "--program", "c31")
    assert (entry["exception"], entry["redirect"]["payee"]) == ("waiting_method", "c31-mira")
    said = await running.types("redirect", "c31-mira", "--rail", "stripe_transfer", *_SAYING, "--as", "fiona")
    assert "25.00 USD of c31-r1 waits; now acct_c31mira" in said

    async def paid() -> bool:
        return [each["state"] for each in await running.payouts("c31-mira")] == ["settled"]

    await until(paid)
    (payout,) = await running.payouts("c31-mira")
    assert (payout["destination"], payout["generation"]) == ("acct_c31mira", 1)
    approvals = await running.sql("SELECT 1 FROM decision WHERE referral_id = 'c31-r1' AND kind = 'approve'")
    assert len(approvals) == 1
    assert await running.read("queue", "--program", "c31") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_21_a_payment_that_came_back_goes_to_another_account_once_two_people_signed(running: Stack) -> None:
    await running.sandbox("paypal", becomes="UNCLAIMED")
    await running.begins("21-paypal-unclaimed-then-returned", "c21-r1")

    async def is_in(state: str) -> bool:
        return [each["state"] for each in await running.payouts("c21-mira")] == [state]

    await until(lambda: is_in("accepted"))
    (batch,) = (await running.sandbox("paypal"))["batches"]
    await running.sandbox("paypal", becomes="SUCCESS", move=[batch, "RETURNED"])
    await until(lambda: is_in("refused"))  # as PayPal never told of it as paid
    await running.types("ingest", str(CASES / "21-paypal-unclaimed-then-returned" / "facts-2.jsonl"), "--wait")
    (entry,) = await running.read("queue", "--program", "c21")
    assert entry["exception"] == "payout_refused"
    assert "another payment method since" in entry["to_do"]

    redirect = ("redirect", "c21-mira", "--rail", "paypal_payouts", *_SAYING, "--as")
    told = "SELECT 1 FROM notice WHERE template = 'method_changed' AND recipient = 'c21-mira' AND state = 'sent'"

    async def is_told() -> bool:
        return bool(await running.sql(told))

    await until(is_told)
    early = await running.types(*redirect, "fiona", code=1)
    assert "it may be followed from" in early
    assert "now C21PAYERBBBB2, set at 2026-11-20T10:00:00Z by c21/finance; before C21PAYERAAAA1" in early
    # A day passes.
    await running.sql("UPDATE notice SET settled_at = settled_at - interval '1 day' WHERE template = 'method_changed'")
    assert "another person of finance must sign it too" in await running.types(*redirect, "fiona")
    assert "recorded before" in await running.types(*redirect, "fiona")
    assert await is_in("refused"), "one signature moves nothing"
    await running.types(*redirect, "frank")
    await until(lambda: is_in("settled"))

    batches = (await running.sandbox("paypal"))["batches"].values()
    sent = [(item["payout_item"]["receiver"], item["transaction_status"]) for each in batches for item in each["items"]]
    assert sorted(sent) == [("C21PAYERAAAA1", "RETURNED"), ("C21PAYERBBBB2", "SUCCESS")]
    (payout,) = await running.payouts("c21-mira")
    assert (payout["generation"], payout["destination"]) == (2, "C21PAYERBBBB2")
    approvals = await running.sql("SELECT 1 FROM decision WHERE referral_id = 'c21-r1' AND kind = 'approve'")
    assert len(approvals) == 1
    await running.types("decisions", "verify")
