"""The digest that a decision on a payout signs."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from referral_rewards.domain.decisions.money_acts import subject_digest
from referral_rewards.domain.payouts.states import PayoutState


def payout_digest(row: Any, generation: int, state: PayoutState) -> str:
    """Return the digest that a decision on the payout signs, for its row in that generation and state."""
    what: Mapping[str, Any] = {
        "payout": row.id,
        "generation": generation,
        "state": state,
        "rail": row.rail,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "body": row.body_hash,
        # Sessions may read the same instant in different zones.
        "sent": row.first_sent_at and row.first_sent_at.astimezone(UTC).isoformat(),
    }
    return subject_digest(what)
