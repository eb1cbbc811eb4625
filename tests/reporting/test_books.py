"""The trial balance and what the books are exported as: read by Beancount, they are the same books."""

import csv
import io
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from beancount.core.data import Balance, Open, Transaction
from beancount.loader import load_string
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.books import ledger
from referral_rewards.domain.books.accounts import AccountKind, account
from referral_rewards.domain.books.ledger import Deduction, DeductionKind, Entry
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.money import to_minor
from referral_rewards.register.books.ledger import post
from referral_rewards.reporting.books import beancount, journal
from referral_rewards.reporting.books.balances import Wanted, balances, totals, totals_by_kind
from referral_rewards.reporting.books.journal import Span

#: Currencies with no, two and three decimals; Beancount has to be told how many.
CURRENCIES = ("USD", "JPY", "KWD", "UGX", "MGA")
#: Ids that people may choose: whatever holds neither space nor control character.
owners = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
#: Below what a decimal string may say in a currency without a smaller unit.
amounts = st.integers(min_value=1, max_value=10**15 - 1)
days = st.dates(min_value=date(2025, 12, 30), max_value=date(2026, 1, 3))

Sums = dict[tuple[str, str], int]


@st.composite
def events(draw: st.DrawFn) -> list[tuple[Entry, str, datetime]]:
    """What happened to a few rewards, whole or in part, in no order of time: entry, referral, instant."""
    posted = []
    for number in range(draw(st.integers(min_value=1, max_value=5))):
        program, payee, currency = draw(owners), draw(owners), draw(st.sampled_from(CURRENCIES))
        gross, rail = draw(amounts), draw(st.sampled_from(["tremendous", "account_credit"]))
        kept = draw(st.lists(st.integers(min_value=1, max_value=gross), max_size=2))
        deductions = []
        for each, amount in zip((DeductionKind.OFFSET, DeductionKind.WITHHOLDING), kept, strict=False):
            left = gross - sum(deduction.amount_minor for deduction in deductions)
            deductions += [Deduction(each, draw(owners), min(amount, left))] if left else []
        sent = gross - sum(deduction.amount_minor for deduction in deductions)
        name = f"po{number}"
        life = [
            ledger.accrued(name, program, payee, gross, currency),
            ledger.settled(name, rail, payee, sent, currency, deductions=deductions),
            ledger.credited(f"{name}-1", payee, gross, currency),
            ledger.claimed_back(name, program, payee, gross, currency),
            ledger.recovered(name, rail, payee, max(gross // 2, 1), currency),
            ledger.written_off(name, program, payee, gross - gross // 2, currency),
            ledger.returned(name, rail, payee, sent, currency, deductions=deductions),
        ]
        referral = draw(owners)
        for entry in life[: draw(st.integers(min_value=1, max_value=len(life)))]:
            at = datetime.combine(draw(days), datetime.min.time(), UTC) + timedelta(
                microseconds=draw(st.integers(min_value=0, max_value=86_400_000_000 - 1))
            )
            posted.append((entry, referral, at))
    return posted


@asynccontextmanager
async def books(database_url: str, posted: Iterable[tuple[Entry, str, datetime]]) -> AsyncIterator[AsyncConnection]:
    """Books of exactly these entries, which are gone with the block: what is posted can't be deleted."""
    database = Database.at(database_url)
    try:
        async with database.transaction() as connection:
            for entry, referral, at in posted:
                await post(connection, entry, program="acme-friends", referral=referral, at=at)
            await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            yield connection
            await connection.rollback()
    finally:
        await database.close()


async def ours(connection: AsyncConnection, before: datetime | None = None) -> Sums:
    """The trial balance as sums by account and currency, once both columns were found to come to the same."""
    for total in await totals(connection, before):
        assert total.debit_minor == total.credit_minor, total
    found = [each async for each in balances(connection, Wanted(before=before, settled=True))]
    return {(each.account, each.currency): each.debit_minor - each.credit_minor for each in found}


def read(exported: str) -> tuple[Sums, list[Transaction]]:
    """What Beancount makes of an export that it finds nothing wrong with: sums by account, and the transactions."""
    entries, errors, _ = load_string(exported)
    assert errors == []
    names = {entry.account: entry.meta["account"] for entry in entries if isinstance(entry, Open)}
    assert len(set(names.values())) == len(names)
    assert {beancount.account_of(name) for name in names} == set(names.values())
    transactions = [entry for entry in entries if isinstance(entry, Transaction)]
    sums: Counter[tuple[str, str]] = Counter()
    for line in (line for each in transactions for line in each.postings):
        sums[names[line.account], line.units.currency] += to_minor(line.units.number, line.units.currency)
    asserted = {(names[each.account], each.amount.currency) for each in entries if isinstance(each, Balance)}
    assert asserted >= set(sums)
    return dict(sums), transactions


@settings(derandomize=True, max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posted=events(), since=st.none() | days, length=st.none() | st.integers(min_value=0, max_value=3))
async def test_beancount_reads_our_books_as_they_are(
    database_url: str, posted: list[tuple[Entry, str, datetime]], since: date | None, length: int | None
) -> None:
    """Whatever the ids, the currencies and the span: no error, the same sums, and each transaction once."""
    until = None if length is None else (since or date(2025, 12, 31)) + timedelta(days=length)
    span = Span(since, until)
    async with books(database_url, posted) as connection:
        sums, transactions = read("".join([part async for part in beancount.export(connection, span)]))
        assert {name: amount for name, amount in sums.items() if amount} == {
            name: amount for name, amount in (await ours(connection, span.ends_before)).items() if amount
        }
    within = {
        entry.key
        for entry, _, at in posted
        if (since is None or at.date() >= since) and (until is None or at.date() <= until)
    }
    assert sorted(each.meta["key"] for each in transactions if "key" in each.meta) == sorted(within)


@settings(derandomize=True, max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posted=events())
async def test_a_sheet_holds_every_posting_once(database_url: str, posted: list[tuple[Entry, str, datetime]]) -> None:
    async with books(database_url, posted) as connection:
        rows = list(csv.DictReader(io.StringIO("".join([part async for part in journal.export(connection)]))))
    sums: Counter[tuple[str, str, str, int]] = Counter()
    for row in rows:
        minor = to_minor(row["debit"] or "0", row["currency"]) - to_minor(row["credit"] or "0", row["currency"])
        assert minor == int(row["amount_minor"])
        assert bool(row["debit"]) is not bool(row["credit"])
        assert not row["referral"].startswith(("=", "+", "-", "@"))
        sums[row["key"], row["account"], row["currency"], minor] += 1
    assert sums == Counter(
        (entry.key, line.account, entry.currency, line.amount_minor) for entry, _, _ in posted for line in entry.lines
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("payable:c-brie", "Liabilities:Payable:Xc-brie"),
        ("expense:acme_friends", "Expenses:Rewards:XacmeZ5ffriends"),
        ("payable:Zoe", "Liabilities:Payable:Z5aoe"),
        ("payable:Xavier", "Liabilities:Payable:XXavier"),
        ("payable:xavier", "Liabilities:Payable:Xxavier"),
        ("payable:Z5aoe", "Liabilities:Payable:Z5a5aoe"),
        ("credit:-", "Liabilities:Credit:X-"),
        ("payable:a:b", "Liabilities:Payable:XaZ3ab"),
        ("withholding:2026", "Liabilities:Withholding:2026"),
        ("payable:Ω", "Liabilities:Payable:ZceZa9"),
        ("clearing:stripe_transfer", "Assets:Clearing:XstripeZ5ftransfer"),
        ("recoverable:b", "Assets:Recoverable:Xb"),
        ("loss:p", "Expenses:Losses:Xp"),
    ],
)
def test_an_account_has_a_name_in_beancount_that_leads_back_to_it(ours: str, theirs: str) -> None:
    assert beancount.name(ours) == theirs
    assert beancount.account_of(theirs) == ours


@given(st.lists(owners, min_size=2, max_size=2, unique=True), st.sampled_from(AccountKind))
def test_no_two_accounts_share_a_name_in_beancount(pair: Sequence[str], kind: AccountKind) -> None:
    one, other = (beancount.name(account(kind, owner)) for owner in pair)
    assert one != other
    assert [beancount.account_of(each) for each in (one, other)] == [account(kind, owner) for owner in pair]


AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
PAID: Sequence[tuple[Entry, str, datetime]] = (
    (ledger.accrued("l1", "acme-friends", "c-brie", 2500, "USD"), "r1", AT),
    (ledger.settled("po1", "tremendous", "c-brie", 2500, "USD"), "r1", AT + timedelta(days=1)),
    (ledger.accrued("l2", "acme-friends", "c-brie", 800, "JPY"), "=1+1", AT + timedelta(days=2)),
)


async def test_a_unit_of_the_last_place_too_many_is_an_error_to_beancount(database_url: str) -> None:
    """Its own tolerance would let it pass."""
    async with books(database_url, PAID) as connection:
        exported = "".join([part async for part in beancount.export(connection)])
    assert load_string(exported)[1] == []
    assert "balance Expenses:Rewards:Xacme-friends  25.00 ~ 0 USD" in exported
    wrong = exported.replace("acme-friends  25.00 ~", "acme-friends  25.01 ~")
    assert len(load_string(wrong)[1]) == 1


async def test_the_trial_balance_is_that_of_its_moment(database_url: str) -> None:
    async with books(database_url, PAID) as connection:
        assert await ours(connection, AT) == {}
        assert await ours(connection, AT + timedelta(hours=1)) == {
            ("expense:acme-friends", "USD"): 2500,
            ("payable:c-brie", "USD"): -2500,
        }
        found = [each async for each in balances(connection)]
        assert [(each.account, each.currency, each.debit_minor, each.credit_minor) for each in found] == [
            ("clearing:tremendous", "USD", 0, 2500),
            ("expense:acme-friends", "JPY", 800, 0),
            ("expense:acme-friends", "USD", 2500, 0),
            ("payable:c-brie", "JPY", 0, 800),
        ]
        columns = await totals_by_kind(connection)
        assert [(each.kind, each.currency, each.debit_minor, each.credit_minor) for each in columns] == [
            (None, "JPY", 800, 800),
            ("expense", "JPY", 800, 0),
            ("payable", "JPY", 0, 800),
            (None, "USD", 2500, 2500),
            ("clearing", "USD", 0, 2500),
            ("expense", "USD", 2500, 0),
            ("payable", "USD", 0, 0),
        ]


async def test_accounts_are_found_a_page_at_a_time_by_kind_and_beginning(database_url: str) -> None:
    async with books(database_url, PAID) as connection:

        async def names(**wanted: object) -> list[tuple[str, str]]:
            return [(each.account, each.currency) async for each in balances(connection, Wanted(**wanted))]  # type: ignore[arg-type]

        everything = await names(settled=True)
        assert len(everything) == 5
        paged: list[tuple[str, str]] = []
        while found := await names(settled=True, limit=2, after=paged[-1] if paged else None):
            paged += found
        assert paged == everything
        assert await names(kind=AccountKind.PAYABLE) == [("payable:c-brie", "JPY")]
        assert await names(begins="expense:acme", after=("expense:acme-friends", "JPY")) == [
            ("expense:acme-friends", "USD")
        ]
        assert await names(begins="expense:%") == []


async def test_books_without_an_entry_are_exported_too(database_url: str) -> None:
    async with books(database_url, ()) as connection:
        for span in (Span(), Span(date(2026, 1, 1), date(2026, 1, 31))):
            assert read("".join([part async for part in beancount.export(connection, span)])) == ({}, [])
            assert [part async for part in journal.export(connection, span)] == [",".join(journal.COLUMNS) + "\n"]
        assert await totals(connection) == []


def test_a_span_does_not_end_before_it_begins() -> None:
    assert Span.of(date(2026, 1, 1), date(2026, 1, 1)) == Span(date(2026, 1, 1), date(2026, 1, 1))
    with pytest.raises(RequestInvalid, match="is before the start"):
        Span.of(date(2026, 1, 2), date(2026, 1, 1))
    assert Span.of(None, date.max).ends_before is None
