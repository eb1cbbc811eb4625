"""A referral's payouts: with those that were cancelled and paid after all, which are cancelled no longer."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_PAYOUTS_OF = """
CREATE OR REPLACE FUNCTION payouts_of(its_referral text)
RETURNS TABLE (payout_id uuid, leg_id uuid, role text, live boolean) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (pl.payout_id, l.role) pl.payout_id, l.id, CAST(l.role AS text), pl.live
    FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id JOIN payout p ON p.id = pl.payout_id
    WHERE l.referral_id = its_referral AND (pl.live OR p.referral_id = its_referral OR {})
    ORDER BY pl.payout_id, l.role, pl.live DESC, l.approved_at DESC
$$
"""


def upgrade() -> None:
    pays_nothing = "NOT EXISTS (SELECT 1 FROM payout_leg WHERE payout_id = p.id AND payout_leg.live OFFSET 0)"
    op.execute(_PAYOUTS_OF.format(pays_nothing))


def downgrade() -> None:
    op.execute(_PAYOUTS_OF.format("p.state = 'cancelled'"))
