"""Parts are killed at the worst moments. Whatever dies, nothing is lost and nobody is paid twice."""

from collections.abc import AsyncIterator
from itertools import count
from signal import SIGQUIT

import pytest

from referral_rewards.register.decisions import chain as decisions
from tests.chaos.cluster import Cluster, cluster, until
from tests.workflows.scenes import books, days_ago, lived_until_review

pytestmark = [pytest.mark.timeout(600)]


#: The referral of the present test: all of them share one cluster, as long as its servers take to start.
_names = (f"r{number}" for number in count(1))


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path_factory.mktemp("chaos")) as running:
        yield running


@pytest.fixture
async def whole(servers: Cluster) -> AsyncIterator[Cluster]:
    """The cluster with a referral of this test's own, and no worker yet."""
    servers.referral = next(_names)
    yield servers
    await servers.rest()


async def _stands(whole: Cluster, *statuses: str) -> None:
    """Waits until the referral stands at one of these, judged on all its facts and told all it should be."""

    async def there() -> bool:
        row = await whole.life.row(whole.referral)
        told = await whole.ask("SELECT 1 FROM outbox")
        return row is not None and row.status in statuses and row.judged_version == row.facts_version and not told

    await until(there)


async def _paid_once(whole: Cluster) -> None:
    """Both legs are paid, by one credit each, and the record of decisions is whole."""
    await _stands(whole, "rewarded")
    assert dict(await whole.ask(_BOOKS)) == books(whole.referral)
    assert await whole.ask(_CREDITS) == [(2,)]
    assert await whole.ask("SELECT state, count(*) FROM payout WHERE referral_id = :r GROUP BY 1") == [("settled", 2)]
    async with whole.life.database.transaction() as connection:
        assert await decisions.chain_problems(connection, whole.life.keys) == []


_BOOKS = """
SELECT account, CAST(sum(amount_minor) AS bigint) FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id
WHERE referral_id = :r GROUP BY account HAVING sum(amount_minor) <> 0
"""
_CREDITS = "SELECT count(*) FROM ledger_transaction WHERE referral_id = :r AND key LIKE 'credited:%'"
_SENT = "SELECT 1 FROM payout WHERE referral_id = :r AND first_sent_at IS NOT NULL"
_ITS_ROW = "SELECT 1 FROM referral WHERE id = :r FOR UPDATE"


async def _approved(whole: Cluster) -> None:
    """A referral that was approved while no worker for payouts ran."""
    worker = await whole.work("referrals")
    await lived_until_review(whole.life, whole.referral)
    await _stands(whole, "awaiting_approval")
    await whole.life.decide(whole.referral)
    await _stands(whole, "approved")
    await whole.crash(worker)


@pytest.mark.chaos
async def test_what_is_on_record_while_nothing_runs_is_carried_on_by_the_next_worker(whole: Cluster) -> None:
    await lived_until_review(whole.life, whole.referral)
    worker = await whole.work()
    await _stands(whole, "awaiting_approval")
    await whole.crash(worker)
    await whole.life.decide(whole.referral)
    await whole.work()
    await _paid_once(whole)


@pytest.mark.chaos
async def test_a_worker_killed_between_its_intent_to_pay_and_the_payment_pays_once(whole: Cluster) -> None:
    await _approved(whole)
    # Nobody can post to the books: the rail waits, with the intent on record.
    async with whole.held("LOCK TABLE ledger_transaction IN SHARE MODE"):
        worker = await whole.work()
        await until(lambda: whole.ask(_SENT))
        await until(whole.waits_for_a_lock)
        await whole.crash(worker)
    assert await whole.ask(_CREDITS) == [(0,)]
    await whole.work()
    await _paid_once(whole)


async def test_a_worker_killed_between_the_payment_and_its_note_pays_once(whole: Cluster) -> None:
    await _approved(whole)
    async with whole.held("LOCK TABLE ledger_transaction IN SHARE MODE") as books_closed:
        worker = await whole.work()
        await until(lambda: whole.ask(_SENT))
        # From here on the payment can be made, and can't be noted.
        async with whole.held(_ITS_ROW):
            await books_closed.rollback()
            await until(lambda: whole.ask(f"{_CREDITS} HAVING count(*) > 0"))
            await whole.crash(worker)
    assert await whole.ask("SELECT 1 FROM payout WHERE referral_id = :r AND state = 'settled'") == []
    await whole.work()
    await _paid_once(whole)


async def _sent_and_never_claimed(whole: Cluster) -> dict[str, str]:
    """Records an invitation that has run out; whom it went to."""
    referee = {"email": f"{whole.referral}@example.com"}
    about = {"referral": whole.referral, "referrer": "dexter", "program": "acme-friends", "channel": "email"}
    await whole.life.record("referral.sent", days_ago(60), about | {"referee": referee})
    return referee


@pytest.mark.chaos
async def test_a_worker_killed_while_it_closes_a_referral_leaves_it_to_the_next(whole: Cluster) -> None:
    await _sent_and_never_claimed(whole)
    async with whole.held(_ITS_ROW):
        worker = await whole.work()
        await until(whole.waits_for_a_lock)
        await whole.crash(worker)
    assert (await whole.life.row(whole.referral)).status is None
    await whole.work()
    await _stands(whole, "expired")
    assert (await whole.life.row(whole.referral)).reason == "invitation_not_claimed"


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("first", "reason", "late_facts"),
    [("the closing", "invitation_not_claimed", 1), ("the fact", "no_conversion", 0)],
)
async def test_a_fact_that_meets_a_closing_is_judged_or_counted_late(
    whole: Cluster, first: str, reason: str, late_facts: int
) -> None:
    """A timely claim arrives while the referral is being closed for want of one."""
    referee = await _sent_and_never_claimed(whole)
    claim = ("referral.claimed", days_ago(50), {"referral": whole.referral, "referee": referee, "consent": True})
    if first == "the fact":
        # Taken in but not committed yet, while the worker already asks for the row.
        async with whole.life.database.transaction() as intake:
            await whole.life.intake.record(intake, [whole.life.event(*claim)], received_at=claim[1])
            await whole.work()
            await until(whole.waits_for_a_lock)
    else:
        await whole.work()
        await _stands(whole, "expired")
        await whole.life.record(*claim)
    await _stands(whole, "expired")
    row = await whole.life.row(whole.referral)
    assert (row.reason, row.late_facts) == (reason, late_facts)


@pytest.mark.chaos
async def test_temporal_crashed_and_away_loses_nothing_that_is_told_meanwhile(whole: Cluster) -> None:
    await whole.work()
    await lived_until_review(whole.life, whole.referral)
    await _stands(whole, "awaiting_approval")
    await whole.crash(whole.temporal)
    await whole.life.decide(whole.referral)
    assert await whole.ask("SELECT kind FROM outbox") == [("decision",)]
    await whole.start_temporal()
    await _paid_once(whole)


@pytest.mark.chaos
async def test_postgres_crashed_under_a_payment_pays_once(whole: Cluster) -> None:
    await _approved(whole)
    await whole.work()
    await until(lambda: whole.ask(_SENT))
    await whole.crash(whole.postgres, SIGQUIT)
    await whole.start_postgres()
    await _paid_once(whole)
