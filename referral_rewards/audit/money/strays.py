"""Rows that nothing on record explains: postings, steps, recoveries and decisions that belong to nothing.

Each is one statement that PostgreSQL answers by keys. Only what is found is read.
"""

from collections.abc import AsyncGenerator
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money.streaming import rows


async def findings(connection: AsyncConnection, program: str) -> AsyncGenerator[Finding]:
    """Yield what stands in the program's books and no reward explains, and rows whose owner is not on record."""
    for part, statement in _STRAYS:
        async with rows(connection, statement, {"program": program}) as found:
            async for row in found:
                yield Finding(part=part, what=row.what, where=row.place)


_UUID: Final = "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"
#: The parts of a key: its kind, the id of what it is about, the generation of a payment's key, and how often.
_KEYED: Final = f"""
SELECT t.key, t.id, split_part(t.key, ':', 1) AS kind,
       CASE WHEN left(split_part(t.key, ':', 2), 36) ~ {_UUID}
            THEN CAST(left(split_part(t.key, ':', 2), 36) AS uuid) END AS about,
       CASE WHEN substr(split_part(t.key, ':', 2), 37) ~ '^-[0-9]+$'
            THEN CAST(substr(split_part(t.key, ':', 2), 38) AS int) ELSE 1 END AS generation,
       CASE WHEN split_part(t.key, ':', 3) ~ '^[0-9]+$' THEN CAST(split_part(t.key, ':', 3) AS int) ELSE 1 END AS time
FROM ledger_transaction t WHERE t.program = :program
"""  # noqa: S608 (words of ours alone)

_UNEXPLAINED: Final = f"""
SELECT 'the books have an entry that no reward explains' AS what, 'ledger_transaction ' || k.key AS place
FROM ({_KEYED}) AS k
WHERE NOT coalesce(CASE
    WHEN k.kind IN ('accrued', 'released') THEN EXISTS (SELECT 1 FROM leg l WHERE l.id = k.about)
    WHEN k.kind IN ('settled', 'returned') THEN (
        SELECT count(*) >= k.time FROM payout_step s WHERE s.payout_id = k.about AND s.generation = k.generation
          AND s.act IN ('planned', 'moved') AND s.state = k.kind)
        AND EXISTS (SELECT 1 FROM payout p WHERE p.id = k.about)
    WHEN k.kind IN ('claimed_back', 'claim_moved', 'claim_dropped', 'recovered', 'written_off')
        THEN EXISTS (SELECT 1 FROM clawback b WHERE b.id = k.about)
    WHEN k.kind IN ('owed_again', 'owed_no_more')
        THEN EXISTS (SELECT 1 FROM payout p WHERE p.id = k.about AND p.returns IS NOT NULL)
    WHEN k.kind = 'credited' THEN EXISTS (SELECT 1 FROM payout_step s WHERE s.payout_id = k.about
                                          AND s.generation = k.generation)
    WHEN k.kind = 'uncredited' THEN EXISTS (SELECT 1 FROM clawback b WHERE b.id = k.about)
END, false)
ORDER BY k.key
"""  # noqa: S608 (words of ours alone)

_NO_ENTRY: Final = """
SELECT 'a posting of ' || p.account || ' belongs to no entry of the books' AS what, 'posting ' || p.id AS place
FROM posting p WHERE NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.id = p.transaction_id) ORDER BY p.id
"""

_UNBALANCED: Final = """
SELECT 'the entry does not balance in ' || coalesce(p.currency, 'any currency') AS what,
       'ledger_transaction ' || t.key AS place
FROM ledger_transaction t LEFT JOIN posting p ON p.transaction_id = t.id WHERE t.program = :program
GROUP BY t.key, p.currency HAVING coalesce(sum(p.amount_minor), 1) <> 0 ORDER BY t.key
"""

#: What each payee is owed by the rewards that are approved and not paid, against what the books say.
_PAYABLE: Final = """
WITH owed AS (
    SELECT payee, currency, sum(amount_minor) AS amount_minor FROM (
        SELECT beneficiary AS payee, currency, amount_minor FROM leg
        WHERE state IN ('reserved', 'tax_hold', 'waiting_method')
        UNION ALL
        SELECT payee, currency, amount_minor FROM payout
        WHERE returns IS NOT NULL AND NOT dropped AND state <> 'settled'
    ) AS each GROUP BY 1, 2
), posted AS (
    SELECT substr(account, 9) AS payee, currency, -sum(amount_minor) AS amount_minor FROM posting
    WHERE account LIKE 'payable:%' GROUP BY 1, 2
)
SELECT 'the books owe ' || coalesce(posted.amount_minor, 0) || ' minor units of ' || currency
       || '; rewards that are not paid come to ' || coalesce(owed.amount_minor, 0) AS what,
       'account payable:' || payee AS place
FROM owed FULL JOIN posted USING (payee, currency)
WHERE coalesce(owed.amount_minor, 0) <> coalesce(posted.amount_minor, 0) ORDER BY 2
"""

#: What each payee owes by clawbacks that are neither recovered nor over.
_RECOVERABLE: Final = """
WITH owed AS (
    SELECT payee, currency, sum(amount_minor - recovered_minor - released_minor) AS amount_minor FROM clawback
    WHERE state IN ('approved', 'reversing', 'unknown', 'manual_review', 'offsetting') GROUP BY 1, 2
), posted AS (
    SELECT substr(account, 13) AS payee, currency, sum(amount_minor) AS amount_minor FROM posting
    WHERE account LIKE 'recoverable:%' GROUP BY 1, 2
)
SELECT 'the books claim ' || coalesce(posted.amount_minor, 0) || ' minor units of ' || currency
       || '; clawbacks that are not over come to ' || coalesce(owed.amount_minor, 0) AS what,
       'account recoverable:' || payee AS place
FROM owed FULL JOIN posted USING (payee, currency)
WHERE coalesce(owed.amount_minor, 0) <> coalesce(posted.amount_minor, 0) ORDER BY 2
"""

_OWNERLESS: Final = """
SELECT 'a step of a payout that is not on record' AS what, 'payout_step ' || s.id AS place
FROM payout_step s WHERE NOT EXISTS (SELECT 1 FROM payout p WHERE p.id = s.payout_id)
UNION ALL
SELECT 'a link of a payout to a reward, of which one is not on record',
       'payout_leg ' || pl.payout_id || ' ' || pl.leg_id
FROM payout_leg pl WHERE NOT EXISTS (SELECT 1 FROM payout p WHERE p.id = pl.payout_id)
    OR NOT EXISTS (SELECT 1 FROM leg l WHERE l.id = pl.leg_id)
UNION ALL
SELECT 'a deduction of a payout that is not on record', 'payout_deduction ' || d.payout_id || ' ' || d.source
FROM payout_deduction d WHERE NOT EXISTS (SELECT 1 FROM payout p WHERE p.id = d.payout_id)
UNION ALL
SELECT 'an instruction to pay what is not on record', 'payment_instruction ' || i.key
FROM payment_instruction i WHERE NOT EXISTS (SELECT 1 FROM payout p WHERE p.id = i.payout_id)
UNION ALL
SELECT 'a reward that counts as paid and no payment pays', 'leg ' || l.id
FROM leg l WHERE l.program = :program AND l.state IN ('paid', 'clawed_back')
    AND NOT EXISTS (SELECT 1 FROM payout_leg pl WHERE pl.leg_id = l.id AND pl.live)
"""

_OWNERLESS_REFUNDS: Final = """
SELECT 'a clawback of a reward, payment or case that is not on record' AS what, 'clawback ' || b.id AS place
FROM clawback b WHERE NOT EXISTS (SELECT 1 FROM leg l WHERE l.id = b.leg_id)
    OR NOT EXISTS (SELECT 1 FROM payout p WHERE p.id = b.payout_id)
    OR NOT EXISTS (SELECT 1 FROM clawback_case c WHERE c.id = b.case_id)
UNION ALL
SELECT 'a clawback case of a reward that is not on record', 'clawback_case ' || c.id
FROM clawback_case c WHERE NOT EXISTS (SELECT 1 FROM leg l WHERE l.id = c.leg_id)
UNION ALL
SELECT 'an offset of a clawback that is not on record', 'payout_deduction ' || d.payout_id || ' ' || d.source
FROM payout_deduction d WHERE d.kind = 'offset' AND d.live
    AND NOT EXISTS (SELECT 1 FROM clawback b WHERE CAST(b.id AS text) = d.source)
UNION ALL
SELECT 'a payment that sends back what no case took', 'payout ' || p.id
FROM payout p WHERE p.returns IS NOT NULL AND NOT EXISTS (SELECT 1 FROM clawback_case c WHERE c.id = p.returns)
"""

#: What was decided and what became of it are recorded in one transaction: a decision alone has lost something.
_UNDONE: Final = """
SELECT 'a signed decision takes a reward back, and no clawback of it is on record' AS what,
       'decision ' || d.seq AS place
FROM decision d WHERE d.kind IN ('reverse_clawback', 'offset_clawback', 'write_off_clawback')
    AND NOT EXISTS (SELECT 1 FROM clawback b WHERE b.decision_id = d.id)
UNION ALL
SELECT 'a signed decision returns what was taken back, and no payment of its case is on record', 'decision ' || d.seq
FROM decision d WHERE d.kind = 'return_clawback' AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.returns = d.claim_id)
UNION ALL
SELECT 'a signed decision says what became of a payment that is not on record', 'decision ' || d.seq
FROM decision d WHERE d.kind IN ('retry_payout', 'settle_payout', 'refuse_payout', 'cancel_payout', 'confirm_payout')
    AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.id = d.claim_id)
ORDER BY 2
"""

_STRAYS: Final = (
    (Part.LEDGER, text(_UNEXPLAINED)),
    (Part.LEDGER, text(_NO_ENTRY)),
    (Part.LEDGER, text(_UNBALANCED)),
    (Part.LEDGER, text(_PAYABLE)),
    (Part.LEDGER, text(_RECOVERABLE)),
    (Part.PAYMENT_STATUS, text(_OWNERLESS)),
    (Part.REFUND_STATUS, text(_OWNERLESS_REFUNDS)),
    (Part.DECISION_CHAIN, text(_UNDONE)),
)
