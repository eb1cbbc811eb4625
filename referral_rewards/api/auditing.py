"""Audits as files: the signed JSON report, and the page that is made of it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from pathlib import Path
from typing import Final
from uuid import UUID

from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.concurrency import iterate_in_threadpool

from referral_rewards.api.dependencies import Parts
from referral_rewards.audit import page, report
from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.report import Ordered
from referral_rewards.domain.errors import NotFound, RequestInvalid
from referral_rewards.register import programs
from referral_rewards.reporting.books.journal import see_one_moment

_QUIET_SECONDS: Final = 10
_PIECE: Final = 2**16


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be audited: a program, one cycle of it by its day, or what was paid in a span of days, half-open."""

    program: str
    cycle: date | None = None
    since: date | None = None
    until: date | None = None


async def as_json(parts: Parts, asked: Asked, user: str) -> StreamingResponse:
    """Return the signed report.

    Raises:
        NotFound: if there is no such program or cycle.
        RequestInvalid: if the span ends before it begins, or stands beside a cycle.
    """
    return await _answer(parts, asked, user, _as_it_is, "application/json", "json")


async def as_page(parts: Parts, asked: Asked, user: str) -> StreamingResponse:
    """Return the report as a page for people; it needs nothing else, and may be kept as a file.

    Raises:
        NotFound, RequestInvalid: likewise.
    """
    return await _answer(parts, asked, user, page.written, "text/html; charset=utf-8", "html")


async def _answer(
    parts: Parts, asked: Asked, user: str, written: Callable[[Path], Iterable[str]], media_type: str, ending: str
) -> StreamingResponse:
    async with parts.database.reading() as connection:
        await scope_of(connection, asked)
    headers = {"Content-Disposition": f'attachment; filename="audit-{asked.program}.{ending}"'}
    return StreamingResponse(sent(_made(parts, asked, user), written), media_type=media_type, headers=headers)


async def sent(
    making: Coroutine[None, None, Path], written: Callable[[Path], Iterable[str]], quiet: float = _QUIET_SECONDS
) -> AsyncIterator[str]:
    """Yield what is written of a file once it is made, and delete it. Until then yield a line feed every ``quiet``
    seconds, which means nothing in JSON and HTML: an audit of many rewards takes longer than anybody on the way keeps
    a silent connection."""
    task = asyncio.ensure_future(making)
    try:
        while not (await asyncio.wait({task}, timeout=quiet))[0]:
            yield "\n"
        path = task.result()
    finally:
        task.cancel()
    try:
        async for piece in iterate_in_threadpool(written(path)):
            yield piece
    finally:
        _remove(path)


def _as_it_is(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        while piece := file.read(_PIECE):
            yield piece


async def _made(parts: Parts, asked: Asked, user: str) -> Path:
    """Return the file with the signed report: so its length costs no memory, and a slow reader no transaction."""
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
