"""A provider's webhook is recorded once and wakes the payout that it is about; it moves nothing by itself."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert, text

from models import Handover, PayoutRow
from referral_rewards.domain.errors import OutsideSilent
from referral_rewards.domain.payouts.provider_events import ProviderEvent
from referral_rewards.local.sandbox.webhooks import as_stripe, as_tremendous
from referral_rewards.rails.webhooks.stripe import StripeWebhook
from referral_rewards.rails.webhooks.tremendous import TremendousWebhook
from tests.desk import Desk

PAYOUT = UUID("324cbc60-5abd-5b61-bf1f-358a2f71efc9")
SECRET = "whsec_of_a_test"


class _Silent:
    """A webhook that can't be verified now."""

    async def read(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent | None:
        raise OutsideSilent("nobody shows a certificate")


@pytest.fixture
async def heard(desk: Desk) -> Desk:
    """A desk that listens to Stripe and Tremendous, with one payout over Stripe that was taken."""
    hears = {"stripe": StripeWebhook(SECRET), "tremendous": TremendousWebhook(SECRET), "paypal": _Silent()}
    desk.app.state.parts = replace(desk.parts, webhooks=hears)
    await _payout(desk, PAYOUT, "stripe_transfer", reference=None)
    return desk


async def _payout(desk: Desk, name: UUID, rail: str, reference: str | None, state: str = "accepted") -> None:
    now = datetime.now(UTC)
    row = {
        "id": name,
        "referral_id": "r1",
        "payee": "c-brie",
        "rail": rail,
        "amount_minor": 2500,
        "currency": "USD",
        "body": {},
        "body_hash": "0",
        "generation": 1,
        "provider_key": f"{name}-1",
        "provider_reference": reference,
        "state": state,
        "updated_at": now,
    }
    async with desk.database.transaction() as connection:
        await connection.execute(insert(PayoutRow).values(**row))


def _event(number: int = 1, **parts: Any) -> dict[str, Any]:
    thing = {"id": "tr_1", "object": "transfer", "metadata": {"payout": str(PAYOUT)}, "transfer_group": f"{PAYOUT}-1"}
    return {"id": f"evt_{number}", "type": "transfer.created", "data": {"object": thing}} | parts


async def _send(desk: Desk, event: dict[str, Any], source: str = "stripe", secret: str = SECRET) -> httpx.Response:
    body = json.dumps(event).encode()
    sign = as_stripe(secret) if source == "stripe" else as_tremendous(secret)
    return await desk.api.post(
        f"/v1/webhooks/{source}",
        content=body,
        headers={**sign(body, datetime.now(UTC)), "content-type": "application/json"},
    )


async def _on_record(desk: Desk) -> tuple[int, list[str], set[str]]:
    """How many events are, whom wake-ups wait for, and where payouts stand."""
    async with desk.database.transaction() as connection:
        events = (await connection.execute(text("SELECT count(*) FROM provider_event"))).scalar_one()
        wakeups = await connection.execute(text("SELECT target FROM outbox WHERE kind = 'payout_due' ORDER BY id"))
        states = await connection.execute(text("SELECT DISTINCT state FROM payout"))
        return events, list(wakeups.scalars()), set(states.scalars())


async def test_an_event_is_recorded_once_and_wakes_its_payout_without_moving_it(heard: Desk) -> None:
    answers = [await _send(heard, _event()) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 200]
    assert [each.json()["event"] for each in answers] == ["recorded", "repeated", "repeated"]
    assert await _on_record(heard) == (1, [str(PAYOUT)], {"accepted"})


async def test_the_same_event_many_times_at_once_wakes_once(heard: Desk) -> None:
    answers = await asyncio.gather(*(_send(heard, _event()) for _ in range(8)))
    assert sorted(each.json()["event"] for each in answers) == ["recorded", *["repeated"] * 7]
    assert await _on_record(heard) == (1, [str(PAYOUT)], {"accepted"})


async def test_nothing_personal_of_an_event_is_kept(heard: Desk) -> None:
    event = _event()
    event["data"]["object"]["description"] = "for brie@example.com"
    await _send(heard, event)
    async with heard.database.transaction() as connection:
        row = (await connection.execute(text("SELECT * FROM provider_event"))).one()
    assert "brie@example.com" not in str(row)


@pytest.mark.parametrize("how", ["another secret", "another body", "no signature"])
async def test_a_forged_event_leaves_no_trace(how: str, heard: Desk) -> None:
    if how == "another secret":
        answer = await _send(heard, _event(), secret="whsec_guessed")
    else:
        body = json.dumps(_event()).encode()
        headers = as_stripe(SECRET)(b"{}", datetime.now(UTC)) if how == "another body" else {}
        answer = await heard.api.post("/v1/webhooks/stripe", content=body, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:referrals:not-genuine"
    assert SECRET not in answer.text
    assert await _on_record(heard) == (0, [], {"accepted"})


@pytest.mark.parametrize(
    ("source", "status"), [("shopify", 404), ("paypal", 503), ("Stripe", 422), ("stripe/events", 404)]
)
async def test_who_is_not_listened_to_is_told_so(source: str, status: int, heard: Desk) -> None:
    answer = await heard.api.post(f"/v1/webhooks/{source}", content=b"{}")
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_what_is_signed_and_of_no_form_is_refused_for_good(heard: Desk) -> None:
    answer = await _send(heard, {"id": "evt_1"})
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["where"] == "type"


async def test_an_event_of_no_payout_of_ours_is_recorded_and_wakes_nobody(heard: Desk) -> None:
    other = {"object": {"id": "tr_9", "metadata": {"payout": str(uuid4())}}}
    assert (await _send(heard, _event(data=other))).json() == {"event": "recorded"}
    assert (await _send(heard, _event(2, type="invoice.paid"))).json() == {"event": "ignored"}
    assert await _on_record(heard) == (1, [], {"accepted"})


async def test_no_event_of_one_provider_wakes_a_payout_of_another(heard: Desk) -> None:
    gift = uuid4()
    await _payout(heard, gift, "tremendous", reference="ORDER1")
    await _send(heard, _event(data={"object": {"id": "ORDER1", "metadata": {"payout": str(gift)}}}))
    assert await _on_record(heard) == (1, [], {"accepted"})


def _order(name: str, kind: str = "orders", event: str = "ORDERS.APPROVED") -> dict[str, Any]:
    return {"event": event, "uuid": f"u-{name}", "payload": {"resource": {"id": name, "type": kind}, "meta": {}}}


async def test_an_event_that_came_before_the_reply_wakes_once_the_reply_is_known(heard: Desk) -> None:
    gift = uuid4()
    await _send(heard, _order("ORDER1"), "tremendous")
    assert await _on_record(heard) == (1, [], {"accepted"})
    await _payout(heard, gift, "tremendous", reference="ORDER1")
    assert (await _send(heard, _order("ORDER1"), "tremendous")).json() == {"event": "recorded"}
    assert (await _send(heard, _order("ORDER1"), "tremendous")).json() == {"event": "repeated"}
    assert await _on_record(heard) == (1, [str(gift)], {"accepted"})


async def test_an_event_about_what_the_payee_was_handed_wakes_its_payout(heard: Desk) -> None:
    gift = uuid4()
    await _payout(heard, gift, "tremendous", reference="ORDER1")
    async with heard.database.transaction() as connection:
        row = {
            "payout_id": gift,
            "paid_as": "ORDER1",
            "id": uuid4(),
            "kind": "link",
            "reference": "REWARD7",
            "given_at": datetime.now(UTC),
        }
        await connection.execute(insert(Handover).values(**row))
    await _send(heard, _order("REWARD7", "rewards", "REWARDS.CANCELED"), "tremendous")
    assert await _on_record(heard) == (1, [str(gift)], {"accepted"})


async def test_an_event_of_an_unknown_order_wakes_the_payments_in_doubt_of_its_rail_alone(heard: Desk) -> None:
    lost = uuid4()
    await _payout(heard, lost, "tremendous", reference=None, state="unknown")
    await _payout(heard, uuid4(), "tremendous", reference="ORDER9", state="settled")
    await _payout(heard, uuid4(), "stripe_balance", reference=None, state="unknown")
    for _ in range(2):
        await _send(heard, _order("ORDER1", event="ORDERS.CREATED"), "tremendous")
    assert (await _on_record(heard))[1] == [str(lost)]
