"""The instructions for the bank that were exported and that nobody has reported on yet."""

from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.payees.in_clear import InClear
from referral_rewards.domain.payouts import bank_file, rail_catalogue
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.reporting.shape import Instant, Shape, as_text, csv_row


class Instruction(Shape):
    """One payment for people to make, and to name ``key`` in as its purpose.

    It was first exported at ``exported_at`` by ``exported_by``; exported again it is the same payment.
    """

    key: str
    payout: UUID
    referral: str | None
    program: str
    payee: str
    destination: str | None
    amount_minor: int
    currency: str
    exported_at: Instant
    exported_by: str


async def instructions(connection: AsyncConnection, after: str | None, limit: int) -> list[Instruction]:
    """Return a page of the instructions that wait for the bank, in the order of their keys.

    One that a fact stopped since, or that somebody reported on, is not among them.
    """
    rows = await connection.execute(_PAGE, {"after": after, "limit": limit})
    return [Instruction.model_validate(row) for row in rows]


# What is shown is what was verified: a row that names something else than its payout is left to the payout's poll.
_PAGE: Final = statement(
    """
SELECT i.key, p.id AS payout, p.referral_id AS referral, i.program, i.payee, i.destination, i.amount_minor, i.currency,
       i.written_at AS exported_at, i.exported_by
FROM payout p JOIN payment_instruction i ON i.key = p.provider_key AND i.payout_id = p.id
WHERE p.state = :accepted AND (CAST(:after AS text) IS NULL OR i.key > :after)
  AND (i.payee, i.amount_minor, i.currency) = (p.payee, p.amount_minor, p.currency)
  AND i.destination IS NOT DISTINCT FROM p.body->>'destination'
ORDER BY i.key LIMIT :limit
""",
    accepted=PayoutState.ACCEPTED,
)


class Line(Instruction):
    """An instruction as the bank needs it: ``destination`` in clear, and the ``name`` of whoever is paid.

    ``missing`` says why there is nothing to pay to; then the line is not for the bank.
    """

    name: str | None
    missing: str | None


def line(instruction: Instruction, its: InClear | None) -> Line:
    """Return an instruction in clear; ``its`` is the payee, None if nothing was told of them."""
    shown = instruction.model_dump(exclude={"destination"})
    known = its.known_as(rail_catalogue.MANUAL.name, instruction.destination or "") if its is not None else None
    if its is None or known is None or known.in_clear is None:
        missing = _ERASED if known is not None and known.erased else _NOT_TOLD
        return Line(**shown, destination=None, name=None, missing=missing)
    return Line(**shown, destination=known.in_clear, name=its.holder_of(known), missing=None)


def as_csv(lines: Iterable[Line]) -> Iterator[str]:
    """Yield the file for the bank, a line of text each. What has nothing to pay to is not in it."""
    yield csv_row(*bank_file.COLUMNS)
    for each in lines:
        if each.destination is not None:
            whom = (each.key, str(each.payout), each.payee, each.destination)
            at = each.exported_at.isoformat().replace("+00:00", "Z")
            line = bank_file.cells(*whom, each.amount_minor, each.currency, at, at, each.name)
            yield csv_row(*map(as_text, line))


_ERASED: Final = "its destination was erased"
_NOT_TOLD: Final = "its payee has told no such destination"
