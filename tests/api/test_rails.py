"""Which rails there are is known to whoever holds no secrets: by what their workers say, and by what halted them."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from referral_rewards.rails.access import Access, PayPalAccess, StripeAccess, TremendousAccess, modes
from referral_rewards.register import rail_halts
from referral_rewards.register.rail_connections import FRESH
from referral_rewards.reporting.programs.preflight import readiness
from referral_rewards.reporting.rails import connected
from tests.desk import Desk
from worker.process import Connections


async def test_a_rail_is_connected_while_a_worker_says_so(desk: Desk) -> None:
    now = datetime.now(UTC)
    told = Connections(desk.database, {"stripe_transfer": "test"})
    await told.say(now - 2 * FRESH)
    await told.say(now)
    await Connections(desk.database, {"tremendous": "live"}).say(now - FRESH)
    async with desk.database.transaction() as connection:
        assert {"stripe_transfer", "account_credit"} <= await connected(connection, now)
        assert "stripe_transfer" in await connected(connection, now + FRESH - timedelta(microseconds=1))
        assert "stripe_transfer" not in await connected(connection, now + FRESH)
        assert "tremendous" not in await connected(connection, now)
    assert "stripe_transfer" in (await readiness(desk.database, "acme-friends", {}, desk.parts.keys)).rails


async def test_a_halted_rail_says_since_when_and_why_and_how_many_wait(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE payout SET rail = 'paypal_payouts'"))
        await rail_halts.halt(connection, "paypal_payouts", "the key was revoked", datetime.now(UTC))
    found = {each["rail"]: each for each in (await desk.get("/v1/rails")).json()}
    assert (found["paypal_payouts"]["why"], found["paypal_payouts"]["waiting"]) == ("the key was revoked", 2)
    assert (found["account_credit"]["connected"], found["account_credit"]["halted_at"]) == (True, None)
    async with desk.browser("paula") as browser:
        page = (await browser.get("/queue")).text
    assert "the key was revoked" in page


@pytest.mark.parametrize(
    ("access", "rail", "mode"),
    [
        (StripeAccess("sk_live_x"), "stripe_transfer", "live"),
        (StripeAccess("rk_live_x"), "stripe_balance", "live"),
        (StripeAccess("sk_test_x"), "stripe_promotion", "test"),
        (StripeAccess("sk_live_x", "http://127.0.0.1:9101"), "stripe_transfer", "sandbox"),
        (StripeAccess("sk_live_x", "https://api.stripe.com.example"), "stripe_transfer", "sandbox"),
        (PayPalAccess("a", "b"), "paypal_payouts", "live"),
        (PayPalAccess("a", "b", "https://api-m.sandbox.paypal.com"), "paypal_payouts", "test"),
        (TremendousAccess("k", "f", "c"), "tremendous", "live"),
        (TremendousAccess("k", "f", "c", "https://testflight.tremendous.com"), "tremendous", "test"),
    ],
    ids=str,
)
def test_whether_a_rail_moves_real_money_is_seen_by_what_its_provider_gave(
    access: StripeAccess | PayPalAccess | TremendousAccess, rail: str, mode: str
) -> None:
    provider = type(access).__name__.removesuffix("Access").lower()
    given = {"stripe": None, "paypal": None, "tremendous": None} | {provider: access}
    assert modes(Access(**given), [rail]) == {rail: mode}  # type: ignore[arg-type]
