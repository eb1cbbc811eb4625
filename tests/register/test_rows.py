"""The typed rows of the register hold every column of their table, so that none is missing where a rule reads it."""

from dataclasses import fields
from typing import Any

import pytest

from models import ClaimRow, DecisionRow, LegRow, ReferralRow
from referral_rewards.domain.claims.stored_claim import StoredClaim
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.decisions.signed import SignedDecision

#: What a row holds of other tables.
_OF_ITS_PAYOUT = {"payout_id", "cycle_id", "payout_state", "first_sent_at", "generation", "key_used_at"}


#: Legs of a former conversion are not read at all, the place of a row is for the feed of measurement events alone, and
#: its stores are for the constraint that lets one order be rewarded once.
_LEFT_OUT = {"former", "position", "sight", "stores"}


@pytest.mark.parametrize(
    ("row", "table", "more"),
    [
        (Referral, ReferralRow, set()),
        (StoredClaim, ClaimRow, set()),
        (ReservedLeg, LegRow, _OF_ITS_PAYOUT),
        (SignedDecision, DecisionRow, {"linked_hash"}),
    ],
)
def test_a_typed_row_has_the_columns_of_its_table(row: Any, table: Any, more: set[str]) -> None:
    columns = set(table.__table__.columns.keys()) - _LEFT_OUT
    assert {each.name for each in fields(row)} - _LEFT_OUT == columns | more
