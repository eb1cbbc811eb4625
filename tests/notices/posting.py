"""A postman over a desk's register, with a real mail server and real endpoints, and what he has on record."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import text

from referral_rewards.notices.port import Mailer
from referral_rewards.notices.webhook import Hook, Webhooks
from referral_rewards.register import outgoing_events
from referral_rewards.register.notices import status_links
from tests.desk import Desk
from worker.letters import Home, Letters
from worker.postman import Postman

HOME = "https://rewards.example"
#: How long to wait for what never comes, and for what comes however busy the machine is.
SHORT, LONG = 0.5, 30.0


@asynccontextmanager
async def postman(
    desk: Desk, mail: Mailer | None, hooks: Mapping[str, Hook] | None = None, *, patience: float = LONG
) -> AsyncIterator[Postman]:
    """Whoever tells, and the endpoints that events are planned for from now on."""
    hooks = hooks or {}
    async with desk.database.transaction() as connection:
        await outgoing_events.connect(connection, {name: hook.events for name, hook in hooks.items()})
    letters = Letters(desk.parts.keys, Home(HOME, desk.parts.intake.key_for(status_links.PURPOSE)))
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
        reached = Webhooks(hooks, client, patience_seconds=patience)
        yield Postman(desk.database.worker, letters, mail=mail, webhooks=reached, pause=0.01)


async def told(desk: Desk, referral: str = "r1", **where: Any) -> list[Any]:
    """The messages on record, by template and audience."""
    async with desk.database.transaction() as connection:
        rows = await connection.execute(
            text("SELECT * FROM notice WHERE referral_id = :referral ORDER BY template, audience, recipient"),
            {"referral": referral},
        )
        return [row for row in rows if all(getattr(row, name) == value for name, value in where.items())]


async def brief(desk: Desk, referral: str = "r1") -> list[tuple[str, str, str]]:
    """Each message as its template, its recipient and its state."""
    return [(row.template, row.recipient, row.state) for row in await told(desk, referral)]


async def sql(desk: Desk, statement: str, **parameters: Any) -> list[Any]:
    """What somebody with a connection to the database does."""
    async with desk.database.transaction() as connection:
        result = await connection.execute(text(statement), parameters)
        return list(result.all()) if result.returns_rows else []


def now() -> datetime:
    return datetime.now(UTC)
