"""Export the books for Beancount (https://beancount.github.io/docs/beancount_language_syntax.html).

The text is streamed, so that memory use does not grow with the books. It ends with a balance assertion for every
account and currency, so that Beancount checks the totals when it loads the file.
"""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.books.accounts import CHART, parts
from referral_rewards.domain.money import exponent, from_minor
from referral_rewards.reporting.books import balances as trial
from referral_rewards.reporting.books import journal
from referral_rewards.reporting.books.journal import Posted, Recorded, Span

#: Characters of an owner that need no escape. Z begins an escape; X is put before a character that may not come first.
_PLAIN: Final = re.compile(r"[a-zA-Y0-9-]", re.ASCII)
_FIRST: Final = re.compile(r"[A-WYZ0-9]", re.ASCII)
_BEGINNING_OF_TIME: Final = date(1970, 1, 1)
_DAY: Final = timedelta(days=1)


async def export(connection: AsyncConnection, span: Span = Span()) -> AsyncIterator[str]:
    """Yield the books of a period: opening balances, transactions, and closing balances.

    ``connection`` must read one snapshot (`see_one_moment`); else entries posted meanwhile make the balances wrong.
    """
    used = await journal.currencies(connection, span.ends_before)
    yield 'option "title" "Referral rewards"\n'
    for currency in used:
        yield f'option "operating_currency" "{currency}"\n'
    yield "".join(f"\n{_BEGINNING_OF_TIME} commodity {each}\n  precision: {exponent(each)}\n" for each in used)
    async for opened in journal.accounts(connection, span.ends_before):
        since = max(opened.since, span.since or opened.since)
        yield f"\n{since} open {name(opened.name)} {','.join(opened.currencies)}\n"
        yield _metadata({"account": opened.name})
    if span.since is not None:
        async for line in _brought_forward(connection, span):
            yield line
    async for each in journal.transactions(connection, span):
        yield _transaction(each)
    async for line in _assertions(connection, span):
        yield line


def name(account: str) -> str:
    """Return an account's unique name in Beancount; `account_of` reverses it.

    Raises:
        ValueError: if it is not an account of our books.
    """
    kind, owner = parts(account)
    escaped = "".join(
        each if _PLAIN.match(each) else "".join(f"Z{byte:02x}" for byte in each.encode()) for each in owner
    )
    return f"{CHART[kind]}:{escaped if _FIRST.match(escaped) else f'X{escaped}'}"


def account_of(beancount_name: str) -> str:
    """Return our account for a Beancount name."""
    kind = next(kind for kind, place in CHART.items() if beancount_name.startswith(f"{place}:"))
    escaped = beancount_name.removeprefix(f"{CHART[kind]}:").removeprefix("X")
    owner = re.sub(r"(?:Z[0-9a-f]{2})+", lambda run: bytes.fromhex(run[0].replace("Z", "")).decode(), escaped)
    return f"{kind}:{owner}"


async def _brought_forward(connection: AsyncConnection, span: Span) -> AsyncIterator[str]:
    """Yield the opening balances as one transaction; it balances, because the books always do."""
    nothing = True
    async for each in trial.balances(connection, trial.Wanted(before=span.begins_at)):
        if nothing:
            yield f'\n{span.since} * "Brought forward"\n'
        nothing = False
        yield _line(Posted(each.account, each.debit_minor - each.credit_minor, each.currency))


async def _assertions(connection: AsyncConnection, span: Span) -> AsyncIterator[str]:
    last = span.until or await journal.last_day(connection)
    if last is None:
        return
    # Beancount checks a balance at the beginning of its day. ``~ 0`` turns off its tolerance in the last decimal place.
    day = min(max(last, span.since or last), date.max - _DAY) + _DAY
    yield "\n"
    async for each in trial.balances(connection, trial.Wanted(before=span.ends_before, settled=True)):
        amount = _amount(each.debit_minor - each.credit_minor, each.currency)
        yield f"{day} balance {name(each.account)}  {amount} ~ 0 {each.currency}\n"


def _transaction(made: Recorded) -> str:
    said = {"key": made.key, "transaction": str(made.id), "program": made.program, "referral": made.referral}
    at = made.posted_at.astimezone(UTC)
    head = f"\n{at.date()} * {_quoted(made.description)}\n"
    return head + _metadata({**said, "posted": at.isoformat()}) + "".join(map(_line, made.lines))


def _line(line: Posted) -> str:
    return f"  {name(line.account)}  {_amount(line.amount_minor, line.currency)} {line.currency}\n"


def _metadata(said: Mapping[str, str | None]) -> str:
    return "".join(f"  {key}: {_quoted(value)}\n" for key, value in said.items() if value is not None)


def _amount(amount_minor: int, currency: str) -> str:
    return f"{from_minor(amount_minor, currency):f}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
