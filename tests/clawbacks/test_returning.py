"""What was taken wrongly goes back: by a payment of its own, signed, at most what was taken, told with true numbers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.errors import ActRefused, NotAllowed
from referral_rewards.domain.payouts.states import provider_key
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from referral_rewards.reporting import clawbacks as reporting
from referral_rewards.reporting.books import checking
from referral_rewards.reporting.referrals.everything import showing
from referral_rewards.reporting.referrals.own_status import own_status
from tests.clawbacks.taking import act, cases, clawbacks, rewarded, takes, told
from tests.clawbacks.test_life import done
from tests.installation import Installation
from tests.patience import PATIENCE_SECONDS
from tests.workflows.scenes import books, quiet, scene, sql

A = MoneyAct


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life, life.workers():
        await life.user("fiona")
        await rewarded(life, "r1")
        await told(life, "conversion.reversed", kind="refund")
        yield life
        async with life.database.transaction() as connection:
            assert [each async for each in checking.problems(connection)] == []


async def taken(life: Installation, role: str = "referrer", amount_minor: int = 2500) -> Any:
    """So much of a reward is taken back by its rail; its case."""
    case = (await cases(life))[role][0].id
    await act(life, A.REVERSE_CLAWBACK, case, amount_minor)
    await done(life)
    return case


async def returns(life: Installation) -> list[tuple[str, int]]:
    """The state and amount of each return, once nothing moves any more."""
    under_way = "SELECT 1 FROM payout WHERE returns IS NOT NULL AND state IN ('approved', 'sending')"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await sql(life, under_way):
            await life.relay.deliver()
            await asyncio.sleep(0.05)
    await quiet(life, "r1")
    rows = await sql(life, "SELECT state, amount_minor FROM payout WHERE returns IS NOT NULL ORDER BY created_at, id")
    return [tuple(row) for row in rows]


async def own(life: Installation) -> Any:
    async with life.database.transaction() as connection:
        return own_status(await showing(connection, "r1", life.keys), Side.REFERRER)


async def test_what_was_taken_goes_back_by_a_payment_of_its_own_and_the_reward_stands_again(
    life: Installation,
) -> None:
    case = await taken(life)
    await taken(life, "referee", 800)
    assert (await life.row("r1")).status == "clawed_back"
    assert "return" in (await takes(life, case))[0]
    await act(life, A.RETURN_CLAWBACK, case, 2500)
    # It stands from the decision on, so that nothing takes its place while the payment is under way.
    assert await sql(life, "SELECT state FROM leg WHERE role = 'referrer'") == [("paid",)]
    assert await returns(life) == [("settled", 2500)]
    (payout,) = await sql(life, "SELECT id, provider_key, generation FROM payout WHERE returns IS NOT NULL")
    assert payout.provider_key == provider_key(payout.id, 1)
    assert payout.id not in {row.payout_id for row in await sql(life, "SELECT payout_id FROM payout_leg")}
    assert (await life.row("r1")).status == "rewarded"
    assert await life.money() == {"expense:acme-friends": 2500, "credit:dexter": -2500}
    letters = await sql(life, "SELECT recipient FROM notice WHERE template = 'given_back'")
    assert letters == [("dexter",)]
    assert [each.state for each in (await own(life)).rewards] == [
        "paid; 25.00 USD taken back and 25.00 USD paid again, 25.00 USD remain yours"
    ]
    # All of it went back: nothing is left to return, and all of it could be taken again.
    found, room_minor = await takes(life, case)
    assert ("return" in found, room_minor) == (False, 2500)


async def test_parts_go_back_until_nothing_of_what_was_taken_is_left(life: Installation) -> None:
    case = await taken(life, amount_minor=1000)
    with pytest.raises(ActRefused, match=r"only 10\.00 USD remain"):
        await act(life, A.RETURN_CLAWBACK, case, 1001)
    await act(life, A.RETURN_CLAWBACK, case, 400)
    with pytest.raises(ActRefused, match=r"only 6\.00 USD remain"):
        await act(life, A.RETURN_CLAWBACK, case, 601)
    assert await returns(life) == [("settled", 400)]
    await act(life, A.RETURN_CLAWBACK, case, 600)
    assert await returns(life) == [("settled", 400), ("settled", 600)]
    assert "return" not in (await takes(life, case))[0]
    async with life.database.transaction() as connection:
        shown = await reporting.case(connection, case, life.keys)
    assert (shown.recovered_minor, shown.returned_minor, shown.taken_minor, shown.room_minor) == (1000, 1000, 0, 2500)
    assert await life.money() == books("r1")


async def test_what_was_kept_from_a_later_reward_goes_back_and_what_is_not_kept_yet_does_not(
    life: Installation,
) -> None:
    case = (await cases(life))["referrer"][0].id
    await act(life, A.OFFSET_CLAWBACK, case, 2500)
    assert "return" not in (await takes(life, case))[0]
    await rewarded(life, "r2")
    await quiet(life, "r1")
    assert await clawbacks(life) == [("offset", "offset", 2500, 2500)]
    await act(life, A.RETURN_CLAWBACK, case, 2500)
    assert await returns(life) == [("settled", 2500)]
    # Both rewards of dexter's stand, and both were paid.
    assert (await life.money())["credit:dexter"] == -5000
    assert (await life.money())["expense:acme-friends"] == 3300 + 3300


async def test_only_finance_returns_and_what_was_written_off_was_not_taken(life: Installation) -> None:
    case = (await cases(life))["referrer"][0].id
    await act(life, A.WRITE_OFF_CLAWBACK, case, 1500)
    assert "return" not in (await takes(life, case))[0]
    await act(life, A.REVERSE_CLAWBACK, case, 1000)
    await done(life)
    with pytest.raises(NotAllowed):
        await act(life, A.RETURN_CLAWBACK, case, 1000, roles=frozenset({Role.OPERATIONS}))
    with pytest.raises(ActRefused, match=r"only 10\.00 USD remain"):
        await act(life, A.RETURN_CLAWBACK, case, 2500)


_FORGED = """
    INSERT INTO payout (id, returns, referral_id, payee, rail, amount_minor, currency, body, body_hash, generation,
                        provider_key, state, updated_at)
    SELECT CAST(:id AS uuid), c.id, p.referral_id, p.payee, p.rail, CAST(:amount AS bigint), p.currency, p.body,
           p.body_hash, 1, CAST(:id AS text) || '-1', 'approved', now()
    FROM clawback_case c JOIN payout_leg pl ON pl.leg_id = c.leg_id JOIN payout p ON p.id = pl.payout_id
    WHERE c.id = :case
"""
_WOKEN = """
    INSERT INTO outbox (kind, target, subject_id) VALUES ('payout_due', CAST(:id AS text), CAST(:id AS uuid))
"""


async def test_a_row_without_a_signed_decision_pays_nothing_back(life: Installation) -> None:
    case = await taken(life)
    forged = {"id": "5f6b7e1e-0d0c-5b53-9a3f-6a0f6a0d2c99", "amount": 2500, "case": case}
    with pytest.raises(IntegrityError, match="returns more than was taken"):
        await sql(life, _FORGED, **{**forged, "amount": 2501})
    await sql(life, _FORGED, **forged)
    await sql(life, _WOKEN, id=forged["id"])
    assert await returns(life) == [("manual_review", 2500)]
    assert (await life.money()).get("credit:dexter") is None
    await sql(life, "UPDATE payout SET dropped = true WHERE returns IS NOT NULL")


@pytest.mark.chaos
async def test_who_was_barred_since_returns_nothing_and_it_is_cancelled_and_decided_anew(life: Installation) -> None:
    case = await taken(life)
    await sql(life, "UPDATE app_user SET barred_at = now() WHERE name = 'fiona'")
    await act(life, A.RETURN_CLAWBACK, case, 2500)
    assert await returns(life) == [("manual_review", 2500)]
    assert (await life.money()).get("credit:dexter") is None
    await sql(life, "UPDATE app_user SET barred_at = NULL")
    await life.user("fred")
    (payout,) = await sql(life, "SELECT id FROM payout WHERE returns IS NOT NULL")
    async with life.database.transaction() as connection:
        shown = await subjects.shown(connection, SubjectKind.PAYOUT, payout.id, life.keys)
        assert shown.takes == {A.RETRY_PAYOUT, A.CANCEL_PAYOUT}
        asked = Asked(str(payout.id), A.CANCEL_PAYOUT, "not_owed", "decided anew", shown.digest)
        await record(connection, asked, Approver("fred", frozenset({Role.FINANCE})), now=datetime.now(UTC),
                     keys=life.keys, signer=life.signer)  # fmt: skip
    while (await sql(life, "SELECT state FROM payout WHERE returns IS NOT NULL"))[0].state != "cancelled":
        await life.relay.deliver()
        await asyncio.sleep(0.05)
    await quiet(life, "r1")
    # Nothing of it is on its way any more, and it was taken back whole: the reward is free again.
    assert await sql(life, "SELECT state FROM leg WHERE role = 'referrer'") == [("clawed_back",)]
    await act(life, A.RETURN_CLAWBACK, case, 2500)
    assert await returns(life) == [("cancelled", 2500), ("settled", 2500)]
    assert await life.money() == books("r1")
