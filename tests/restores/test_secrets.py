"""A process whose pepper or keys are not the register's does not start, and says so in one line for each setting."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import pytest

from models.session import Database
from referral_rewards.api.dependencies import Parts, check_secrets
from referral_rewards.api.metrics import Metrics
from referral_rewards.domain.errors import BadInput
from referral_rewards.personal import PersonalKeys
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.restores import secrets
from referral_rewards.register.restores.secrets import problems
from tests.installation import PEPPER
from tests.roles import API, WORKER, Register
from tests.snapshots import administer

OURS: Final = Signer.generate()
NEXT: Final = Signer.generate()
OTHER_PEPPER: Final = b"the pepper of somewhere else"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database.at(database_url)
    yield database
    await database.close()


def parts(database: Database, pepper: bytes = PEPPER, signer: Signer = OURS, *listed: dict[str, str]) -> Parts:
    """What an API is given; it trusts its own key and those ``listed`` beside it."""
    keys = KeyRing.of([signer.public_entry(), *listed])
    return Parts(database, Intake(pepper), keys, signer, Metrics())


def entry(signer: Signer, status: str) -> dict[str, str]:
    return {**signer.public_entry(), "status": status}


async def test_the_first_process_gives_the_register_its_secrets_and_the_same_ones_are_taken_again(
    database: Database,
) -> None:
    for _ in range(2):
        await check_secrets(parts(database))


async def test_another_pepper_is_refused(database: Database) -> None:
    await check_secrets(parts(database))
    with pytest.raises(BadInput, match="REFERRALS_PEPPER: is not this register's"):
        await check_secrets(parts(database, OTHER_PEPPER))
    await check_secrets(parts(database))


async def test_verify_keys_of_another_register_are_refused(database: Database) -> None:
    await check_secrets(parts(database))
    with pytest.raises(BadInput, match=f"REFERRALS_VERIFY_KEYS: does not list the key {OURS.key_id}"):
        await check_secrets(parts(database, PEPPER, NEXT))


async def test_both_are_named_at_once(database: Database) -> None:
    await check_secrets(parts(database))
    with pytest.raises(BadInput) as refused:
        await check_secrets(parts(database, OTHER_PEPPER, NEXT))
    assert [each.where for each in refused.value.problems] == ["REFERRALS_PEPPER", "REFERRALS_VERIFY_KEYS"]


@pytest.mark.parametrize("status", ["retired", "revoked", "active"])
async def test_a_key_is_changed_beside_the_earlier_one(database: Database, status: str) -> None:
    """Even one that was stolen and revoked: its decisions must still be told from forged ones."""
    await check_secrets(parts(database))
    await check_secrets(parts(database, PEPPER, NEXT, entry(OURS, status)))
    # From now on the new one must be listed.
    with pytest.raises(BadInput, match=NEXT.key_id):
        await check_secrets(parts(database))


async def test_a_worker_needs_the_key_that_signs_and_adds_none(database: Database) -> None:
    fingerprint, now = "f", datetime.now(UTC)
    async with database.transaction() as connection:
        assert await problems(connection, fingerprint, {NEXT.key_id}, None, now) == []
        assert await problems(connection, fingerprint, {OURS.key_id}, OURS.key_id, now) == []
        (refused,) = await problems(connection, fingerprint, {NEXT.key_id}, None, now)
        assert refused.where == "REFERRALS_VERIFY_KEYS"


async def test_the_fingerprint_tells_nothing_of_the_pepper(database: Database) -> None:
    assert PEPPER.hex() not in Intake(PEPPER).key_for("the fingerprint of the pepper").hex()


async def test_what_may_not_be_looked_at_lets_no_process_start(postgres_url: str, database: Database) -> None:
    """Where nothing can be compared, nothing is served."""
    await administer(postgres_url, "CREATE ROLE without_grants LOGIN PASSWORD 'of-a-test'")
    ungranted = Register(database._engine).opened_as("without_grants")
    try:
        with pytest.raises(BadInput, match=r"REFERRALS_DATABASE_URL: its role lacks a right \(permission denied"):
            await check_secrets(parts(ungranted, OTHER_PEPPER))
    finally:
        await ungranted.close()
        await administer(postgres_url, "DROP ROLE without_grants")


@pytest.mark.parametrize("role", [API, WORKER])
async def test_another_pepper_is_refused_to_the_role_of_a_process(database_url: str, role: str) -> None:
    register = Register.at(database_url)
    try:
        await check_secrets(parts(register))
        with pytest.raises(BadInput, match="REFERRALS_PEPPER: is not this register's"):
            await check_secrets(parts(register.opened_as(role), OTHER_PEPPER))
        with pytest.raises(BadInput, match=f"does not list the key {OURS.key_id}"):
            await check_secrets(parts(register.opened_as(role), PEPPER, NEXT))
        await check_secrets(parts(register.opened_as(role)))
    finally:
        await register.close()


async def test_a_database_without_our_schema_has_nothing_to_compare_with(postgres_url: str) -> None:
    database = Database.at(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        await check_secrets(parts(database))
    finally:
        await database.close()


async def test_a_process_without_the_key_of_personal_data_does_not_start(database_url: str) -> None:
    """Each key that sealed something here is needed; a new one is known once something started that seals with it."""
    old, new = b"o" * 32, b"n" * 32
    fingerprint, listed = "f" * 8, ["key"]

    async def start(*keys: bytes) -> None:
        opened = Database.at(database_url, personal=PersonalKeys(keys))
        try:
            await secrets.check(opened, fingerprint, listed, None, datetime.now(UTC))
        finally:
            await opened.close()

    await start(old)
    lacking = PersonalKeys([old]).newest.hex()
    with pytest.raises(BadInput, match=f"REFERRALS_PERSONAL_KEYS: lacks the key {lacking}"):
        await start(new)
    await start(old, new)
    await start(new, old)
    with pytest.raises(BadInput, match="REFERRALS_PERSONAL_KEYS"):
        await start(old)
