"""Look at payees in clear. There is no other way to read it: each look is recorded in the transaction that reads."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.domain.payees.in_clear import InClear, LookReason, Told, in_clear
from referral_rewards.register import audit
from referral_rewards.register.referrals.rows import TELLER, fact_of

#: The act of a look in the audit log; its subject is the payee.
LOOKED: Final = "payee.seen"


async def look(
    connection: AsyncConnection, payees: Collection[str], *, by: str, why: LookReason, at: datetime
) -> Mapping[str, InClear]:
    """Return each payee of whom something was told in clear, and record that this person looked at each of them.

    The caller has checked that they may, and answers after the commit. So nothing is shown that is not on record.
    """
    told: dict[str, list[Told]] = defaultdict(list)
    for row in await connection.execute(_TOLD, {"payees": sorted(set(payees))}):
        body = personal.body_of(connection, row.id, row.sealed)
        told[row.payee].append(Told(fact_of(row), body))
    await audit.note_each(connection, actor=by, act=LOOKED, subjects=sorted(told), at=at, because=why)
    return {payee: in_clear(payee, its, at) for payee, its in told.items()}


#: What tells a payee's destinations, and who they are: as a referrer, as a referee, and as a customer.
_TOLD: Final = text(f"""
WITH asked AS MATERIALIZED (
    SELECT unnest(CAST(:payees AS text[])) AS payee
), its AS MATERIALIZED (
    SELECT a.payee, fk.fact_id FROM asked a JOIN fact_key fk ON fk.key = 'payee:' || a.payee
    UNION
    SELECT a.payee, fk.fact_id FROM asked a CROSS JOIN (SELECT DISTINCT program FROM program_version) AS p
    JOIN fact_key fk ON fk.key = 'referrer:' || p.program || '/' || a.payee
    UNION
    SELECT a.payee, fk.fact_id FROM asked a JOIN fact_key fk ON fk.key = 'customer:' || a.payee
    UNION
    SELECT a.payee, rf.fact_id FROM asked a JOIN referral_key rk ON rk.key = 'payee:' || a.payee
    JOIN referral_fact rf ON rf.referral_id = rk.referral_id
)
SELECT its.payee, f.*, true AS batch_finished, {TELLER}, p.sealed
FROM its JOIN fact f ON f.id = its.fact_id JOIN personal_data p ON p.subject_id = f.id
WHERE f.type = 'payee.method_set' AND f.data->>'payee' = its.payee
   OR f.type = 'payee.method_removed' AND f.data->>'payee' = its.payee
   OR f.type = 'referrer.enrolled' AND f.data->>'referrer' = its.payee
   OR f.type IN ('referral.sent', 'referral.claimed') AND f.data->'referee'->>'customer' = its.payee
   OR f.type = 'conversion.recorded' AND f.data->'customer'->>'customer' = its.payee
""")  # noqa: S608 (words of ours alone)
