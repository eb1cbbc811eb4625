"""The marks of erased persons go when their retention is over: what was linked stays linked, and nothing new meets."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from activities.inquiries import Inquiries
from activities.referrals import Referrals
from referral_rewards.audit.accuracy import Accuracy, accuracy, examined
from referral_rewards.audit.evidence import Span
from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.money.walk import Audited, walked
from referral_rewards.domain.persons.retention import Retention, Stays
from referral_rewards.register.decisions import chain
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.persons import retaining
from referral_rewards.sources.http import RegisterSource
from tests.audit.paid import ACME, lived
from tests.audit.test_money import found
from tests.desk import PEPPER, Desk, days_ago, desk_after, event, life_of
from tests.persons.test_persons import asked, rows
from tests.snapshots import Snapshots

RETENTION: Final = Retention(paid_days=400, unpaid_days=100)
#: Whoever took part in what was lived, on either side.
EVERYBODY: Final = ({"referrer": "dexter"}, *({"customer": f"c-r{number}"} for number in (1, 2, 3, 4)))
_KEYED: Final = "~ ':[0-9a-f]{32}$'"


@pytest.fixture
async def paid(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, lived) as opened:
        yield opened


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


async def retain(desk: Desk, at: datetime) -> Sequence[retaining.Looked]:
    """One round of the worker's, as of an instant."""
    looked = []
    while (each := await desk.database.worker.write(retaining.go_on, RETENTION, at, at)) is not None:
        looked.append(each)
    return looked


async def watched_out(desk: Desk, at: datetime) -> None:
    """The watch of all paid referrals ends."""
    worker = desk.database.worker
    judging = Referrals(worker, desk.parts.keys, Inquiries(worker, Intake(PEPPER), {"register": RegisterSource()}))
    for row in await rows(desk, "SELECT id FROM referral WHERE closed_at IS NULL"):
        await judging.judge(row.id, at)
    assert await rows(desk, "SELECT id FROM referral WHERE closed_at IS NULL") == []


async def keyed_marks(desk: Desk) -> int:
    """How many keyed marks stand anywhere in facts, keys and erasings."""
    (row,) = await rows(
        desk,
        f"""
SELECT (SELECT count(*) FROM fact, unnest(marks) AS m WHERE m !~ '^customer:' AND m {_KEYED})
     + (SELECT count(*) FROM fact_key WHERE key {_KEYED}) + (SELECT count(*) FROM referral_key WHERE key {_KEYED})
     + (SELECT count(*) FROM person_erasure, unnest(names) AS n WHERE n {_KEYED}) AS n
""",
    )
    return int(row.n)


async def right(desk: Desk) -> Accuracy:
    """The accuracy of everything that was paid; the audit and the chain find nothing."""
    assert await found(desk) == []
    async with desk.database.reading() as connection:
        assert await chain.chain_problems(connection, desk.parts.keys) == []
        means = Means(desk.parts.keys.keys, desk.parts.intake.marker)
        return accuracy([each async for each in examined(connection, Span(ACME), means)])


async def test_marks_go_after_the_retention_and_all_that_was_paid_still_verifies(paid: Desk) -> None:
    before = await right(paid)
    for by in EVERYBODY:
        assert (await asked(paid, "erase", **by)).json()["erased_at"] is not None
    assert {each.facts for each in await retain(paid, in_days(1))} == {0}, "a paid referral is watched"
    await watched_out(paid, over := in_days(200))
    assert {each.marks.of for each in await retain(paid, over + timedelta(days=399))} != {None}
    assert await keyed_marks(paid) > 0
    done = await retain(paid, over + timedelta(days=401))
    assert len(done) == len(EVERYBODY)
    assert await keyed_marks(paid) == 0
    assert await retain(paid, over + timedelta(days=402)) == [], "each goes once"
    after = await right(paid)
    assert (after.paid, after.accurate, after.failing) == (before.paid, before.paid, ())
    assert (before.marks_removed, after.marks_removed) == (0, after.paid)
    report = (await paid.get(f"/v1/reports/program/{ACME}", "fiona")).json()["referral_reward_eligibility_accuracy"]
    assert (report["marks_removed"], report["accurate"]) == (after.paid, after.paid)
    # Who comes again is somebody new: neither a duplicate nor the referrer themself.
    who = {"customer": "c-new", "email": "dexter@example.com"}
    sent, claimed, bought = life_of("r9")
    sent["data"]["referee"] = claimed["data"]["referee"] = bought["data"]["customer"] = who
    await paid.tell([sent, claimed, bought])
    assert await paid.judge("r9") == "awaiting_approval"
    (entry,) = await rows(paid, "SELECT flags FROM queue_entry WHERE referral_id = 'r9'")
    assert not {"self_referral", "duplicate_claim"} & set(entry.flags)
    # An old referral is reopened without its marks, and what was paid stands.
    legs = "SELECT id, state, amount_minor FROM leg WHERE referral_id = 'r2' ORDER BY id"
    stood = await rows(paid, legs)
    reopened = await paid.decide("r2", "reopen", "paula")
    assert reopened.status_code < 300, reopened.text
    await paid.judge("r2")
    assert await rows(paid, legs) == stood


async def test_only_marks_of_the_erased_go_and_only_by_the_worker(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "deny", reason="evidence_insufficient")
    await desk.judge("r1")
    # Nobody erased the text: the row that says so can not even be written.
    changes = (
        "UPDATE fact SET marks = '{}' WHERE marks <> '{}'",
        "UPDATE fact SET data = '{}'",
        "DELETE FROM fact",
        "UPDATE fact_key SET key = 'email:erased-' || repeat('0', 32) WHERE key LIKE 'email:%'",
        "UPDATE fact_key SET key = 'order:other' WHERE key LIKE 'order:%'",
        "DELETE FROM fact_key",
    )
    for change in changes:
        with pytest.raises(DBAPIError, match="append-only"):
            await rows(desk, f"{change} RETURNING 1")
    await asked(desk, "erase", customer="c-r1")
    for change in (*changes, "DELETE FROM erased_mark", "UPDATE erased_mark SET seal = ''"):
        with pytest.raises(DBAPIError, match="append-only"):
            await rows(desk, f"{change} RETURNING 1")
    with pytest.raises(DBAPIError, match="ck_erased_mark_days"):
        await rows(desk, "UPDATE erased_mark SET removed_at = now(), paid_days = 1, unpaid_days = 1 RETURNING 1")
    assert {each.facts > 0 for each in await retain(desk, in_days(101))} == {True}
    for change in (*changes, "UPDATE erased_mark SET removed_at = now()"):
        with pytest.raises(DBAPIError, match="append-only"):
            await rows(desk, f"{change} RETURNING 1")
    async with desk.parts.database.transaction() as connection:
        with pytest.raises(DBAPIError, match="permission denied"):
            await connection.execute(text("UPDATE fact SET marks = marks"))


async def test_who_was_told_of_again_keeps_their_marks_until_they_are_erased_again(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "deny", reason="evidence_insufficient")
    await desk.judge("r1")
    await asked(desk, "erase", customer="c-r1")
    about = {"person": {"customer": "c-r1", "email": "r1@example.com"}, "scope": "contact"}
    await desk.tell([event("e-again", "consent.granted", days_ago(0), about)])
    (stays,) = await retain(desk, in_days(101))
    assert (stays.facts, stays.marks.stays) == (0, Stays.TOLD_AGAIN)
    await asked(desk, "erase", customer="c-r1")
    assert sorted(each.facts > 0 for each in await retain(desk, in_days(102))) == [False, True]
    assert await keyed_marks_of(desk, "c-r1") == 0


async def test_a_mark_that_links_two_people_goes_from_the_facts_of_both_at_once(desk: Desk) -> None:
    """Else what was linked by it would be linked no more."""
    for name in ("r1", "r2"):
        await desk.referral(name, phone="+1 415 555 0100")
        await desk.decide(name, "deny", reason="evidence_insufficient")
        await desk.judge(name)
    about = {"person": {"email": "r2@example.com"}, "scope": "contact"}
    await desk.tell([event("e-r2", "consent.granted", days_ago(0), about)])
    await asked(desk, "erase", customer="c-r1")
    (stays,) = await retain(desk, in_days(101))
    assert stays.marks.stays is Stays.TOLD_AGAIN, "the other's address stands in a fact that is not erased"
    await asked(desk, "erase", email="r2@example.com")
    await retain(desk, in_days(102))
    left = "SELECT DISTINCT m FROM fact, unnest(marks) AS m WHERE m LIKE 'phone:erased-%'"
    assert len(await rows(desk, left)) == 1, "what is left of it is the same in all facts"
    assert await rows(desk, f"SELECT 1 FROM referral_key WHERE key {_KEYED}") == []


async def keyed_marks_of(desk: Desk, customer: str) -> int:
    """How many keyed marks stand in the facts of a customer."""
    its = "SELECT m FROM fact, unnest(marks) AS m WHERE :name = ANY(marks) AND m !~ '^customer:' AND m "
    return len(await rows(desk, its + _KEYED, name=f"customer:{customer}"))


#: Whoever has the database changes something of an erased fact, triggers or not; and what the audit says of it.
_TAMPERED: Final = {
    "marks without a row": (
        "UPDATE fact SET marks = (SELECT array_agg(CASE WHEN m LIKE 'email:%' THEN 'email:erased-' || repeat('0', 32)"
        " ELSE m END) FROM unnest(marks) AS m) WHERE data->>'referral' = 'r2'",
        "not those that stood when its person was erased",
    ),
    "marks and seal": (
        "UPDATE fact SET marks = '{email:erased-00000000000000000000000000000000}' WHERE data->>'referral' = 'r2';"
        "UPDATE erased_mark SET seal = '00:' || encode(sha256(decode('00', 'hex')"
        " || 'email:erased-00000000000000000000000000000000' || E'\\n'), 'hex')",
        "its marks are gone, and nothing on record says when and why",
    ),
    "a row of a removal too early": (
        "UPDATE erased_mark SET removed_at = now(), paid_days = 400, unpaid_days = 400",
        "the retention was 400 days",
    ),
    "no row at all": ("DELETE FROM erased_mark", "no erasing of it is on record"),
    "a key": (
        "UPDATE fact_key SET key = 'email:' || repeat('0', 32) WHERE key LIKE 'email:%'",
        "it is filed under marks that it does not have",
    ),
}


async def test_marks_that_somebody_else_removes_are_found(paid: Desk) -> None:
    for by in EVERYBODY:
        await asked(paid, "erase", **by)
    assert await found(paid) == []
    for name, (change, said) in _TAMPERED.items():
        told = await found_after(paid, change)
        assert any(said in each for each in told), (name, told)


class _RolledBack(Exception):
    """Ends a transaction of which nothing is to stay."""


async def found_after(desk: Desk, change: str) -> list[str]:
    """What the audit finds after a change by whoever is stronger than the triggers; the change is taken back."""
    told: list[str] = []
    with suppress(_RolledBack):
        async with desk.database.transaction() as connection:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
            for each in change.split(";"):
                await connection.execute(text(each))
            means = Means(desk.parts.keys.keys, desk.parts.intake.marker)
            async for step in walked(connection, Scope(ACME), means):
                its = step.findings if isinstance(step, Audited) else (step,)
                told += [finding.what for finding in its]
            raise _RolledBack
    return told
