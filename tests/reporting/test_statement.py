"""A payee's statement, held to the books over random histories."""

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime, time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from referral_rewards.domain.books.accounts import AccountKind, parts
from referral_rewards.domain.books.ledger import Entry
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.measures.measures import Days
from referral_rewards.domain.money import to_minor
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.payees import statement as reporting
from referral_rewards.reporting.payees.statement import statement, written
from tests.reporting.test_books import books, days, events

NOW = datetime(2026, 2, 1, tzinfo=UTC)
_KINDS = (AccountKind.PAYABLE, AccountKind.RECOVERABLE)


def balance(posted: list[tuple[Entry, str, datetime]], payee: str, before: date | None) -> Counter[str]:
    """What the payee's accounts come to before a day, by currency, straight from the entries; an entry counts once."""
    found: Counter[str] = Counter()
    for entry, at in {entry.key: (entry, at) for entry, _, at in reversed(posted)}.values():
        for line in entry.lines:
            kind, owner = parts(line.account)
            if kind in _KINDS and owner == payee and (before is None or at < datetime.combine(before, time(), UTC)):
                found[entry.currency] -= line.amount_minor
    return found


def payees_of(posted: list[tuple[Entry, str, datetime]]) -> list[str]:
    owners = {parts(line.account) for entry, *_ in posted for line in entry.lines}
    return sorted(owner for kind, owner in owners if kind in _KINDS)


@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posted=events(), since=st.none() | days, until=st.none() | days)
async def test_opening_balance_and_events_come_to_the_ledger_s_balance(
    database_url: str, posted: list[tuple[Entry, str, datetime]], since: date | None, until: date | None
) -> None:
    span = Days(since, until) if since is None or until is None or since < until else Days(until, None)
    asked = Asked(span)
    async with books(database_url, posted) as connection:
        for payee in payees_of(posted):
            found = await statement(connection, payee, asked, NOW)
            opening = balance(posted, payee, span.start) if span.start else Counter[str]()
            closing = balance(posted, payee, span.end)
            for its in found.currencies:
                running = its.opening.balance_minor
                assert running == opening[its.currency]
                for event in its.events:
                    running += event.owed_minor - event.owing_minor
                    assert event.balance_minor == running
                    assert span.start is None or event.at.date() >= span.start
                    assert span.end is None or event.at.date() < span.end
                assert running == its.closing.balance_minor == closing[its.currency]
            assert {currency for currency, minor in closing.items() if minor} <= {
                each.currency for each in found.currencies
            }


@settings(derandomize=True, max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posted=events())
async def test_the_file_says_the_same_however_long_it_is(
    database_url: str, posted: list[tuple[Entry, str, datetime]]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reporting, "_PAGE", 1)
        async with books(database_url, posted) as connection:
            for payee in payees_of(posted):
                shown = await statement(connection, payee, Asked(), NOW)
                file = "".join([part async for part in written(connection, payee, Asked())])
                rows = list(csv.DictReader(io.StringIO(file)))
                moved = [row for row in rows if not row["event"].endswith("_balance")]
                assert len(moved) == sum(len(each.events) for each in shown.currencies)
                closing = {row["currency"]: row["balance"] for row in rows if row["event"] == "closing_balance"}
                for its in shown.currencies:
                    assert to_minor(closing[its.currency], its.currency) == its.closing.balance_minor


async def test_a_payee_that_nobody_heard_of_has_no_statement(database_url: str) -> None:
    async with books(database_url, []) as connection:
        with pytest.raises(NotFound, match="payee"):
            await statement(connection, "nobody", Asked(), NOW)
