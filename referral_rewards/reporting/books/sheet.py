"""The books as a sheet: one line a posting, in CSV."""

from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.money import from_minor
from referral_rewards.reporting.books import journal
from referral_rewards.reporting.books.journal import Posted, Recorded
from referral_rewards.reporting.books.span import Span
from referral_rewards.reporting.csv_lines import as_text, row
from referral_rewards.reporting.plain_values import instant

COLUMNS: Final = (
    *("posted_at", "transaction", "key", "description", "program", "referral"),
    *("account", "currency", "debit", "credit", "amount_minor"),
)


async def export(connection: AsyncConnection, span: Span = Span()) -> AsyncIterator[str]:
    """The postings of a span, oldest first: amounts in major units, and in minor ones with their sign."""
    yield row(*COLUMNS)
    async for made in journal.transactions(connection, span):
        yield "".join(_posting(made, line) for line in made.lines)


def _posting(made: Recorded, line: Posted) -> str:
    debit, credit = max(line.amount_minor, 0), max(-line.amount_minor, 0)
    return row(
        instant(made.posted_at) or "",
        str(made.id),
        *map(as_text, (made.key, made.description, made.program, made.referral or "", line.account)),
        line.currency,
        f"{from_minor(debit, line.currency):f}" if debit else "",
        f"{from_minor(credit, line.currency):f}" if credit else "",
        str(line.amount_minor),
    )
