"""Hands to type commands of a case on a running stack."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import text

from models.session import Database

CASES: Final = Path(__file__).parent
_SECONDS_MAX: Final = 240


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
