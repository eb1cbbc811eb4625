"""Read the causes of measurement events in the order in which they were committed.

A page ends before the oldest transaction that is still under way: nothing is ever committed before what was read.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.claims.decision_kinds import DecisionKind
from referral_rewards.domain.errors import RegisterMoved
from referral_rewards.domain.measures.events import Cause, CauseKind, Place
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import typed_rows


async def causes(connection: AsyncConnection, after: Place, limit: int) -> Sequence[Cause]:
    """Return the next causes after a place, at most ``limit``.

    Raises:
        RegisterMoved: if the numbers of this server's transactions lie below those that are on record.
    """
    if (await connection.execute(_BROKEN)).scalar_one():
        raise RegisterMoved
    asked = {"position": after.position, "kind": after.kind.value, "key": after.key, "limit": limit}
    return [each.cause for each in await typed_rows.read(connection, _Row, _CAUSES, asked)]


class _Row(NamedTuple):
    position: int
    kind: CauseKind
    key: str
    at: datetime
    subject: str
    program: str | None
    referral: str | None
    about: Mapping[str, Any]

    @property
    def cause(self) -> Cause:
        place = Place(self.position, self.kind, self.key)
        return Cause(place, self.at, self.subject, self.program, self.referral, self.about)


#: No row that is seen has a number as high as that of the next transaction.
_BROKEN: Final = text("""
SELECT highest_position() >= register_horizon() + CAST(CAST(pg_snapshot_xmax(moment) AS text) AS bigint)
                             - CAST(CAST(pg_snapshot_xmin(moment) AS text) AS bigint)
FROM pg_current_snapshot() AS moment
""")


def _branch(kind: CauseKind, columns: str, rest: str) -> str:
    """One kind of cause: its columns position, key, at, subject, referral and about."""
    return f"""(
    SELECT position, '{kind}' AS kind, key, at, subject, referral, about FROM (SELECT {columns} {rest}) AS found
    WHERE position >= :position AND position < register_horizon()
      AND (position, '{kind}', key) > (:position, :kind, :key COLLATE "C")
    ORDER BY position, key LIMIT :limit
)"""  # noqa: S608 (words of ours)


#: Keys of numbered rows, so that they sort as numbers do.
_NUMBER: Final = "lpad(CAST({} AS text), 19, '0') COLLATE \"C\""
_UUID: Final = 'CAST({} AS text) COLLATE "C"'

_FACT = _branch(
    CauseKind.FACT,
    f"f.position, {_UUID.format('f.id')} AS key, f.occurred_at AS at, f.data->>'referral' AS subject,"
    " f.data->>'referral' AS referral, f.data AS about",
    "FROM fact f WHERE f.type = 'satisfaction.rated'",
)
_DECISION = _branch(
    CauseKind.DECISION,
    f"d.position, {_NUMBER.format('d.seq')} AS key, d.decided_at AS at, d.referral_id AS subject,"
    " d.referral_id AS referral, jsonb_build_object('decision', d.id, 'kind', d.kind, 'reason', d.reason,"
    " 'by', d.username, 'digest', d.digest) AS about",
    "FROM decision d WHERE d.kind = ANY(:claim_acts) AND EXISTS (SELECT 1 FROM referral r WHERE r.id = d.referral_id)",
)
_CLAIM = _branch(
    CauseKind.CLAIM,
    f"c.position, {_UUID.format('c.id')} AS key, c.assembled_at AS at, c.referral_id AS subject,"  # noqa: S608
    """ c.referral_id AS referral, jsonb_build_object(
        'claim', c.id, 'digest', c.digest, 'referrer', c.referrer, 'version', c.body->'version',
        'recommendation', c.body->'recommendation',
        'rewards', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'role', leg->'role', 'kind', leg->'kind', 'amount_minor', leg->'amount_minor', 'currency', leg->'currency'
        )), '[]') FROM jsonb_array_elements(c.body->'legs') AS leg),
        'flags', jsonb_path_query_array(c.body, '$.flags[*].flag'),
        'first', NOT EXISTS (SELECT 1 FROM reward_claim e WHERE e.referral_id = c.referral_id
                             AND (e.position, e.id) < (c.position, c.id)),
        'known', (SELECT coalesce(jsonb_agg(flag), '[]')
                  FROM reward_claim e, jsonb_path_query(e.body, '$.flags[*].flag') AS flag
                  WHERE e.referral_id = c.referral_id AND (e.position, e.id) < (c.position, c.id))
    ) AS about""",
    "FROM reward_claim c",
)
_STEP = _branch(
    CauseKind.STEP,
    f"s.position, {_NUMBER.format('s.id')} AS key, s.at, s.referral_id AS subject, s.referral_id AS referral,"
    " jsonb_build_object('status', s.status, 'reason', s.reason) AS about",
    "FROM referral_step s WHERE s.status = ANY(:statuses)",
)
_PAYOUT = _branch(
    CauseKind.PAYOUT,
    f"s.position, {_NUMBER.format('s.id')} AS key, s.at, 'payout-' || s.payout_id AS subject,"
    " p.referral_id AS referral, jsonb_build_object('act', s.act, 'state', s.state, 'generation', s.generation,"
    " 'payout', s.payout_id, 'cycle', p.cycle_id, 'returns', p.returns, 'rail', p.rail,"
    " 'currency', p.currency) AS about",
    "FROM payout_step s JOIN payout p ON p.id = s.payout_id"
    " WHERE s.act = :planned OR (s.act = 'moved' AND s.state = :sending)",
)
# The key of an entry begins with what it books, and then the id of its payout or clawback.
_BOOKS = _branch(
    CauseKind.BOOKS,
    f"t.position, {_UUID.format('t.id')} AS key, t.posted_at AS at, t.key AS subject, t.referral_id AS referral,"  # noqa: S608
    """ jsonb_build_object(
        'what', split_part(t.key, ':', 1), 'of', left(split_part(t.key, ':', 2), 36), 'program', t.program,
        'currency', (SELECT min(p.currency) FROM posting p WHERE p.transaction_id = t.id),
        'booked', (SELECT jsonb_object_agg(kind, amount) FROM (
            SELECT split_part(p.account, ':', 1) AS kind, sum(p.amount_minor) AS amount
            FROM posting p WHERE p.transaction_id = t.id GROUP BY 1) AS posted)
    ) AS about""",
    "FROM ledger_transaction t WHERE split_part(t.key, ':', 1) = ANY(:entries)",
)

_CAUSES: Final = statement(
    f"""
SELECT c.position, c.kind, c.key, c.at, c.subject, coalesce(c.about->>'program', r.program) AS program,
       r.id AS referral, c.about
FROM ({" UNION ALL ".join((_FACT, _DECISION, _CLAIM, _STEP, _PAYOUT, _BOOKS))}) AS c
LEFT JOIN referral r ON r.id = c.referral
ORDER BY c.position, c.kind, c.key COLLATE "C" LIMIT :limit
""",  # noqa: S608 (words of ours)
    claim_acts=list(DecisionKind),
    statuses=(ReferralStatus.APPROVED, ReferralStatus.DENIED, ReferralStatus.EXPIRED),
    planned=PayoutState.PLANNED,
    sending=PayoutState.SENDING,
    entries=(PayoutState.SETTLED, PayoutState.RETURNED, "recovered"),
)
