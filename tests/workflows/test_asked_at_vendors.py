"""What no webhook told is found when the order is asked about again, before anybody is paid."""

import json
from typing import Any

from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.loopback import served
from referral_rewards.register.referrals import cases
from referral_rewards.reporting.referrals.everything import showing
from referral_rewards.sources.connecting import connected
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.paths import Path
from referral_rewards.vendors.port import Field, SourceMapping
from referral_rewards.vendors.telling import told
from tests.installation import PROGRAM, Installation
from tests.sources import mapped
from tests.sources.vendors import KEY, Held, source, stripe
from tests.vendors import stripe_life as payments
from tests.workflows.scenes import days_ago, lived_until_review, scene, sql

BRIE = {"email": "r1@example.com", "name": None, "phone": None, "address": {"country": "NO"}}
BOUGHT = int(days_ago(40).timestamp())
STRIPE = SourceMapping(source="shop", paths={Field.ORDER: Path("metadata.order_id")})
ORDER = OrderName("o-77")


def terms(name: str) -> str:
    changed = PROGRAM.read_text().replace("  conversions: register ", f"  conversions: {name} ")
    assert changed != PROGRAM.read_text()
    return changed


async def asks(life: Installation) -> RewardClaim:
    """The claim, once it waits for a person."""
    row = await life.settled("r1", among=frozenset({"awaiting_approval"}))
    async with life.database.transaction() as connection:
        return (await cases.current(connection, row.claim_id))[0]


def checkout() -> dict[str, Any]:
    """A checkout of goods for 80.00, of the shop's own order o-77."""
    paid = payments.session(created=BOUGHT, customer="c-r1", customer_details=BRIE, metadata={"order_id": ORDER.id})
    return paid | {"amount_total": 8000, "total_details": {"amount_shipping": 0, "amount_tax": 0}}


async def webhook(life: Installation, asked: ConnectedSource, session: dict[str, Any]) -> None:
    """What Stripe's webhook tells of a checkout, recorded as its events are."""
    reading = asked.read(payments.told(payments.event("evt_1", "checkout.session.completed", session, BOUGHT)))
    telling = told(reading, None, None)
    async with life.database.transaction() as connection:
        events = [parse_event(each) for each in telling.facts]
        await life.intake.record(connection, events, received_at=days_ago(40), teller=asked.teller)
    for name, order in (telling.links or {}).items():
        await sql(
            life, "INSERT INTO source_name (source, name, order_id) VALUES ('shop', :name, :order) RETURNING name",
            name=name, order=order.id,
        )  # fmt: skip


async def test_a_refund_whose_webhook_was_lost_lowers_the_reward(
    database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    held, session = stripe(), checkout()
    held.objects |= {"checkout/sessions/cs_live_a1": session}
    held.lists["refunds"].append(payments.refund(created=BOUGHT + 86_400))
    async with scene(database_url, temporal_env, terms("shop")) as life, served(held) as url:
        asked = source("stripe", url, STRIPE)
        async with connected({"shop": asked}) as sources:
            life.sources |= sources
            await _invited(life)
            await webhook(life, asked, session)
            async with life.workers():
                claim = await asks(life)
        assert claim.flag_names == (Flag.PARTIAL_REFUND,)
        assert {leg.role: leg.amount_minor for leg in claim.legs} == {"referrer": 2500, "referee": 600}
        facts = await sql(life, "SELECT event_id, source FROM fact WHERE type LIKE 'conversion.%' ORDER BY 1")
        assert [tuple(each) for each in facts] == [("cs_live_a1.paid", "shop"), ("re_1 of o-77", "shop")]
        assert await _versions(life) == [
            ("order", "known", "known", False),
            ("amount", "80.00 USD", "80.00 USD", False),
            ("taken back", "0.00 USD", "20.00 USD", True),
            ("dispute", "none open", "none open", False),
        ]
    assert KEY not in json.dumps(held.asked)


async def test_the_guides_shop_is_asked_in_its_own_words_and_another_amount_stands_before_a_person(
    database_url: str, temporal_env: WorkflowEnvironment
) -> None:
    its = mapped.order(number="o-r1", total=70, buyer={"id": "c-r1", "email": "r1@example.com"})
    shop = Held("hubspot", {"api/orders/o-r1": its, "api/accounts/c-r1": mapped.account()}, key="k-1")
    async with scene(database_url, temporal_env, terms("legacy-shop")) as life, served(shop) as url:
        async with connected({"legacy-shop": mapped.endpoint(url)}) as sources:
            life.sources |= sources
            await lived_until_review(life, "r1")
            async with life.workers():
                claim = await asks(life)
        assert claim.flag_names == (Flag.EVIDENCE_CONFLICT,)
        sentence = "It knows order o-r1 differently: its amount is 70.00 USD, ours 80.00 USD."
        assert [(each.answer, each.sentence) for each in await _inquiries(life)] == [("contradicted", sentence)]
        assert ("amount", "80.00 USD", "70.00 USD", True) in await _versions(life)
    assert sorted(shop.asked) == ["api/accounts/c-r1", "api/orders/o-r1"]


async def _invited(life: Installation) -> None:
    referee = {"customer": "c-r1", "email": "r1@example.com"}
    about = {"referral": "r1", "referrer": "dexter", "program": "acme-friends", "channel": "email"}
    async with life.database.transaction() as connection:
        for type_, days, data in (
            ("referral.sent", 60, about | {"referee": referee}),
            ("referral.claimed", 50, {"referral": "r1", "referee": referee, "consent": True}),
        ):
            await life.intake.record(connection, [life.event(type_, days_ago(days), data)], received_at=days_ago(days))


async def _inquiries(life: Installation) -> Any:
    async with life.database.transaction() as connection:
        return (await showing(connection, "r1", life.keys)).inquiries


async def _versions(life: Installation) -> list[tuple[Any, ...]]:
    (asked,) = await _inquiries(life)
    return [(each.what, each.ours, each.theirs, each.differs) for each in asked.versions]
