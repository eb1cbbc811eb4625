"""Check that the books agree with the register, for each leg, payout and clawback, by account and minor unit.

Both are written in one transaction, so they always agree. If they do not, a row was changed by hand or we have a bug.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.books.accounts import AccountKind
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.clawbacks.states import CLAIMED
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.register import typed_rows
from referral_rewards.register.payouts.endings import GIVEN_UP


async def problems(connection: AsyncConnection) -> AsyncIterator[str]:
    """Yield one sentence for each disagreement. ``connection`` must read one snapshot."""
    async for row in await connection.stream(_UNBALANCED):
        yield f"ledger transaction {row.key} does not balance"
    async for row in await connection.stream(_UNKNOWN_ACCOUNTS, {"kinds": list(AccountKind)}):
        yield f"account {row.account} is of no kind that we know"
    for noun, differences in (("leg", _LEGS), ("return", _RETURNS), ("payout", _PAYOUTS)):
        async for row in await connection.stream(differences):
            difference = _difference(typed_rows.of(_Difference, row))
            yield f"{noun} {row.subject} is {row.state or 'not in the register'}: {difference}"
    async for row in await connection.stream(_SUMS):
        sent, legs, kept = (display(int(each), row.currency) for each in (row.amount_minor, row.legs, row.deductions))
        yield f"payout {row.id} sends {sent}, while its legs come to {legs} less {kept}"
    async for row in await connection.stream(_RECOVERABLE):
        yield f"what {row.payee} owes by the clawbacks: {_difference(typed_rows.of(_Difference, row))}"


@dataclass(frozen=True, slots=True)
class _Difference:
    account: str
    currency: str
    posted: Decimal | None
    expected: Decimal | None


def _difference(row: _Difference) -> str:
    posted, expected = _amount(row.posted, row.currency), _amount(row.expected, row.currency)
    return f"{row.account} has {posted} of it, not {expected}"


def _amount(amount_minor: Decimal | None, currency: str) -> str:
    return display(int(amount_minor or 0), currency)


_UNBALANCED: Final = text("""
SELECT t.key FROM ledger_transaction t LEFT JOIN posting p ON p.transaction_id = t.id
GROUP BY t.id, t.key, p.currency HAVING coalesce(sum(p.amount_minor), 1) <> 0 ORDER BY t.key
""")

_UNKNOWN_ACCOUNTS: Final = text("""
SELECT DISTINCT account FROM posting
WHERE split_part(account, ':', 1) <> ALL(CAST(:kinds AS text[])) OR split_part(account, ':', 2) = '' ORDER BY 1
""")

#: The postings under keys of these kinds, totalled by subject, account and currency; zero totals are left out.
_POSTED: Final = """
posted AS (
    SELECT left(split_part(t.key, ':', 2), 36) AS subject, p.account, p.currency, sum(p.amount_minor) AS amount_minor
    FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id
    WHERE split_part(t.key, ':', 1) = ANY(:entries)
    GROUP BY 1, 2, 3 HAVING sum(p.amount_minor) <> 0
)
"""
_DIFFERENCES: Final = """
SELECT d.subject, s.state, d.account, d.currency, d.posted, d.expected
FROM (
    SELECT subject, account, currency, posted.amount_minor AS posted, expected.amount_minor AS expected
    FROM posted FULL JOIN expected USING (subject, account, currency)
    WHERE posted.amount_minor IS DISTINCT FROM expected.amount_minor
) AS d LEFT JOIN {table} s ON CAST(s.id AS text) = d.subject
ORDER BY 1, 3, 4
"""

_LEGS: Final = statement(
    f"""
WITH {_POSTED}, expected AS (
    SELECT CAST(l.id AS text) AS subject, v.account, l.currency, v.amount_minor
    FROM leg l CROSS JOIN LATERAL (VALUES
        ('expense:' || l.program, CAST(l.amount_minor AS numeric)),
        ('payable:' || l.beneficiary, CAST(-l.amount_minor AS numeric))
    ) AS v(account, amount_minor)
    WHERE l.state <> :cancelled
)
{_DIFFERENCES.format(table="leg")}
""",  # noqa: S608 (all parts are ours)
    entries=("accrued", "released"),
    cancelled=LegState.CANCELLED,
)

_RETURNS: Final = statement(
    f"""
WITH {_POSTED}, expected AS (
    SELECT CAST(p.id AS text) AS subject, v.account, p.currency, v.amount_minor
    FROM payout p CROSS JOIN LATERAL (VALUES
        ('expense:' || (p.body->>'program'), CAST(p.amount_minor AS numeric)),
        ('payable:' || p.payee, CAST(-p.amount_minor AS numeric))
    ) AS v(account, amount_minor)
    WHERE p.returns IS NOT NULL AND NOT p.dropped
)
{_DIFFERENCES.format(table="payout")}
""",  # noqa: S608 (all parts are ours)
    entries=("owed_again", "owed_no_more"),
)

# A payout that came back has posted and reversed the same amounts.
_PAYOUTS: Final = statement(
    f"""
WITH {_POSTED}, kept AS (
    SELECT payout_id, kind, source, amount_minor FROM payout_deduction WHERE live
), lines AS (
    -- What was cancelled and paid after all, and is left to its payee, was owed to nobody.
    SELECT p.id, CASE WHEN {GIVEN_UP} THEN 'loss:' || (p.body->>'program') ELSE 'payable:' || p.payee END AS account,
           p.currency, p.amount_minor
    FROM payout p WHERE p.state = :settled
    UNION ALL
    SELECT p.id, 'payable:' || p.payee, p.currency, k.amount_minor
    FROM payout p JOIN kept k ON k.payout_id = p.id WHERE p.state = :settled
    UNION ALL
    SELECT id, 'clearing:' || rail, currency, -amount_minor FROM payout WHERE state = :settled
    UNION ALL
    SELECT p.id, CASE k.kind WHEN :kept THEN 'recoverable:' || p.payee ELSE 'withholding:' || k.source END,
           p.currency, -k.amount_minor
    FROM payout p JOIN kept k ON k.payout_id = p.id WHERE p.state = :settled
), expected AS (
    SELECT CAST(id AS text) AS subject, account, currency, sum(amount_minor) AS amount_minor
    FROM lines GROUP BY 1, 2, 3 HAVING sum(amount_minor) <> 0
)
{_DIFFERENCES.format(table="payout")}
""",  # noqa: S608 (all parts are ours)
    entries=("settled", "returned"),
    settled=PayoutState.SETTLED,
    kept=DeductionKind.OFFSET,
)

_SUMS: Final = statement(
    f"""
SELECT p.id, p.currency, p.amount_minor, coalesce(l.amount_minor, 0) AS legs, coalesce(d.amount_minor, 0) AS deductions
FROM payout p
LEFT JOIN LATERAL (
    SELECT sum(leg.amount_minor) AS amount_minor FROM payout_leg pl JOIN leg ON leg.id = pl.leg_id
    WHERE pl.payout_id = p.id AND pl.live
) AS l ON true
LEFT JOIN LATERAL (
    SELECT sum(amount_minor) AS amount_minor FROM payout_deduction WHERE payout_id = p.id AND live
) AS d ON true
WHERE p.state = :settled AND p.returns IS NULL AND NOT {GIVEN_UP}
  AND p.amount_minor <> coalesce(l.amount_minor, 0) - coalesce(d.amount_minor, 0)
ORDER BY p.id
""",  # noqa: S608 (a constant of ours)
    settled=PayoutState.SETTLED,
)

# A payee owes what people decided to claw back, less what was recovered, written off, or released to another clawback.
_RECOVERABLE: Final = statement(
    """
WITH posted AS (
    SELECT account, currency, sum(amount_minor) AS amount_minor FROM posting
    WHERE starts_with(account, 'recoverable:') GROUP BY 1, 2 HAVING sum(amount_minor) <> 0
), expected AS (
    SELECT 'recoverable:' || payee AS account, currency, sum(left_minor) AS amount_minor
    FROM clawback
    CROSS JOIN LATERAL (SELECT amount_minor - recovered_minor - released_minor AS left_minor) AS its
    WHERE state = ANY(:claimed)
    GROUP BY 1, 2 HAVING sum(left_minor) <> 0
)
SELECT substr(account, 13) AS payee, account, currency, posted.amount_minor AS posted, expected.amount_minor AS expected
FROM posted FULL JOIN expected USING (account, currency)
WHERE posted.amount_minor IS DISTINCT FROM expected.amount_minor ORDER BY 1, 3
""",
    claimed=CLAIMED,
)
