"""The pages after a restore: which rails are halted, what remains, and the form that assigns a forgotten payment."""

from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import text

from referral_rewards.domain.restores.reopening import rail_id
from referral_rewards.register.queue import rails as queue
from referral_rewards.reporting.programs.preflight import readiness
from tests.desk import Browser, Desk
from tests.desk_pages.forms import text_of

PAYMENT: Final = UUID(int=77)
TRANSFER: Final = f"/rails/{rail_id('stripe_transfer')}"
STAND: Final = (
    "INSERT INTO register_restore VALUES (1, '2026-07-01T00:00Z', '2026-07-02T00:00Z', 'the mark', 'decision 7')",
    """INSERT INTO restored_rail SELECT rail, 1, '2026-07-01T00:00Z', '2026-07-02T00:00Z', 'the register was restored'
       FROM unnest(ARRAY['stripe_transfer', 'manual']) AS halted(rail)""",
    f"""INSERT INTO forgotten_payment
        (id, rail, reference, payout_id, payee, amount_minor, currency, state, made_at, found_at)
        VALUES ('{PAYMENT}', 'stripe_transfer', 'tr_1', '{UUID(int=5)}', 'dexter', 2500, 'USD', 'paid', now(),
                now())""",
)


@pytest.fixture
async def fiona(desk: Desk) -> AsyncIterator[Browser]:
    """Finance, after a restore that halted two rails and forgot a payment."""
    async with desk.database.transaction() as connection:
        for each in STAND:
            await connection.execute(text(each))
        await queue.keep_rails(connection, ("stripe_transfer", "manual"))
        await queue.keep_forgotten(connection, [PAYMENT])
    async with desk.browser("fiona") as browser:
        yield browser


async def test_a_halted_rail_is_shown_where_people_work_and_leads_to_what_to_do(fiona: Browser) -> None:
    payouts = await fiona.get("/payouts")
    assert "Nothing is sent by bank transfer by hand or Stripe transfer since" in text_of(payouts)
    assert 'href="/rails"' in payouts.text
    assert "accepts our credentials" not in payouts.text
    waiting = await fiona.get("/queue")
    assert f'href="{TRANSFER}"' in waiting.text
    assert f'href="/forgotten/{PAYMENT}"' in waiting.text
    rails = await fiona.get("/rails")
    assert TRANSFER in rails.text
    assert f"/forgotten/{PAYMENT}" in rails.text


async def test_a_rail_with_something_left_to_do_says_what_and_takes_no_decision(fiona: Browser) -> None:
    shown = text_of(await fiona.get(TRANSFER))
    assert "Reconcile the rail from the moment of the restore until now." in shown
    assert "There is nothing for you to decide here now." in shown


async def test_a_rail_is_opened_in_two_steps(desk: Desk, fiona: Browser) -> None:
    here = f"/rails/{rail_id('manual')}"
    assert "Nothing is unexplained." in text_of(await fiona.get(here))
    digest = (await desk.get("/v1/rails/manual")).json()["digest"]
    form = {"kind": "reopen_rail", "reason": "statement_compared", "note": "all of it", "digest": digest}
    review = await fiona.send(here, **form, step="review")
    assert (review.status_code, "Open the rail again?" in text_of(review)) == (200, True)
    assert (await fiona.send(here, **form, step="record")).status_code == 303
    assert "It was opened again." in text_of(await fiona.get(here))


async def test_a_forgotten_payment_is_assigned_by_the_id_of_a_payout(desk: Desk, fiona: Browser) -> None:
    here = f"/forgotten/{PAYMENT}"
    shown = text_of(await fiona.get(here))
    for said in ("25.00 USD to dexter", "Id of the payout", "Record that it is not ours"):
        assert said in shown, said
    digest = (await desk.get(f"/v1/forgotten-payments/{PAYMENT}")).json()["digest"]
    form = {"kind": "disown_payment", "reason": "paid_by_hand", "note": "not ours", "digest": digest}
    assert "it is paid twice" in text_of(await fiona.send(here, **form, step="review"))
    assert (await fiona.send(here, **form, step="record")).status_code == 303
    assert "There is nothing to decide on this payment now." in text_of(await fiona.get(here))


@pytest.mark.parametrize("page", [f"/rails/{UUID(int=1)}", f"/forgotten/{UUID(int=1)}"])
async def test_what_is_not_there_is_not_found(fiona: Browser, page: str) -> None:
    assert (await fiona.get(page)).status_code == 404


async def test_preflight_names_a_halted_rail(desk: Desk, fiona: Browser) -> None:
    assert (await readiness(desk.database, "acme-friends", {}, desk.parts.keys)).halted == {"stripe_transfer", "manual"}
