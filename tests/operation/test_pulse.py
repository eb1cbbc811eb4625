"""A process says whether its parts live and whether it can do its work, at once and whatever is down."""

import httpx
import pytest

from referral_rewards.domain.errors import BadInput
from referral_rewards.operation.pulse import Pulse, Readiness
from referral_rewards.operation.server import application, serving


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "silent"), [(0, ()), (10, ()), (10.1, ("the relay",)), (60.1, ("the postman", "the relay"))]
)
def test_who_is_silent_for_longer_than_expected_is_dead(seconds: float, silent: tuple[str, ...]) -> None:
    clock = _Clock()
    pulse = Pulse(clock)
    pulse.expect("the relay", 10)
    pulse.expect("the postman", 60)
    clock.now = seconds
    assert pulse.silent() == silent


def test_a_beat_begins_the_wait_anew_and_may_say_how_long_it_is() -> None:
    clock = _Clock()
    pulse = Pulse(clock)
    pulse.expect("the relay", 10)
    clock.now = 9
    pulse.beat("the relay")
    clock.now = 19
    assert pulse.silent() == ()
    pulse.beat("the relay", within_seconds=100)
    clock.now = 119
    assert pulse.silent() == ()
    clock.now = 119.1
    assert pulse.silent() == ("the relay",)


def test_a_part_can_be_asked() -> None:
    pulse, polls = Pulse(_Clock()), [True]
    pulse.ask("the poller of payouts", lambda: polls[0])
    assert pulse.silent() == ()
    polls[0] = False
    assert pulse.silent() == ("the poller of payouts",)


async def test_the_port_tells_life_readiness_and_metrics() -> None:
    clock = _Clock()
    pulse, ready = Pulse(clock), Readiness()
    pulse.expect("the relay", 10)
    async with serving("127.0.0.1", 0, application(pulse, ready, lambda: b"up 1\n")) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/livez")).json() == {"status": "ok"}
            begun = await client.get("/readyz")
            assert (begun.status_code, begun.json()) == (503, {"status": "it has only begun"})
            ready.found(None)
            assert (await client.get("/readyz")).status_code == 200
            clock.now = 11
            dead = await client.get("/livez")
            assert (dead.status_code, dead.json()) == (503, {"status": "no sign of life of the relay"})
            told = await client.get("/metrics")
            assert (told.text, told.headers["Content-Type"].partition(";")[0]) == ("up 1\n", "text/plain")
            assert (await client.get("/docs")).status_code == 404
        with pytest.raises(BadInput, match=f"127.0.0.1:{port}"):
            async with serving("127.0.0.1", port, application(pulse, ready, lambda: b"")):
                pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/livez")
