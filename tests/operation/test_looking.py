"""Nobody waits for a look: what does not answer in time is told as that, and looked at no second time meanwhile."""

import asyncio

import pytest

from referral_rewards.operation.looking import Look
from referral_rewards.operation.pulse import STALE_SECONDS, Readiness


class _Server:
    """Answers once it is let go on, and hears nobody who gives it up, as one that was suspended."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.asked = 0

    async def look(self) -> str | None:
        self.asked += 1
        while not self.goes_on.is_set():
            try:
                await self.goes_on.wait()
            except asyncio.CancelledError:
                if self.asked > 1:
                    raise
        return None


async def test_a_look_that_hangs_is_told_at_once_and_goes_on_alone() -> None:
    server = _Server()
    looking = Look("the database", server.look, within_seconds=0.01)
    assert await looking.problem() == await looking.problem() == "the database does not answer"
    assert server.asked == 1
    server.goes_on.set()
    await asyncio.sleep(0)
    assert await looking.problem() is None
    assert await looking.problem() is None
    assert server.asked == 2


async def test_a_look_under_way_can_be_given_up() -> None:
    server = _Server()
    server.asked = 1
    looking = Look("the database", server.look, within_seconds=0.01)
    assert await looking.problem() == "the database does not answer"
    await looking.close()


@pytest.mark.parametrize(
    ("found", "later", "problem"),
    [
        (None, STALE_SECONDS, None),
        (None, STALE_SECONDS + 1, "nobody has looked for 61 seconds whether it can"),
        ("the database does not answer", STALE_SECONDS + 1, "the database does not answer"),
    ],
)
def test_what_was_found_long_ago_counts_no_more(found: str | None, later: float, problem: str | None) -> None:
    now = [0.0]
    ready = Readiness(lambda: now[0])
    assert ready.problem == "it has only begun"
    ready.found(found)
    now[0] = later
    assert ready.problem == problem
