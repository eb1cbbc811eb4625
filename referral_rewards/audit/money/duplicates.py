"""No reward is paid twice: per referral and role, per order and role in its program, and per receipt of a payee."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money.streaming import rows


@dataclass(frozen=True, slots=True)
class _Twice:
    """What was paid more than once, in words, the rewards or payments that did, and one of the referrals."""

    what: str
    those: list[str]
    referral: str | None
    role: str | None


async def findings(connection: AsyncConnection, program: str) -> AsyncGenerator[Finding]:
    """Yield each reward of a program that was paid twice. What was taken back in full may be paid anew."""
    for noun, statement in _TWICE.items():
        async with rows(connection, statement, {"program": program}) as found:
            async for row in found:
                yield _finding(noun, _Twice(row.what, list(row.those), row.referral, row.role))


def _finding(noun: str, found: _Twice) -> Finding:
    return Finding(
        part=Part.DUPLICATES,
        what=f"{found.what} was paid {len(found.those)} times; right would be once",
        where=", ".join(f"{noun} {each}" for each in found.those),
        referral=found.referral,
        role=found.role,
    )


#: Rewards whose payment settled by its history and which were not recovered in full: none of their states is believed.
_PAID: Final = """
WITH paid AS (
    SELECT l.id, l.referral_id, l.role, l.program, l.order_key, l.stores, pl.payout_id
    FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id AND pl.live JOIN payout p ON p.id = pl.payout_id
    CROSS JOIN LATERAL (
        SELECT s.state FROM payout_step s WHERE s.payout_id = p.id AND s.act IN ('planned', 'moved')
        ORDER BY s.id DESC LIMIT 1
    ) AS last
    WHERE l.program = :program AND last.state = 'settled' AND l.amount_minor > coalesce(
        (SELECT sum(b.recovered_minor) FROM clawback b WHERE b.leg_id = l.id), 0)
)
"""

_TWICE: Final = {
    "leg": text(f"""{_PAID}
SELECT 'the ' || role || '''s reward of referral ' || referral_id AS what, array_agg(CAST(id AS text) ORDER BY id)
       AS those, referral_id AS referral, role
FROM paid GROUP BY referral_id, role HAVING count(*) > 1
UNION ALL
SELECT 'the ' || one.role || '''s reward for order ' || one.order_key, ARRAY[CAST(one.id AS text),
       CAST(other.id AS text)], one.referral_id, one.role
FROM paid one JOIN paid other ON other.order_key = one.order_key AND other.role = one.role AND other.id > one.id
     AND other.referral_id <> one.referral_id
     AND (one.stores = '{{}}' OR other.stores = '{{}}' OR one.stores && other.stores)
UNION ALL
SELECT 'the reward ' || leg_id, array_agg(CAST(payout_id AS text) ORDER BY payout_id), NULL, NULL
FROM payout_leg WHERE live AND leg_id IN (SELECT id FROM paid) GROUP BY leg_id HAVING count(*) > 1
"""),  # noqa: S608 (a constant of ours)
    "payout": text(f"""{_PAID}
SELECT 'what ' || p.rail || ' calls ' || p.provider_reference || ' for payee ' || p.payee AS what,
       array_agg(CAST(p.id AS text) ORDER BY p.id) AS those, min(p.referral_id) AS referral, NULL AS role
FROM payout p WHERE p.provider_reference IS NOT NULL
  AND p.id IN (SELECT payout_id FROM paid)
GROUP BY p.rail, p.payee, p.provider_reference HAVING count(*) > 1
UNION ALL
SELECT 'the credit that entry ' || t.key || ' books', array_agg(CAST(t.id AS text)), NULL, NULL
FROM ledger_transaction t WHERE t.program = :program GROUP BY t.key HAVING count(*) > 1
"""),  # noqa: S608 (a constant of ours)
}
