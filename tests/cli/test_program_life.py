"""`referrals program pause|resume|end|budget` and `cycle open --below-minimum`, through the API and in words."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from referral_rewards.cli import main
from referral_rewards.loopback import served
from tests.cli.conftest import Ran
from tests.desk import desk as open_desk
from tests.register.cycling import Cycling, in_cycles


class Typed(Protocol):
    async def __call__(self, by: str, *arguments: str) -> Ran: ...


@pytest.fixture
async def referrals(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Typed]:
    """Runs a command with somebody's token."""
    async with open_desk(database_url) as desk:
        await desk.publish(in_cycles("30.00"))
        await Cycling(desk).approved("r1")
        monkeypatch.chdir(tmp_path)

        async def typed(by: str, *arguments: str) -> Ran:
            monkeypatch.setenv("REFERRALS_TOKEN", desk.tokens[by])
            capsys.readouterr()
            code = await asyncio.to_thread(main.run, list(arguments))
            captured = capsys.readouterr()
            # The API of this process logs to the same output.
            own = [line for line in captured.out.splitlines(keepends=True) if "[info " not in line]
            return Ran(code, "".join(own), captured.err)

        async with served(desk.app) as url:
            monkeypatch.setenv("REFERRALS_API_URL", url)
            yield typed


_NOTE = ("--note", "looked at it")


async def test_a_program_is_paused_resumed_ended_and_shown(referrals: Typed) -> None:
    paused = await referrals("paula", "program", "pause", "acme-friends", "--reason", "fraud", *_NOTE)
    assert (paused.code, "program paused by paula (program owner)" in paused.out) == (0, True), paused
    assert "acme-friends: paused" in paused.out
    assert "is paused" not in (await referrals("paula", "program", "show", "acme-friends")).out
    resumed = await referrals("paula", "program", "resume", "acme-friends", "--reason", "cleared", *_NOTE)
    assert "acme-friends: running" in resumed.out
    end = ("program", "end", "acme-friends", "--reason", "campaign_over", *_NOTE)
    ended = await referrals("paula", *end, "--at", "2030-01-01T00:00:00Z")
    assert (ended.code, "ends 2030-01-01 00:00 UTC" in ended.out) == (0, True), ended
    assert "ends 2030-01-01 00:00 UTC" in (await referrals("paula", "program", "show", "acme-friends")).err
    shown = (await referrals("paula", "program", "life", "acme-friends")).out
    assert "program ended from 2030-01-01T00:00:00Z by paula" in shown
    assert "takes pause, budget" in shown


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--at", "2020-01-01T00:00:00Z", "--reason", "other"), "--at"),
        (("--at", "tomorrow", "--reason", "other"), "is no time"),
        (("--at", "2030-01-01T00:00:00", "--reason", "other"), "has no offset"),
        (("--reason", "because"), "--reason"),
    ],
)
@pytest.mark.suite_has(2)
async def test_bad_input_has_one_clear_line(referrals: Typed, given: tuple[str, ...], said: str) -> None:
    ran = await referrals("paula", "program", "end", "acme-friends", *_NOTE, *given)
    assert (ran.code, said in ran.err) == (2, True), ran
    assert "Traceback" not in ran.err


async def test_the_budget_takes_two_people(referrals: Typed) -> None:
    budget = ("program", "budget", "acme-friends", "--add", "5000.00", "--reason", "more_referrals", *_NOTE)
    first = await referrals("fiona", *budget)
    assert "5,000.00 USD more still lack the signature of program owner" in first.out.replace("5000.00", "5,000.00")
    second = await referrals("paula", *budget)
    assert (second.code, "still lack" in second.out) == (0, False), second
    refused = await referrals("oscar", *budget)
    assert (refused.code, "program owner" in refused.err) == (1, True), refused


async def test_a_leaving_payee_is_paid_below_the_minimum(referrals: Typed) -> None:
    below = ("cycle", "open", "acme-friends", "--below-minimum", "dexter")
    assert (await referrals("fiona", *below)).code == 2
    assert (await referrals("fiona", "cycle", "open", "acme-friends", *_NOTE)).code == 2
    made = await referrals("fiona", *below, "--reason", "payee_leaves", *_NOTE)
    assert (made.code, "25.00 USD is paid below the minimum, once" in made.out) == (0, True), made
