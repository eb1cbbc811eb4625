"""What the database itself refuses, whoever holds the connection."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import DBAPIError
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.money import from_minor
from referral_rewards.reporting.books import beancount, checking
from tests.installation import Installation
from tests.money import RECOVERED
from tests.workflows.scenes import before_its_approver, books, payouts, scene, sql


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    """An installation in which one referral was rewarded: every table has a row to be changed."""
    async with scene(database_url, temporal_env) as life, life.workers():
        await before_its_approver(life, "r1")
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
        yield life


async def _refused(life: Installation, statement: str, **parameters: Any) -> str:
    """What the database says to a statement that it refuses, at once or at the commit."""
    with pytest.raises(DBAPIError) as refusal:
        await sql(life, statement, **parameters)
    return str(refusal.value.orig)


async def test_what_is_on_record_is_neither_changed_nor_deleted(life: Installation) -> None:
    changed = {
        "decision": "kind",
        "decision_effect": "effect",
        "fact": "source",
        "fact_key": "key",
        "ledger_transaction": "description",
        "posting": "account",
        "program_version": "source",
        "referral_step": "status",
        "reward_claim": "digest",
    }
    for table, column in changed.items():
        assert await sql(life, f"SELECT 1 FROM {table} LIMIT 1"), table
        for statement in (
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
        ):
            assert "append-only" in await _refused(life, statement), statement
    assert await life.money() == books("r1")


async def test_one_order_has_one_live_reward_a_role_and_program(life: Installation) -> None:
    columns = "claim_id, digest, program, referrer, order_key, role, beneficiary, kind, amount_minor, currency, rail"
    again = f"""
        INSERT INTO leg (id, referral_id, {columns}, state, approved_at, decisions)
        SELECT :id, 'another', {columns}, :state, approved_at, decisions FROM leg WHERE role = 'referrer' LIMIT 1
    """
    assert "uq_leg_live" in await _refused(life, again, id=uuid4(), state="reserved")
    await sql(life, again, id=uuid4(), state="cancelled")
    taken_back = "UPDATE leg SET state = 'clawed_back' WHERE referral_id = 'r1' AND role = 'referrer'"
    assert "was not recovered in full" in await _refused(life, taken_back)
    await sql(life, RECOVERED, referral="r1", role="referrer", kind="reverse", recovered=2500)
    await sql(life, taken_back)
    await sql(life, again, id=uuid4(), state="reserved")


async def test_a_side_of_a_referral_has_one_reward_that_stands(life: Installation) -> None:
    another = """
        INSERT INTO leg SELECT (jsonb_populate_record(
            l, jsonb_build_object('id', gen_random_uuid(), 'order_key', 'o-2', 'state', CAST(:state AS text))
        )).* FROM leg l WHERE l.referral_id = 'r1' AND l.role = 'referrer' LIMIT 1
    """
    # Of another order, as after an exchange, and whether or not the first was set aside for it.
    await sql(life, "UPDATE leg SET former = true WHERE referral_id = 'r1'")
    assert "uq_leg_standing" in await _refused(life, another, state="reserved")
    await sql(life, RECOVERED, referral="r1", role="referrer", kind="reverse", recovered=2500)
    await sql(life, "UPDATE leg SET state = 'clawed_back' WHERE referral_id = 'r1' AND role = 'referrer'")
    await sql(life, another, state="reserved")


async def test_a_leg_has_one_live_payout(life: Installation) -> None:
    paid = (await payouts(life, "r1"))["referrer"]
    again = """
        INSERT INTO payout_leg (payout_id, leg_id, live)
        SELECT :other, leg_id, true FROM payout_leg WHERE payout_id = :paid
    """
    assert "uq_payout_leg_live" in await _refused(life, again, other=uuid4(), paid=paid.id)


async def test_two_payouts_never_share_a_key(life: Installation) -> None:
    columns = "referral_id, payee, rail, amount_minor, currency, body, body_hash, generation, provider_key, state"
    again = f"INSERT INTO payout (id, {columns}, updated_at) SELECT :id, {columns}, now() FROM payout LIMIT 1"
    assert "provider_key" in await _refused(life, again, id=uuid4())


_TRANSACTION = """
WITH posted AS (
    INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)
    VALUES (gen_random_uuid(), 'k', 'd', now(), 'acme-friends', 'r1') RETURNING id
)
INSERT INTO posting (transaction_id, account, amount_minor, currency)
SELECT posted.id, l.* FROM posted CROSS JOIN (VALUES {lines}) AS l(account, amount_minor, currency)
"""


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        pytest.param("('loss:a', 1, 'USD'), ('credit:b', -2, 'USD')", "does not balance", id="unequal"),
        pytest.param("('loss:a', 1, 'USD')", "does not balance", id="one-sided"),
        pytest.param("('loss:a', 1, 'USD'), ('credit:b', -1, 'EUR')", "does not balance", id="in two currencies"),
        pytest.param("('loss:a', 0, 'USD'), ('credit:b', 0, 'USD')", "ck_posting_not_zero", id="of nothing"),
        pytest.param("('bank:a', 1, 'USD'), ('credit:b', -1, 'USD')", "ck_posting_account", id="of an unknown kind"),
        pytest.param("('loss:', 1, 'USD'), ('credit:b', -1, 'USD')", "ck_posting_account", id="of nobody"),
        pytest.param("('loss:a', 1, 'usd'), ('credit:b', -1, 'usd')", "ck_posting_currency", id="in no currency"),
    ],
)
@pytest.mark.suite_has(2)
async def test_the_books_refuse_what_does_not_balance(life: Installation, lines: str, why: str) -> None:
    assert why in await _refused(life, _TRANSACTION.format(lines=lines))


async def test_the_books_refuse_an_entry_without_lines_and_one_with_a_line_too_many(life: Installation) -> None:
    empty = """
        INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)
        VALUES (gen_random_uuid(), 'k', 'd', now(), 'acme-friends', 'r1')
    """
    assert "has no postings" in await _refused(life, empty)
    further = (
        "INSERT INTO posting (transaction_id, account, amount_minor, currency) SELECT id, 'loss:a', 1, 'USD' FROM {of}"
    )
    assert "does not balance" in await _refused(life, further.format(of="ledger_transaction LIMIT 1"))


async def test_the_books_take_what_balances_in_each_of_its_currencies(life: Installation) -> None:
    lines = "('loss:a', 1, 'USD'), ('credit:b', -1, 'USD'), ('loss:a', 2, 'EUR'), ('credit:b', -2, 'EUR')"
    await sql(life, _TRANSACTION.format(lines=lines))
    held = (
        "SELECT currency, CAST(sum(amount_minor) AS bigint) AS total FROM posting WHERE account = 'loss:a' GROUP BY 1"
    )
    assert sorted(map(tuple, await sql(life, held))) == [("EUR", 2), ("USD", 1)]


async def test_the_books_of_a_lived_referral_say_what_the_register_does_and_pass_bean_check(
    life: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "books.beancount"
    async with life.database.transaction() as connection:
        assert [each async for each in checking.problems(connection)] == []
        file.write_text("".join([part async for part in beancount.export(connection)]))
    for account, amount_minor in books("r1").items():
        asserted = f"balance {beancount.name(account)}  {from_minor(amount_minor, 'USD')} ~ 0 USD"
        assert asserted in file.read_text()
    check = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "beancount.scripts.check", "--no-cache", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await check.communicate()
    assert (check.returncode, said.decode()) == (0, "")
