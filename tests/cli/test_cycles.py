"""`referrals cycle …`: what the next one would pay, opening one, looking at it, and deciding on it through the API."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from referral_rewards.cli import main
from referral_rewards.domain.programs.terms import Role
from referral_rewards.loopback import served
from tests import personal
from tests.cli.conftest import Ran
from tests.desk import PEPPER
from tests.desk import desk as open_desk
from tests.register.cycling import Cycling, in_cycles


class Typed(Protocol):
    async def __call__(self, *arguments: str) -> Ran: ...


@pytest.fixture
async def cycling(database_url: str) -> AsyncIterator[Cycling]:
    async with open_desk(database_url) as desk:
        await desk.publish(in_cycles("20.00"))
        await desk.add_user("olga", Role.FINANCE)
        cycling = Cycling(desk)
        await cycling.approved("r1")
        yield cycling


@pytest.fixture
async def referrals(
    cycling: Cycling,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Typed]:
    """Runs a command as olga, against this desk."""
    verify = tmp_path / "verify.json"
    verify.write_text(json.dumps([cycling.desk.parts.signer.public_entry()]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFERRALS_DATABASE_URL", database_url)
    monkeypatch.setenv("REFERRALS_PEPPER", PEPPER.hex())
    monkeypatch.setenv("REFERRALS_PERSONAL_KEYS", personal.KEY.hex())
    monkeypatch.setenv("REFERRALS_VERIFY_KEYS", str(verify))
    monkeypatch.setenv("REFERRALS_TOKEN", cycling.desk.tokens["olga"])

    async def typed(*arguments: str) -> Ran:
        capsys.readouterr()
        code = await asyncio.to_thread(main.run, list(arguments))
        captured = capsys.readouterr()
        # The API of this process logs to the same output.
        own = [line for line in captured.out.splitlines(keepends=True) if "[info " not in line]
        return Ran(code, "".join(own), captured.err)

    async with served(cycling.desk.app) as url:
        monkeypatch.setenv("REFERRALS_API_URL", url)
        yield typed


_SAYING = ("--note", "looked at it", "--as", "olga")


async def test_a_cycle_is_previewed_opened_looked_at_released_and_stopped(cycling: Cycling, referrals: Typed) -> None:
    assert "to be paid" in (await referrals("show", "r1")).out
    told = (await referrals("cycle", "preview", "acme-friends")).out
    assert "opens at" in told
    assert "below the minimum per payee" in told
    preview = json.loads((await referrals("cycle", "preview", "acme-friends", "--json")).out)
    assert preview["totals"] == [
        {"rail": "account_credit", "currency": "USD", "payouts": 1, "legs": 1, "amount_minor": 2500}
    ]
    rows = list(csv.DictReader(io.StringIO((await referrals("cycle", "preview", "acme-friends", "--csv")).out)))
    assert [(row["payee"], row["amount"], row["carried_forward"]) for row in rows] == [
        ("dexter", "25.00", ""),
        ("c-r1", "8.00", "below_minimum"),
    ]

    opened = await referrals("cycle", "open", "acme-friends", "--as", "olga")
    assert (opened.code, "is open" in opened.out) == (0, True)
    assert "is open already" in (await referrals("cycle", "open", "acme-friends", "--as", "olga")).out
    [listed] = json.loads((await referrals("cycle", "list", "--json")).out)
    cycle = listed["cycle"]
    early = await referrals("cycle", "release", cycle, "--reason", "list_checked", *_SAYING)
    assert (early.code, "in this state you can't" in early.err) == (1, True)
    assert await cycling.settle(await cycling.open()) == "frozen"

    shown = (await referrals("cycle", "show", cycle)).out
    assert "takes release, stop; digest" in shown
    assert "1 payout," in (await referrals("cycle", "list", "--state", "frozen")).out
    made = await referrals("cycle", "release", cycle, "--reason", "list_checked", *_SAYING)
    assert (made.code, "cycle released by olga (finance)" in made.out) == (0, True)
    assert await cycling.settle(await cycling.open()) == "released"
    assert (await referrals("cycle", "stop", cycle, "--reason", "funds_missing", *_SAYING)).code == 0
    [row] = list(csv.DictReader(io.StringIO((await referrals("cycle", "show", cycle, "--csv")).out)))
    assert (row["payee"], row["amount"], row["state"], row["referrals"]) == ("dexter", "25.00", "approved", "r1")


async def test_what_can_not_be_done_is_one_clear_line(cycling: Cycling, referrals: Typed) -> None:
    nothing = "00000000-0000-0000-0000-000000000001"
    for arguments, code, said in (
        (("show", nothing), 1, "there is no payout cycle"),
        (("show", "july"), 2, "must be an id such as"),
        (("preview", "acme-freinds"), 1, "did you mean 'acme-friends'?"),
        (("preview", "nowhere"), 1, "there is no program 'nowhere'"),
        (("open", "nowhere", "--as", "olga"), 1, "there is no program 'nowhere'"),
        (("release", nothing, "--reason", "list_checked", *_SAYING), 1, "there is no payout cycle"),
        (("release", nothing, "--reason", "cleared", *_SAYING), 2, "none of list_checked"),
        (("list", "--state", "asleep"), 2, "asleep"),
    ):
        ran = await referrals("cycle", *arguments)
        assert (ran.code, said in ran.problems[-1]) == (code, True), (arguments, ran)
