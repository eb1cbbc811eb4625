"""What was reserved, paid and taken back of rewards by a past moment: from steps of payouts and the books.

A row that did not change since tells it by itself. Else the books have when a reward was cancelled and what a rail took
back, and the steps of a payout say whether it was settled.
"""

from datetime import datetime
from typing import Final, NamedTuple

from models.statuses import statement
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.measures.life import Money, Reward
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.referrals.lifecycle import Side


class LegThen(NamedTuple):
    """A leg that was approved by the moment."""

    referral_id: str
    role: Side
    kind: str
    amount_minor: int
    currency: str
    approved_at: datetime
    decided_at: datetime | None
    cancelled: bool
    settled_at: datetime | None
    taken_back_minor: int

    def reward(self) -> Reward:
        taken_in_full = self.taken_back_minor >= self.amount_minor
        return Reward(
            side=self.role,
            kind=self.kind,
            amount=Money(self.currency, self.amount_minor),
            decided_at=self.decided_at or self.approved_at,
            approved_at=self.approved_at,
            settled_at=self.settled_at,
            taken_back_minor=self.taken_back_minor,
            owed=not self.cancelled and not taken_in_full and self.settled_at is None,
            counted=not self.cancelled and not taken_in_full,
        )


# Of a payment that its provider returned, and that was made again, the last one counts.
LEGS_THEN: Final = statement(
    """
WITH own AS (
    SELECT * FROM leg WHERE referral_id = ANY(CAST(:referrals AS text[])) AND approved_at < :moment
), paying AS (
    SELECT own.id AS leg_id, p.id, false AS returns FROM own
    JOIN payout_leg pl ON pl.leg_id = own.id JOIN payout p ON p.id = pl.payout_id
    UNION
    SELECT own.id, p.id, true FROM own JOIN clawback_case c ON c.leg_id = own.id JOIN payout p ON p.returns = c.id
    WHERE NOT p.dropped
), settled AS (
    SELECT paying.leg_id, paying.returns, p.amount_minor,
           CASE WHEN p.state = :settled AND p.settled_at < :moment THEN p.settled_at ELSE stood.at END AS at
    FROM paying JOIN payout p ON p.id = paying.id
    CROSS JOIN LATERAL (
        SELECT s.state, s.at FROM payout_step s WHERE s.payout_id = p.id AND s.at < :moment ORDER BY s.id DESC LIMIT 1
    ) AS stood
    WHERE stood.state = :settled
), taken AS (
    SELECT own.id AS leg_id, CASE WHEN b.updated_at < :moment THEN b.recovered_minor ELSE
        coalesce((SELECT sum(p.amount_minor) FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id
                  WHERE t.key = 'recovered:' || b.id AND t.posted_at < :moment
                    AND starts_with(p.account, 'clearing:')), 0)
        + coalesce((SELECT sum(d.amount_minor) FROM payout_deduction d
                    CROSS JOIN LATERAL (
                        SELECT s.state FROM payout_step s WHERE s.payout_id = d.payout_id AND s.at < :moment
                        ORDER BY s.id DESC LIMIT 1
                    ) AS stood
                    WHERE d.source = CAST(b.id AS text) AND d.kind = :offset AND d.live AND stood.state = :settled), 0)
        END AS minor
    FROM own JOIN clawback b ON b.leg_id = own.id WHERE b.created_at < :moment
)
SELECT own.referral_id, own.role, own.kind, own.amount_minor, own.currency, own.approved_at,
       (SELECT max(d.decided_at) FROM decision d WHERE d.id = ANY(CAST(own.decisions AS uuid[]))) AS decided_at,
       own.state = :cancelled AND coalesce(
           (SELECT t.posted_at FROM ledger_transaction t WHERE t.key = 'released:' || own.id), own.approved_at
       ) < :moment AS cancelled,
       (SELECT max(at) FROM settled WHERE leg_id = own.id AND NOT returns) AS settled_at,
       CAST(coalesce((SELECT sum(minor) FROM taken WHERE leg_id = own.id), 0)
            - coalesce((SELECT sum(amount_minor) FROM settled WHERE leg_id = own.id AND returns), 0) AS bigint)
           AS taken_back_minor
FROM own ORDER BY own.approved_at, own.id
""",
    settled=PayoutState.SETTLED,
    offset=DeductionKind.OFFSET,
    cancelled=LegState.CANCELLED,
)
