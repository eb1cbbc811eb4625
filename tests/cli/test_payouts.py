"""`referrals payout …`: what stands where, what to do about it, and deciding on it through the API."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import text

from referral_rewards.cli import main
from referral_rewards.domain.programs.terms import Role
from referral_rewards.loopback import served
from referral_rewards.register import rail_halts
from tests import personal
from tests.cli.conftest import Ran
from tests.desk import PEPPER, Desk, days_ago, event
from tests.desk import desk as open_desk


class Typed(Protocol):
    async def __call__(self, *arguments: str) -> Ran: ...


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """A desk with one approved referral, whose two payouts their rail refused."""
    async with open_desk(database_url) as opened:
        await opened.add_user("olga", Role.FINANCE)
        await opened.referral("r1")
        await opened.decide("r1", "approve")
        await opened.judge("r1")
        async with opened.database.transaction() as connection:
            await connection.execute(
                text("UPDATE payout SET state = 'refused', why = 'no such account', first_sent_at = now()")
            )
        yield opened


@pytest.fixture
async def referrals(
    desk: Desk, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Typed]:
    """Runs a command as olga, against this desk."""
    verify = tmp_path / "verify.json"
    verify.write_text(json.dumps([desk.parts.signer.public_entry()]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFERRALS_DATABASE_URL", database_url)
    monkeypatch.setenv("REFERRALS_PEPPER", PEPPER.hex())
    monkeypatch.setenv("REFERRALS_PERSONAL_KEYS", personal.KEY.hex())
    monkeypatch.setenv("REFERRALS_VERIFY_KEYS", str(verify))
    monkeypatch.setenv("REFERRALS_TOKEN", desk.tokens["olga"])

    async def typed(*arguments: str) -> Ran:
        capsys.readouterr()
        code = await asyncio.to_thread(main.run, list(arguments))
        captured = capsys.readouterr()
        # The API of this process logs to the same output.
        own = [line for line in captured.out.splitlines(keepends=True) if "[info " not in line]
        return Ran(code, "".join(own), captured.err)

    async with served(desk.app) as url:
        monkeypatch.setenv("REFERRALS_API_URL", url)
        yield typed


_SAYING = ("--note", "looked at it", "--as", "olga")


async def test_a_payout_is_found_looked_at_and_decided_on(desk: Desk, referrals: Typed) -> None:
    listed = json.loads((await referrals("payout", "list", "--state", "refused", "--json")).out)
    one, other = (each["payout"] for each in listed)
    told = (await referrals("payout", "list", "--rail", "account_credit")).out
    assert "no such account" in told
    assert "then retry the payout" in " ".join(told.split())
    shown = (await referrals("payout", "show", one)).out
    assert "takes retry, cancel; digest" in shown
    assert "of r1" in shown

    made = await referrals("payout", "retry", one, "--reason", "details_corrected", *_SAYING)
    assert (made.code, made.out) == (0, f"{one}: recorded as decision 2: payout retried by olga (finance)\n")
    assert made.err.startswith(f"payout {one} is refused (no such account): ")
    again = await referrals("payout", "retry", one, "--reason", "details_corrected", *_SAYING)
    assert (again.code, "recorded before as decision 2" in again.out) == (0, True)
    both = await referrals("payout", "cancel", one, other, "--reason", "not_owed", *_SAYING)
    assert (both.code, both.out) == (1, f"{other}: recorded as decision 3: payout cancelled by olga (finance)\n")
    assert f"payout {one}: payout retried by olga, " in both.err
    assert "olga" in (await referrals("payout", "show", one)).out


async def test_what_can_not_be_decided_is_one_clear_line(desk: Desk, referrals: Typed) -> None:
    one, other = (each["payout"] for each in json.loads((await referrals("payout", "list", "--json")).out))
    for arguments, code, said in (
        (("retry", one, "--reason", "found_at_provider"), 2, "--reason: 'found_at_provider' is none of"),
        (
            ("settle", one, "--reason", "other", "--reference", "x"),
            1,
            "in this state you can't record that it was paid; you can",
        ),
        (("settle", one, "--reason", "other"), 2, "Missing option '--reference'"),
        (("settle", one, other, "--reason", "other", "--reference", "x"), 2, "--reference: speaks of one payout"),
        (("retry", one, "--reason", "other", "--digest", "0" * 64), 1, "changed since you looked at it"),
        (("retry", one, "--reason", "other", "--digest", "0123"), 1, "changed since you looked at it"),
        (("retry", "r1", "--reason", "other"), 2, "must be an id such as 0193a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b."),
        (("retry", "00000000-0000-0000-0000-000000000001", "--reason", "other"), 1, "there is no payout"),
        (("show", "00000000-0000-0000-0000-000000000001"), 1, "there is no payout"),
    ):
        ran = await referrals("payout", *arguments, *(() if arguments[0] == "show" else _SAYING))
        assert (ran.code, said in ran.problems[-1]) == (code, True), (arguments, ran)


async def test_a_rail_that_nobody_knows_is_refused(referrals: Typed) -> None:
    ran = await referrals("payout", "list", "--rail", "account_credits")
    assert (ran.code, ran.out, len(ran.problems)) == (2, "", 1)
    assert ran.problems[0].endswith("did you mean 'account_credit'?")


async def test_instructions_for_the_bank_are_a_file_of_what_is_to_be_paid(desk: Desk, referrals: Typed) -> None:
    told = {"payee": "dexter", "rail": "manual", "reference": "=HYPERLINK(1)", "name": "=Dexter"}
    assert (await desk.tell([event("m", "payee.method_set", days_ago(2), told)])).status_code == 202
    async with desk.database.transaction() as connection:
        await connection.execute(
            text(
                "UPDATE payout SET state = 'accepted', rail = 'manual',"
                """ body = jsonb_set(body, '{destination}', '"=HYPERLINK(1)"') WHERE amount_minor = 2500"""
            )
        )
        await connection.execute(
            text("""
                INSERT INTO payment_instruction (key, payout_id, payee, amount_minor, currency, destination, program,
                                                 written_at, exported_by)
                SELECT provider_key, id, payee, amount_minor, currency, body->>'destination', body->>'program', now(),
                       'fiona' FROM payout WHERE state = 'accepted'""")
        )
    rows = list(csv.DictReader(io.StringIO((await referrals("payout", "instructions", "--csv")).out)))
    assert [(row["amount"], row["currency"], row["destination"], row["name"]) for row in rows] == [
        ("25.00", "USD", "'=HYPERLINK(1)", "'=Dexter")
    ]
    listed = (await referrals("payout", "instructions")).out
    assert rows[0]["instruction"] in listed
    assert "=Dexter" not in listed


async def test_a_payee_is_looked_at_in_clear_and_the_reason_is_needed(desk: Desk, referrals: Typed) -> None:
    told = {"payee": "dexter", "rail": "manual", "reference": "DE02 1203 0000", "name": "Dexter Miller"}
    assert (await desk.tell([event("m", "payee.method_set", days_ago(2), told)])).status_code == 202
    seen = await referrals("payee", "look", "dexter", "--why", "redirect", "--as", "olga")
    assert (seen.code, "DE02 1203 0000" in seen.out, "Dexter Miller" in seen.out) == (0, True, True)
    refused = await referrals("payee", "look", "dexter", "--why", "curious", "--as", "olga")
    assert (refused.code, len(refused.problems)) == (2, 1)
    shown = json.loads((await referrals("payee", "look", "dexter", "--why", "audit", "--json", "--as", "olga")).out)
    assert (shown["seen_by"], shown["why"]) == ("olga", "audit")


async def test_a_referral_is_shown_with_the_life_of_its_payouts_and_a_halted_rail_is_a_problem(
    desk: Desk, referrals: Typed
) -> None:
    shown = (await referrals("show", "r1")).out
    for said in ("no such account", "then retry the payout", "credit to the referrer of r1", "what was done"):
        assert said in shown, said
    assert (await referrals("rails")).code == 0
    async with desk.database.transaction() as connection:
        await rail_halts.halt(connection, "stripe_transfer", "key revoked", datetime.now(UTC))
    halted = await referrals("rails")
    assert (halted.code, "key revoked" in halted.out) == (1, True)
    (entry,) = csv.DictReader(io.StringIO((await referrals("queue", "--exception", "rail_shut", "--csv")).out))
    assert (entry["waits_for"], entry["subject"]) == ("rail_shut", "stripe_transfer")
    assert "key revoked" in entry["about"] + entry["to_do"]
