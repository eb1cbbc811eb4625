"""Hands to type commands of a case on a running stack."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import text

from models.session import Database
from referral_rewards.cli import main
from tests.patience import PATIENCE_SECONDS

CASES: Final = Path(__file__).parent


def _run(words: tuple[str, ...]) -> tuple[int, str, str]:
    """Runs a command in this process, one at a time: its code, and what it said."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main.run(list(words))
    return code, out.getvalue(), err.getvalue()


@dataclass(frozen=True)
class Stack:
    """A running stack, and hands to type commands of one case."""

    data: Path
    database: Database
    sandboxes: str

    async def types(self, *words: str, code: int = 0) -> str:
        """Types a command and returns what it said; it must end with that code."""
        ended, out, err = await asyncio.to_thread(_run, words)
        assert ended == code, (words, out, err)
        return out + err

    async def read(self, *words: str) -> Any:
        ended, out, err = await asyncio.to_thread(_run, (*words, "--json"))
        assert ended == 0, (words, err)
        return json.loads(out)

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
        """What waits for a payee, who is on record from the first reward on that was approved for them."""
        ended, out, err = await asyncio.to_thread(_run, ("payee", "show", payee, "--as", "fiona", "--json"))
        if "there is no payee" in err:
            return []
        assert ended == 0, err
        return [(each["referral"], each["state"]) for each in json.loads(out)["waiting"]]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():
            await asyncio.sleep(0.2)
