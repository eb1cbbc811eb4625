"""No statement of a judgement, an approval, a payment or the queue reads the register through, however long its past.

A register of forty thousand referrals, of which one referrer brought eight thousand and a carrier's address saw four
thousand, is long enough for PostgreSQL to plan as it does for a million. Nothing here is timed.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench import fresh, waiting
from bench.hearings import PEPPER, Hearings
from bench.past import MAIN, OTHERS, Past, fill
from models.session import engine
from referral_rewards.api import operating
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register import outbox, overdue
from referral_rewards.register.claims import reservations
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.notices import rows as notices
from referral_rewards.register.notices import surveys
from referral_rewards.register.notices.objections import address_of, objection
from referral_rewards.register.notices.rows import Audience, Planned
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import open_case
from referral_rewards.reporting.queue.conditions import Asking
from referral_rewards.reporting.queue.counts import COUNTED_MAX, counts
from referral_rewards.reporting.queue.entries import page
from referral_rewards.reporting.queue.filters import Filters
from referral_rewards.reporting.referrals.communication import communication
from tests.register.plans import Plans

# A plan is of a size: the register is filled for minutes first.
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
PAST: Final = Past(size=40_000, now=NOW, big_every=5, crowd_every=10)
#: As many claims wait for their approvers: more than twice what the counts of all programs may read.
WAITING: Final = 10_000
#: What one referral gives rise to reading; and where it leads to much more, the bound that its statements set
#: themselves (3000 sightings of one address; the newest 500 referrals of a referrer, each with a few facts).
ROWS_MAX: Final = {"small": 400, "rivals": 400, "ring": 400, "big": 3200, "crowd": 3200}


@dataclass(frozen=True)
class Register:
    """A register with a past, and referrals ready to be judged."""

    engine: AsyncEngine
    hearings: Hearings


#: Years of events that a vendor sent and that were read.
_TOLD_BY_A_VENDOR: Final = (
    """INSERT INTO source_event (id, source, event_id, type, received_at)
       SELECT gen_random_uuid(), 'shop', 'evt_' || n, 'order.paid', TIMESTAMPTZ '2025-01-01' + n * interval '1 minute'
       FROM generate_series(1, 20000) AS n""",
    """INSERT INTO source_reading (event, source, outcome, facts, read_at)
       SELECT id, source, 'read', '[]', received_at FROM source_event""",
    "ANALYZE source_event, source_reading",
)


@pytest.fixture(scope="module")
async def register(postgres_url: str, migrated_template: str) -> AsyncIterator[Register]:
    url = f"{postgres_url.rpartition('/')[0]}/plans"
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE plans TEMPLATE {migrated_template}".encode())
    opened = engine(with_driver(url))
    hearings = Hearings(opened, NOW)
    await hearings.prepare()
    await fill(url, PAST, PEPPER)
    async with opened.begin() as connection:
        for statement in (*_TAKEN_BACK, *_TOLD_BY_A_VENDOR):
            await connection.execute(text(statement))
    await hearings.take_in(fresh.all_events(range(3), NOW))
    await hearings.assembled(fresh.name("small", 2))
    await waiting.fill(url, fresh.name("small", 2), WAITING)
    yield Register(opened, hearings)
    await opened.dispose()


@pytest.mark.parametrize("sort", fresh.SORTS)
async def test_what_a_referral_has_read_is_bounded_from_its_facts_to_its_payment(register: Register, sort: str) -> None:
    referral = fresh.name(sort, 1)
    for rival in fresh.beside(sort, 1):
        await register.hearings.assembled(rival)
    with Plans(register.engine, ROWS_MAX[sort], planned_once=True).explained() as plans:
        await register.hearings.assembled(referral)
        await register.hearings.decided(referral)
        await register.hearings.approved(referral)
        await register.hearings.committed(referral)
    assert plans.problems == {}
    assert len(plans.statements) > 30


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"program": "main"},
        {"program": "none-such"},
        {"flag": "fraud_suspected"},
        {"flag": "partner_exception", "sort": "amount_high"},
        {"flag": "none", "program": "side-1", "recommendation": "approve"},
        {"flag": "fraud_suspected", "recommendation": "approve"},
        {"route": "finance", "overdue": True},
        {"exception": "late_fact"},
        {"older_than_days": "3", "sort": "newest"},
        {"mine": True, "sort": "newest"},
        {"amount_min": "400", "sort": "amount_low"},
        {"amount_min": "400", "currency": "USD", "flag": "duplicate_claim"},
        {"overdue": True, "sort": "deadline", "program": "side-0"},
        {"q": "w00000"},
        {"q": "w"},
        {"q": "o-w777"},
        {"q": "whale", "sort": "newest"},
    ],
    ids=str,
)
async def test_a_page_of_the_queue_reads_little_of_what_waits_and_no_past(
    register: Register, asked: dict[str, Any]
) -> None:
    filters, reader = Filters.model_validate(asked), Asking("paula", frozenset({Role.PROGRAM_OWNER}))
    with Plans(register.engine, _STRETCHES).explained() as plans:
        async with register.engine.begin() as connection:
            first = await page(connection, KeyRing.of([]), filters, reader, NOW)
            if first.next is not None:
                after = filters.model_copy(update={"after": first.next})
                second = await page(connection, KeyRing.of([]), after, reader, NOW)
                seen = [each.referral for each in first.entries]
                assert not {each.referral for each in second.entries} & set(seen)
    assert plans.problems == {}


#: What one stretch of the search reads at most, and what it reads to find out whether a filter leaves only a few.
_STRETCHES: Final = 2_100


async def test_counting_what_waits_stops_early(register: Register) -> None:
    with Plans(register.engine, len((MAIN, *OTHERS)) * (COUNTED_MAX + 1)).explained() as plans:
        async with register.engine.begin() as connection:
            assert str((await counts(connection, NOW)).all) == "1,000+"
    assert plans.problems == {}


async def test_a_delivery_reads_what_waits_and_no_past(register: Register) -> None:
    with Plans(register.engine, ROWS_MAX["small"]).explained() as plans:
        async with register.engine.begin() as connection:
            assert await outbox.claim(connection, 10)
    assert plans.problems == {}


async def test_the_sweep_reads_what_is_overdue_and_no_past(register: Register) -> None:
    with Plans(register.engine, ROWS_MAX["small"]).explained() as plans:
        async with register.engine.begin() as connection:
            await overdue.sweep(connection, NOW, limit=10)
    assert plans.problems == {}


class _Undo(Exception):
    """Takes a transaction back."""


async def test_a_missing_index_is_found_out(register: Register) -> None:
    async def without_its_index() -> Any:
        async with register.engine.begin() as connection:
            await connection.execute(text("DROP INDEX ix_leg_referral_id"))
            await reservations.legs_of(connection, fresh.name("small", 0))
            raise _Undo

    with Plans(register.engine, ROWS_MAX["small"]).explained() as plans, pytest.raises(_Undo):
        await without_its_index()
    assert list(plans.problems.values()) == [["scans leg"]]


async def test_telling_reads_what_is_due_and_no_past(register: Register) -> None:
    referral, now = fresh.name("small", 0), datetime.now(UTC)
    async with register.engine.begin() as connection:
        await connection.execute(_TOLD_BEFORE)
        await connection.execute(text("ANALYZE notice"))
    with Plans(register.engine, ROWS_MAX["small"]).explained() as plans:
        async with register.engine.begin() as connection:
            await notices.plan(connection, [_planned(referral, now)], now)
            due = await notices.claim(connection, now, lease=timedelta(minutes=1), limit=20)
            assert {notice.referral_id for notice in due} == {referral}
            assert len(await communication(connection, referral)) == 1
            for audience, recipient in ((Audience.REFERRER, "dexter"), (Audience.REFEREE, "referee")):
                await address_of(connection, audience, recipient, referral=referral, program=MAIN)
            for side in Side:
                case = await open_case(connection, await referrals.row(connection, referral), now, KeyRing({}))
                assert case is not None
                await objection(connection, case, side)
            for notice in due:
                await surveys.needless(connection, notice)
            for statement in (operating._NOTICES, operating._NOTICES_LATE):
                await connection.execute(statement)
    assert plans.problems == {}


def _planned(referral: str, at: datetime) -> Planned:
    return Planned(
        referral=referral,
        program=MAIN,
        template="approval_cancelled",
        audience=Audience.REFEREE,
        recipient="referee",
        occasion="a test",
        due_at=at,
        only_after=None,
    )


#: Many who were paid owed us something, which was kept from their next payouts.
_TAKEN_BACK: Final = (
    "SET LOCAL session_replication_role = replica",  # no guard is asked twenty thousand times
    """
    INSERT INTO clawback (id, case_id, leg_id, payout_id, referral_id, payee, kind, amount_minor, currency,
                          recovered_minor, body, body_hash, generation, provider_key, state, decision_id, created_at,
                          updated_at)
    SELECT gen_random_uuid(), gen_random_uuid(), id, gen_random_uuid(), referral_id, beneficiary, 'offset', 1, 'USD', 1,
           '{}', '', 1, 'past-' || id, 'offset', gen_random_uuid(), now(), now()
    FROM leg WHERE state = 'paid' LIMIT 20000
    """,
    """
    INSERT INTO payout_deduction (payout_id, kind, source, amount_minor, live)
    SELECT payout_id, 'offset', CAST(id AS text), 1, true FROM clawback
    """,
    "ANALYZE clawback",
    "ANALYZE payout_deduction",
)

_TOLD_BEFORE: Final = text("""
INSERT INTO notice (id, referral_id, program, template, audience, recipient, channel, occasion, planned_at, state,
                    attempts, settled_at)
SELECT gen_random_uuid(), 'past-' || n, 'p', 'denied', 'referrer', 'r' || n % 1000, 'email', 'round:1',
       now() - n * interval '10 minutes', 'sent', 1, now() - n * interval '10 minutes'
FROM generate_series(1, 40000) AS n
""")
