"""Reconciling as finance does it: by the command line, the API and the desk, through a worker, against a provider."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, text
from temporalio.testing import WorkflowEnvironment

from models import PayoutRow
from referral_rewards.cli import main
from referral_rewards.domain.payouts.states import PayoutState, body_hash
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.loopback import served
from tests.desk import Desk
from tests.rails.cases import OUTSIDE, Case, key
from worker.build import payouts_worker
from worker.relay import Relay
from worker.side_tasks import take_turns

SPAN = ("--since", "2026-06-30", "--until", "2026-07-31")


@asynccontextmanager
async def at_work(desk: Desk, environment: WorkflowEnvironment, case: Case) -> AsyncIterator[None]:
    """A worker for payouts that has the case's provider, and a relay."""
    queue = f"q{uuid4().hex[:8]}"
    rails = {case.rail.facts.name: case.rail}
    worker = payouts_worker(environment.client, queue, desk.database, desk.parts.keys, desk.parts.intake, {}, rails)
    relay = Relay(desk.database.worker, environment.client, referrals_queue=queue, payouts_queue=queue, pause=0.05)
    async with worker:
        delivering = asyncio.create_task(take_turns("the relay", relay.turn))
        try:
            yield
        finally:
            delivering.cancel()
            with suppress(asyncio.CancelledError):
                await delivering


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    async with OUTSIDE["stripe_transfer"]() as case:
        yield case


@pytest.fixture
async def command(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Runs `referrals reconcile` as fiona, against the desk's API."""
    async with served(desk.app) as url:
        monkeypatch.setenv("REFERRALS_API_URL", url)
        monkeypatch.setenv("REFERRALS_TOKEN", desk.tokens["fiona"])

        async def run(*arguments: str) -> int:
            return await asyncio.to_thread(main.run, ["reconcile", *arguments, "--as", "fiona"])

        yield run


async def paid(desk: Desk, case: Case, number: int) -> None:
    """A payout that the rail settled, as we hold it."""
    request = case.request(number)
    answer: Any = await case.rail.pay(request, key(request))
    row = {
        "id": request.payout_id,
        "referral_id": request.referral,
        "payee": request.payee,
        "rail": case.rail.facts.name,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "body": request.body(),
        "body_hash": body_hash(request.body()),
        "provider_key": key(request),
        "first_sent_at": case.provider.clock.now,
        "provider_reference": answer.reference,
        "state": PayoutState.SETTLED,
        "updated_at": case.provider.clock.now,
    }
    async with desk.database.transaction() as connection:
        await connection.execute(insert(PayoutRow).values(row))


async def test_a_difference_is_printed_in_a_line_and_shown_on_the_desk(
    desk: Desk,
    case: Case,
    command: Callable[..., Awaitable[int]],
    temporal_env: WorkflowEnvironment,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await paid(desk, case, 1)
    await paid(desk, case, 2)
    async with at_work(desk, temporal_env, case):
        assert await command("stripe_transfer", *SPAN) == 0
        told = capsys.readouterr()
        assert told.out == ""
        assert "2 payouts of ours, 2 payments listed, 0 differences" in told.err

        by_hand = case.provider._transfer(  # type: ignore[attr-defined]
            {"amount": "700", "currency": "usd", "destination": "acct_dexter"}
        )
        case.provider.fail(Fault.BROKEN, method="GET")
        assert await command("stripe_transfer", *SPAN) == 1
        said = f"theirs_only: payment {by_hand['id']}: ours none, theirs paid, 7.00 USD"
        assert capsys.readouterr().out.splitlines() == [said]

        assert await command("stripe_transfer", *SPAN, "--json") == 1
        told_json = json.loads(capsys.readouterr().out)
        assert (told_json["state"], told_json["differences"], told_json["unseen"]) == ("done", 1, None)
        assert [each["said"] for each in told_json["found"]] == [said]

        assert await command("tremendous", *SPAN) == 1
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", "Tremendous is not connected\n")

    async with desk.browser("ada") as browser:
        listed = (await browser.get("/reconciliations")).text
        assert [listed.count(each) for each in ("1 difference<", "no differences", "failed")] == [2, 1, 1]
        assert "<form class=" not in listed, "an administrator reads, and has no provider asked"
        shown = (await browser.get(f"/reconciliations/{told_json['id']}")).text
        assert by_hand["id"] in shown
        assert "paid, 7.00 USD" in shown
        assert (await browser.get("/reconciliations/nothing")).status_code == 404
    async with desk.database.transaction() as connection:
        asked = await connection.execute(
            text("SELECT actor, subject FROM audit_event WHERE act = 'reconciliation.asked'")
        )
        assert [tuple(row) for row in asked] == [("fiona", "stripe_transfer")] * 3 + [("fiona", "tremendous")]


async def test_a_history_holds_ids_and_counts_alone(
    desk: Desk, case: Case, command: Callable[..., Awaitable[int]], temporal_env: WorkflowEnvironment
) -> None:
    await paid(desk, case, 1)
    async with at_work(desk, temporal_env, case):
        await command("stripe_transfer", *SPAN)
        newest = (await desk.get("/v1/reconciliations", as_="fiona")).json()[0]["id"]
        history = await temporal_env.client.get_workflow_handle(f"reconcile-{newest}").fetch_history()
    # As it is sent: in JSON what a payload says is encoded, and would not be found.
    written = b"".join(event.SerializeToString() for event in history.events)
    assert newest.encode() in written
    for content in ("acct_brie", "tr_", "c-brie", str(case.request(1).payout_id)):
        assert content.encode() not in written
    # As a number of its own: the same digits stand in many an id.
    assert re.search(rb"(?<![0-9a-f-])2500(?![0-9a-f-])", written) is None


async def test_finance_begins_and_the_desk_leads_to_what_comes_of_it(desk: Desk) -> None:
    async with desk.browser("fiona") as browser:
        begun = await browser.send("/reconciliations", rail="account_credit", since="", until="")
        assert begun.status_code == 303
        assert "In progress" in (await browser.get(begun.headers["location"])).text
        assert (await browser.send("/reconciliations", rail="bank", since="", until="")).status_code == 422
        assert (await browser.send("/reconciliations", rail="manual", since="x", until="")).status_code == 422
    async with desk.browser("ada") as browser:
        assert (await browser.send("/reconciliations", rail="account_credit")).status_code == 403
    async with desk.browser("paula") as browser:
        assert (await browser.get("/reconciliations")).status_code == 403


@pytest.mark.parametrize(
    ("user", "body", "status"),
    [
        ("fiona", {"rail": "account_credit"}, 202),
        ("fiona", {"rail": "account_credit", "since": "2026-01-01", "until": "2026-01-01"}, 202),
        ("ada", {"rail": "account_credit"}, 403),
        ("paula", {"rail": "account_credit"}, 403),
        ("site", {"rail": "account_credit"}, 403),
        ("fiona", {"rail": "bank"}, 422),
        ("fiona", {}, 422),
        ("fiona", {"rail": "manual", "since": "2026-01-02", "until": "2026-01-01"}, 422),
        ("fiona", {"rail": "manual", "since": "2999-01-01"}, 422),
        ("fiona", {"rail": "manual", "since": 0}, 422),
        ("fiona", {"rail": "manual", "further": 1}, 422),
    ],
)
async def test_who_may_ask_for_what(desk: Desk, user: str, body: dict[str, Any], status: int) -> None:
    asked = await desk.api.post("/v1/reconciliations", json=body, headers=desk.bearer(user))
    assert asked.status_code == status, asked.text
    assert len((await desk.get("/v1/reconciliations", as_="ada")).json()) == (1 if status == 202 else 0)


async def test_a_span_that_nobody_names_is_of_the_last_month(desk: Desk) -> None:
    asked = await desk.api.post("/v1/reconciliations", json={"rail": "account_credit"}, headers=desk.bearer("fiona"))
    since, until = (datetime.fromisoformat(asked.json()[each]) for each in ("since", "until"))
    assert until - since == timedelta(days=31)
    assert datetime.now(UTC) - until < timedelta(minutes=1)
    assert (await desk.get(f"/v1/reconciliations/{uuid4()}", as_="fiona")).status_code == 404


async def test_a_rail_that_cant_be_listed_is_not_called_free_of_differences(
    desk: Desk,
    command: Callable[..., Awaitable[int]],
    temporal_env: WorkflowEnvironment,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with OUTSIDE["paypal_payouts"]() as paypal, at_work(desk, temporal_env, paypal):
        assert await command("paypal_payouts", *SPAN, "--json") == 0
        number = json.loads(capsys.readouterr().out)["id"]
        assert await command("paypal_payouts", *SPAN) == 0
        told = capsys.readouterr().err
    assert "0 differences in what can be compared" in told
    assert "this rail can't be listed" in told
    async with desk.browser("fiona") as fiona:
        assert "No differences in what can be compared" in (await fiona.get(f"/reconciliations/{number}")).text
