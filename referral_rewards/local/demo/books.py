"""Checks the register itself: the books balance, every leg is paid once, and the chain of decisions is intact."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain import money
from referral_rewards.domain.payouts.rail_catalogue import ACCOUNT_CREDIT
from referral_rewards.domain.payouts.states import OWED, PayoutState
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing


async def problems(connection: AsyncConnection, keys: KeyRing) -> list[str]:
    """Return the problems found, one sentence each; empty if there are none."""
    wrong = await decisions.chain_problems(connection, keys)
    wrong += [f"ledger transaction {row.key} does not balance" for row in await connection.execute(_UNBALANCED)]
    for row in await connection.execute(_CREDITS, {"own": ACCOUNT_CREDIT.name}):
        wrong.append(
            f"{row.beneficiary} has {row.credits} credits of {row.credited_minor} in all under referral {row.referral},"
            f" and {row.legs} paid legs of {row.paid_minor}"
        )
    for row in await connection.execute(_TOTALS):
        left_minor = row.credit_minor + row.cleared_minor
        if row.expense_minor != row.paid_minor + row.due_minor or left_minor != row.paid_minor:
            wrong.append(
                f"{row.currency}: expense {row.expense_minor}, paid legs {row.paid_minor}, legs that are due"
                f" {row.due_minor}, credited {row.credit_minor}, settled with providers {row.cleared_minor}"
            )
        if row.payable_minor != row.due_minor:
            wrong.append(f"{row.currency}: still payable {row.payable_minor}, legs that are due {row.due_minor}")
    return wrong


async def summary(connection: AsyncConnection) -> str:
    """Return one line about what was paid and decided."""
    count = (await connection.execute(_COUNTS)).one()
    totals = (await connection.execute(_TOTALS)).all()
    paid = ", ".join(f"{money.from_minor(int(row.paid_minor), row.currency)} {row.currency}" for row in totals)
    return f"{count.legs} legs paid once each, {paid}; {count.decisions} decisions in a chain that verifies"


_UNBALANCED: Final = text("""
SELECT t.key FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id
GROUP BY t.key HAVING sum(p.amount_minor) <> 0 OR count(DISTINCT p.currency) > 1 ORDER BY t.key
""")

# Two independent records: a leg is paid if its payout is settled; a credit, if the account-credit rail posted it.
_PAID: Final = """
paid AS (
    SELECT l.referral_id, l.beneficiary, l.rail, l.currency, l.amount_minor
    FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live JOIN payout p ON p.id = pl.payout_id
    WHERE p.state = :settled
)
"""

_CREDITS: Final = statement(
    f"""
WITH {_PAID}, legs AS (
    SELECT referral_id, beneficiary, currency, count(*) AS legs, sum(amount_minor) AS paid_minor
    FROM paid WHERE rail = :own GROUP BY 1, 2, 3
), credits AS (
    SELECT t.referral_id, substr(p.account, 8) AS beneficiary, p.currency, count(*) AS credits,
           -sum(p.amount_minor) AS credited_minor
    FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id
    WHERE p.account LIKE 'credit:%' GROUP BY 1, 2, 3
)
SELECT referral_id AS referral, beneficiary, coalesce(legs, 0) AS legs, coalesce(paid_minor, 0) AS paid_minor,
       coalesce(credits, 0) AS credits, coalesce(credited_minor, 0) AS credited_minor
FROM legs FULL JOIN credits USING (referral_id, beneficiary, currency)
WHERE (legs, paid_minor) IS DISTINCT FROM (credits, credited_minor) ORDER BY 1, 2
""",  # noqa: S608 (both parts are ours)
    settled=PayoutState.SETTLED,
)

_TOTALS: Final = statement(
    f"""
WITH {_PAID}, books AS (
    SELECT currency, split_part(account, ':', 1) AS kind, sum(amount_minor) AS total FROM posting GROUP BY 1, 2
), legs AS (
    SELECT currency, sum(amount_minor) AS paid_minor FROM paid GROUP BY 1
), due AS (
    SELECT currency, sum(amount_minor) AS due_minor FROM leg WHERE state = ANY(:owed) GROUP BY 1
)
SELECT currency, coalesce(paid_minor, 0) AS paid_minor, coalesce(due_minor, 0) AS due_minor,
       coalesce(max(total) FILTER (WHERE kind = 'expense'), 0) AS expense_minor,
       -coalesce(max(total) FILTER (WHERE kind = 'credit'), 0) AS credit_minor,
       -coalesce(max(total) FILTER (WHERE kind = 'payable'), 0) AS payable_minor,
       -coalesce(max(total) FILTER (WHERE kind = 'clearing'), 0) AS cleared_minor
FROM books FULL JOIN legs USING (currency) LEFT JOIN due USING (currency)
GROUP BY currency, paid_minor, due_minor ORDER BY currency
""",  # noqa: S608 (both parts are ours)
    settled=PayoutState.SETTLED,
    owed=OWED,
)

_COUNTS: Final = statement(
    """
SELECT (SELECT count(*) FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live
        JOIN payout p ON p.id = pl.payout_id WHERE p.state = :settled) AS legs,
       (SELECT count(*) FROM decision) AS decisions
""",
    settled=PayoutState.SETTLED,
)
