"""What is kept from later payouts: only what people decided, never for nothing, and free again where it is not paid."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.states import PayoutState, body_hash
from referral_rewards.register.payouts import answers
from tests.clawbacks.taking import act, cases, clawbacks, rewarded, told
from tests.installation import Installation
from tests.workflows.scenes import approved_but_unsent, pay, payouts, payouts_at_work, quiet, scene, sql

A = MoneyAct


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    """Dexter owes 7.00 of what r1 was refunded for, and r2 is approved; no worker pays it."""
    async with scene(database_url, temporal_env) as life:
        async with life.workers():
            await rewarded(life, "r1")
            await told(life, "conversion.reversed", kind="refund")
            (case,) = (await cases(life))["referrer"]
            await act(life, A.OFFSET_CLAWBACK, case.id, 700)
        await approved_but_unsent(life, "r2")
        yield life


async def test_what_a_payout_would_keep_is_free_again_once_it_is_cancelled(life: Installation) -> None:
    assert (await payouts(life, "r2"))["referrer"].amount_minor == 1800
    async with life.workers():
        await told(life, "conversion.reversed", "r2", kind="refund")
        assert (await life.row("r2")).status == "denied"
        assert await clawbacks(life) == [("offset", "offsetting", 700, 0)]
        await rewarded(life, "r3")
    assert (await payouts(life, "r3"))["referrer"].amount_minor == 1800
    assert await clawbacks(life) == [("offset", "offset", 700, 700)]
    assert (await life.money()).get("recoverable:dexter", 0) == 0


@pytest.mark.parametrize("forged", ["more than was decided", "a debt that nobody decided on"])
@pytest.mark.chaos
async def test_a_payout_lowered_by_a_row_that_somebody_wrote_is_not_sent(life: Installation, forged: str) -> None:
    payout = (await payouts(life, "r2"))["referrer"]
    kept = 1700 if forged == "more than was decided" else 700
    if forged == "a debt that nobody decided on":
        await sql(
            life,
            "INSERT INTO clawback SELECT (jsonb_populate_record(b, jsonb_build_object('id', gen_random_uuid(),"
            " 'provider_key', 'other', 'decision_id', gen_random_uuid()))).* FROM clawback b",
        )
        await sql(
            life,
            "UPDATE payout_deduction SET source = (SELECT CAST(id AS text) FROM clawback WHERE provider_key = 'other')",
        )
    else:
        await sql(life, "UPDATE payout_deduction SET amount_minor = 1700")
    body = payout.body | {"amount_minor": 2500 - kept}
    await sql(
        life,
        "UPDATE payout SET amount_minor = :amount, body = CAST(:body AS jsonb), body_hash = :hash WHERE id = :id",
        amount=2500 - kept, body=json.dumps(body), hash=body_hash(body), id=payout.id,
    )  # fmt: skip
    async with payouts_at_work(life):
        assert await pay(life, payout.id) == "manual_review"
    assert (await life.money())["recoverable:dexter"] == 700


@pytest.mark.chaos
async def test_of_a_payout_that_came_back_what_it_kept_is_owed_again(life: Installation) -> None:
    async with life.workers():
        await life.settled("r2", among=frozenset({"rewarded"}))
        await quiet(life, "r1")
    assert await clawbacks(life) == [("offset", "offset", 700, 700)]
    payout = (await payouts(life, "r2"))["referrer"]
    async with life.database.transaction() as connection:
        await answers.note(
            connection, payout.id, PayoutState.RETURNED, datetime.now(UTC), reference=None, why="it bounced"
        )
    assert await clawbacks(life) == [("offset", "offsetting", 700, 0)]
    money = await life.money()
    assert (money["recoverable:dexter"], money["payable:dexter"]) == (700, -2500)


@pytest.mark.chaos
async def test_nobody_is_paid_less_for_a_debt_whose_payment_came_back_by_itself(life: Installation) -> None:
    first = (await payouts(life, "r1"))["referrer"]
    assert (await payouts(life, "r2"))["referrer"].amount_minor == 1800
    async with life.database.transaction() as connection:
        await answers.note(
            connection, first.id, PayoutState.RETURNED, datetime.now(UTC), reference=None, why="it bounced"
        )
    assert await clawbacks(life) == [("offset", "unrecoverable", 700, 0)]
    async with life.workers():
        await life.settled("r2", among=frozenset({"rewarded"}))
    second = (await payouts(life, "r2"))["referrer"]
    assert (second.state, second.amount_minor, second.body["amount_minor"]) == ("settled", 2500, 2500)
    money = await life.money()
    assert (money.get("recoverable:dexter", 0), money["payable:dexter"]) == (0, -2500)
