"""What somebody with the database's password forges consistently, without the signing key: an audit finds it."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from referral_rewards.audit.canonical import ascii_sha256_of
from tests.audit.paid import lived
from tests.audit.settled import rows
from tests.audit.test_money import found
from tests.desk import Desk, desk_after
from tests.snapshots import Snapshots


@pytest.fixture
async def paid(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, lived) as opened:
        yield opened


async def _said(desk: Desk) -> set[str]:
    return {each.what for each in await found(desk)}


async def test_a_payee_to_whom_nobody_redirected_is_found(paid: Desk) -> None:
    """The binding, the frozen request with its hash, and the instruction agree with each other."""
    (row,) = await rows(paid, "SELECT id, body FROM payout WHERE referral_id = 'r2' AND rail = 'manual'")
    body = {**row.body, "destination": "account-of-mallory"}
    of_it = {"id": row.id, "body": json.dumps(body), "hash": ascii_sha256_of(body)}
    await rows(paid, "UPDATE payout SET body = CAST(:body AS jsonb), body_hash = :hash WHERE id = :id", **of_it)
    await rows(
        paid,
        "UPDATE leg SET bound_to = 'account-of-mallory' WHERE id IN (SELECT leg_id FROM payout_leg"
        " WHERE payout_id = :id)",
        id=row.id,
    )
    await rows(
        paid, "UPDATE payment_instruction SET destination = 'account-of-mallory' WHERE payout_id = :id", id=row.id
    )
    assert await _said(paid) == {
        "it was paid to account-of-mallory, which is not what was approved; finance had signed no redirect to that"
    }


async def test_a_list_that_was_released_after_it_was_paid_is_found(paid: Desk) -> None:
    """Each sending notes the transactions under way that it did not see."""
    await rows(
        paid,
        """UPDATE payout_step s SET sight = s.sight || d.position FROM payout p, decision d
        WHERE p.id = s.payout_id AND d.claim_id = p.cycle_id AND d.kind = 'release_cycle'""",
    )
    assert "nobody of finance released the list of its cycle as it stands" in await _said(paid)


async def test_a_clawback_that_was_deleted_with_all_its_rows_is_found(paid: Desk) -> None:
    (row,) = await rows(paid, "SELECT id, leg_id FROM clawback WHERE kind = 'reverse'")
    about = "SELECT id FROM ledger_transaction WHERE key LIKE '%' || :id || '%'"
    await rows(paid, f"DELETE FROM posting WHERE transaction_id IN ({about})", id=str(row.id))
    await rows(paid, "DELETE FROM ledger_transaction WHERE key LIKE '%' || :id || '%'", id=str(row.id))
    await rows(paid, "DELETE FROM clawback_case WHERE id = (SELECT case_id FROM clawback WHERE id = :id)", id=row.id)
    await rows(paid, "DELETE FROM clawback WHERE id = :id", id=row.id)
    await rows(paid, "UPDATE leg SET state = 'paid' WHERE id = :id", id=row.leg_id)
    assert await _said(paid) >= {"a signed decision takes a reward back, and no clawback of it is on record"}


async def test_a_payment_by_hand_that_was_deleted_with_all_its_rows_is_found(paid: Desk) -> None:
    (row,) = await rows(paid, "SELECT id FROM payout WHERE referral_id = 'r2' AND rail = 'manual'")
    legs = [each.leg_id for each in await rows(paid, "SELECT leg_id FROM payout_leg WHERE payout_id = :id", id=row.id)]
    about = "SELECT id FROM ledger_transaction WHERE key LIKE '%' || :id || '%'"
    for name in (row.id, *legs):
        await rows(paid, f"DELETE FROM posting WHERE transaction_id IN ({about})", id=str(name))
        await rows(paid, "DELETE FROM ledger_transaction WHERE key LIKE '%' || :id || '%'", id=str(name))
    for table in ("payout_step", "payout_leg", "payout_deduction", "payment_instruction"):
        await rows(paid, f"DELETE FROM {table} WHERE payout_id = :id", id=row.id)
    await rows(paid, "DELETE FROM payout WHERE id = :id", id=row.id)
    await rows(paid, "DELETE FROM leg WHERE id = ANY(:ids)", ids=legs)
    assert "a signed decision says what became of a payment that is not on record" in await _said(paid)


async def test_a_second_payment_of_a_reward_as_one_that_was_given_up_is_found(paid: Desk) -> None:
    """A copy of a payment under an id of its own that counts as cancelled and paid after all, with all its rows."""
    new = str(uuid4())
    (row,) = await rows(paid, "SELECT id, body FROM payout WHERE referral_id = 'r2' AND rail = 'account_credit'")
    body = {**row.body, "payout": new}
    await rows(
        paid,
        """INSERT INTO payout SELECT (jsonb_populate_record(p, jsonb_build_object(
                'id', CAST(:new AS text), 'provider_key', CAST(:new AS text) || '-1', 'body', CAST(:body AS jsonb),
                'body_hash', CAST(:hash AS text)))).* FROM payout p WHERE id = :old""",
        new=new,
        old=row.id,
        body=json.dumps(body),
        hash=ascii_sha256_of(body),
    )
    await rows(paid, "INSERT INTO payout_leg (payout_id, leg_id, live) SELECT CAST(:new AS uuid), leg_id, false"
               " FROM payout_leg WHERE payout_id = :old", new=new, old=row.id)  # fmt: skip
    await rows(
        paid,
        """INSERT INTO payout_step SELECT (jsonb_populate_record(s, jsonb_build_object(
                'payout_id', CAST(:new AS text), 'id', s.id + 100000))).* FROM payout_step s WHERE payout_id = :old""",
        new=new,
        old=row.id,
    )
    assert "it pays no reward, or one that was cancelled, and no signed word of people lets it stand" in await _said(
        paid
    )
