"""Liabilities at any past date are the balances of the ledger's accounts as of then, recomputed from the entries."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.books import ledger
from referral_rewards.domain.books.ledger import Entry
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.register import programs
from referral_rewards.register.books.ledger import post
from referral_rewards.reporting.books import liabilities
from referral_rewards.reporting.books.liabilities import Liabilities, OwedTo, Wanted
from tests.desk import PROGRAM
from tests.reporting.test_books import events

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
#: What we owe, and what is owed to us.
KINDS = ("payable", "credit", "withholding", "recoverable")
Posted = tuple[Entry, str, datetime]
Sums = Counter[tuple[str, str]]


@asynccontextmanager
async def books(database_url: str, posted: Sequence[Posted]) -> AsyncIterator[AsyncConnection]:
    """Books of exactly these entries, every second one of another program, which are gone with the block."""
    database = Database.at(database_url)
    try:
        async with database.transaction() as connection:
            for name in ("acme-friends", "other"):
                terms = PROGRAM.replace("program: acme-friends", f"program: {name}")
                await programs.publish(connection, terms, by="tester", at=NOW)
            for number, (entry, referral, at) in enumerate(posted):
                await post(connection, entry, program=_program(number), referral=referral, at=at)
            await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            yield connection
            await connection.rollback()
    finally:
        await database.close()


def _program(number: int) -> str:
    return ("acme-friends", "other")[number % 2]


def recomputed(posted: Sequence[Posted], before: datetime | None, program: str | None) -> Sums:
    """What is owed by account and currency, from the entries alone."""
    sums: Sums = Counter()
    for number, (entry, _, at) in enumerate(posted):
        if (before is None or at < before) and program in (None, _program(number)):
            for line in entry.lines:
                sums[line.account, entry.currency] -= line.amount_minor
    return Counter({key: owed for key, owed in sums.items() if owed and key[0].partition(":")[0] in KINDS})


async def told(connection: AsyncConnection, wanted: Wanted, page: int) -> tuple[Sums, Liabilities]:
    """The accounts of all pages, and the last page."""
    found: list[OwedTo] = []
    after: str | None = ""
    while after is not None:
        report = await liabilities.report(connection, wanted, NOW, after=after, limit=page)
        found += report.accounts
        after = report.next
    sums: Sums = Counter()
    for each in found:
        sums[f"{each.kind}:{each.owner}", each.currency] += each.owed_minor
    assert len(sums) == len(found)
    return sums, report


@settings(derandomize=True, max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posted=events())
async def test_on_each_day_of_a_history_the_liabilities_are_the_accounts_of_the_ledger(
    database_url: str, posted: list[Posted]
) -> None:
    """Also of one program; and their sum is what the ledger has, less what is of other programs."""
    ends = [datetime.combine(date(2025, 12, 30) + timedelta(days=each), time(), UTC) for each in range(6)]
    async with books(database_url, posted) as connection:
        for before in (*ends, None):
            ledgers = Counter[tuple[str, str]]()
            for (account, currency), owed in recomputed(posted, before, None).items():
                ledgers[account.partition(":")[0], currency] += owed
            for program in (None, "acme-friends", "other"):
                sums, report = await told(connection, Wanted(before, program), page=3)
                assert sums == recomputed(posted, before, program)
                listed: Sums = Counter()
                for (account, currency), owed in sums.items():
                    listed[account.partition(":")[0], currency] += owed
                assert {(each.kind, each.currency): each.owed_minor for each in report.totals if each.owed_minor} == {
                    key: owed for key, owed in listed.items() if owed
                }
                assert {
                    (each.kind, each.currency): each.ledger_minor for each in report.totals if each.ledger_minor
                } == {key: owed for key, owed in ledgers.items() if owed}
                assert [each.difference_minor for each in report.totals] == [0] * len(report.totals)


AT = datetime(2026, 6, 30, 12, tzinfo=UTC)
PAID: Sequence[Posted] = (
    (ledger.accrued("l1", "acme-friends", "c-brie", 2500, "USD"), "r1", AT),
    (ledger.accrued("l2", "other", "=dexter", 800, "JPY"), "r2", AT),
    (ledger.settled("po1", "tremendous", "c-brie", 2500, "USD"), "r1", AT + timedelta(days=1)),
    (ledger.claimed_back("cb1", "other", "c-brie", 700, "USD"), "r1", AT + timedelta(days=1)),
)


async def test_what_is_owed_to_us_is_below_zero(database_url: str) -> None:
    async with books(database_url, PAID) as connection:
        before = await liabilities.report(connection, Wanted(AT + timedelta(hours=1)), NOW)
        now = await liabilities.report(connection, Wanted(), NOW)
    assert [(each.kind, each.owner, each.currency, each.owed_minor) for each in before.accounts] == [
        ("payable", "=dexter", "JPY", 800),
        ("payable", "c-brie", "USD", 2500),
    ]
    assert before.as_of == AT + timedelta(hours=1)
    assert [(each.kind, each.owner, each.currency, each.owed_minor) for each in now.accounts] == [
        ("payable", "=dexter", "JPY", 800),
        ("recoverable", "c-brie", "USD", -700),
    ]
    assert [(each.kind, each.currency, each.owed_minor) for each in now.totals] == [
        ("payable", "JPY", 800),
        ("payable", "USD", 0),
        ("recoverable", "USD", -700),
    ]


async def test_a_sheet_says_the_same_and_holds_no_formula(database_url: str) -> None:
    async with books(database_url, PAID) as connection:
        wanted = Wanted(AT + timedelta(hours=1), "other")
        assert [line async for line in liabilities.as_csv(connection, wanted, NOW)] == [
            "as_of,program,kind,owner,currency,owed,owed_minor\n",
            "2026-06-30T13:00:00Z,other,payable,'=dexter,JPY,800,800\n",
        ]


async def test_a_program_that_there_is_not_is_refused(database_url: str) -> None:
    async with books(database_url, PAID) as connection:
        with pytest.raises(RequestInvalid, match="others"):
            await liabilities.report(connection, Wanted(None, "others"), NOW)
