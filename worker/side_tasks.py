"""Side tasks that run beside the workers of a process. They retry through an outage, and never end unnoticed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn, Protocol

import structlog
from temporalio.service import RPCError

from models.session import UNREACHABLE

#: One turn of a side task; it returns how many seconds later the next one is due.
Turn = Callable[[], Awaitable[float]]

#: Errors that may pass by themselves: the database or Temporal does not answer.
TRANSIENT: Final = (*UNREACHABLE, RPCError)
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
#: An outage of this length ends the process: a restart brings new connections, and the operator notices.
PATIENCE_SECONDS: Final = 15 * 60.0

_log = structlog.get_logger("worker")


class SideTaskEnded(RuntimeError):
    """A side task that the worker needs has ended. The message names it and says why."""

    def __init__(self, name: str, error: BaseException | None) -> None:
        self.name = name
        super().__init__(f"{name} ended, without which a worker does not live: {reason(error)}")


class Watching(Protocol):
    """Who is told of every turn of a side task."""

    def expect(self, task: str) -> None: ...

    def took(self, task: str, pause_seconds: float, *, failed: bool) -> None: ...


async def take_turns(
    name: str, turn: Turn, watching: Watching | None = None, *, patience_seconds: float = PATIENCE_SECONDS
) -> NoReturn:
    """Take turns until cancelled. A turn that fails with a transient error is retried after a pause that doubles from
    one second to thirty.

    Raises:
        Exception: an error of a turn that is not transient, or that still occurs after ``patience_seconds``.
    """
    loop = asyncio.get_running_loop()
    failing_since: float | None = None
    backoff = _FIRST_PAUSE_SECONDS
    if watching:
        watching.expect(name)
    while True:
        try:
            pause = await turn()
        except TRANSIENT as error:
            failing_since = loop.time() if failing_since is None else failing_since
            if loop.time() - failing_since >= patience_seconds:
                raise
            _log.warning("side_task_waits", task=name, why=reason(error), seconds=backoff)
            pause, backoff = backoff, min(2 * backoff, _LONGEST_PAUSE_SECONDS)
        else:
            failing_since, backoff = None, _FIRST_PAUSE_SECONDS
        if watching:
            watching.took(name, pause, failed=failing_since is not None)
        await asyncio.sleep(pause)


async def watch(
    stop: asyncio.Event,
    turns: Mapping[str, Turn],
    watching: Watching | None = None,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> None:
    """Run the side tasks until ``stop`` is set, then cancel them.

    Raises:
        SideTaskEnded: as soon as one of them ends by itself.
    """
    told = asyncio.create_task(stop.wait())
    tasks: dict[asyncio.Task[Any], str] = {
        asyncio.create_task(take_turns(name, turn, watching, patience_seconds=patience_seconds)): name
        for name, turn in turns.items()
    }
    try:
        ended, _ = await asyncio.wait({told, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in ended - {told}:
            error = task.exception()
            _log.error("side_task_ended", task=tasks[task], why=reason(error), exc_info=_for_us(error))
            raise SideTaskEnded(tasks[task], error)
    finally:
        for task in (told, *tasks):
            task.cancel()
        # Errors raised during cancellation no longer matter.
        await asyncio.gather(told, *tasks, return_exceptions=True)


def reason(error: BaseException | None) -> str:
    """Return an error in one line: its class and the first line of its message, without the SQL statement."""
    if error is None:
        return "it returned"
    error = getattr(error, "orig", None) or error
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['it says nothing'])[0]}"


def _for_us(error: BaseException | None) -> BaseException | None:
    """Return the error if its traceback should be logged, because it is a bug; None for a transient error."""
    return None if isinstance(error, TRANSIENT) else error
