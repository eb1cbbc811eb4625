"""Audits as files: the signed JSON report, and the page that is made of it."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from fastapi.responses import FileResponse, StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.background import BackgroundTask

from referral_rewards.api.dependencies import Parts
from referral_rewards.audit import page, report
from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.report import Ordered
from referral_rewards.domain.errors import NotFound, RequestInvalid
from referral_rewards.register import programs
from referral_rewards.reporting.books.journal import see_one_moment


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be audited: a program, one cycle of it by its day, or what was paid in a span of days, half-open."""

    program: str
    cycle: date | None = None
    since: date | None = None
    until: date | None = None


async def as_json(parts: Parts, asked: Asked, user: str) -> FileResponse:
    """Return the signed report.

    Raises:
        NotFound: if there is no such program or cycle.
        RequestInvalid: if the span ends before it begins, or stands beside a cycle.
    """
    path = await _made(parts, asked, user)
    name = f"audit-{asked.program}.json"
    return FileResponse(path, media_type="application/json", filename=name, background=BackgroundTask(_remove, path))


async def as_page(parts: Parts, asked: Asked, user: str) -> StreamingResponse:
    """Return the report as a page for people; it needs nothing else, and may be kept as a file.

    Raises:
        NotFound, RequestInvalid: likewise.
    """
    path = await _made(parts, asked, user)
    headers = {"Content-Disposition": f'attachment; filename="audit-{asked.program}.html"'}
    return StreamingResponse(_then_gone(path), media_type="text/html; charset=utf-8", headers=headers)


def _then_gone(path: Path) -> Iterator[str]:
    try:
        yield from page.written(path)
    finally:
        _remove(path)


async def _made(parts: Parts, asked: Asked, user: str) -> Path:
    """Return the file with the signed report. Whoever sends it deletes it; so its length costs no memory."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json", delete=False) as file:
        path = Path(file.name)
        try:
            async for piece in _pieces(parts, asked, user):
                file.write(piece)
        except BaseException:
            _remove(path)
            raise
    return path


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


async def _pieces(parts: Parts, asked: Asked, user: str) -> AsyncIterator[str]:
    ordered = Ordered(user, datetime.now(UTC), version("referral-rewards"), parts.signer)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        scope = await scope_of(connection, asked)
        async for piece in report.written(connection, scope, ordered, Means(parts.keys.keys, parts.intake.marker)):
            yield piece


async def scope_of(connection: AsyncConnection, asked: Asked) -> Scope:
    """Return what is to be audited, its days as instants of the program's zone.

    Raises:
        NotFound, RequestInvalid: as in `as_json`.
    """
    zones = await programs.zones(connection)
    if (zone := zones.get(asked.program)) is None:
        raise NotFound("program", asked.program, zones)
    if asked.since is not None and asked.until is not None and asked.until <= asked.since:
        raise RequestInvalid(f"{asked.until} is not after {asked.since}, where it begins", "to")
    if asked.cycle is None:
        ends = (asked.since, asked.until)
        since, until = (None if day is None else datetime.combine(day, time(), zone) for day in ends)
        return Scope(asked.program, since=since, until=until)
    if asked.since is not None or asked.until is not None:
        raise RequestInvalid("name a cycle or a span of days, not both", "cycle")
    return Scope(asked.program, cycle=await _cycle_of(connection, asked.program, asked.cycle))


async def _cycle_of(connection: AsyncConnection, program: str, due_on: date) -> UUID:
    found: UUID | None = (await connection.execute(_CYCLE, {"program": program, "due": due_on})).scalar_one_or_none()
    if found is None:
        raise NotFound("payout cycle", f"{program} {due_on.isoformat()}")
    return found


_CYCLE = text("SELECT id FROM payout_cycle WHERE program = :program AND due_on = :due")
