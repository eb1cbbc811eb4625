"""What an audit can find, and where (SPEC §8).

An audit believes no status column: each part of a paid reward is derived again, and a finding says what stands on
record and what would be right.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Part(StrEnum):
    """What is derived again of a paid reward; the first six make up its accuracy."""

    SOURCE_ATTRIBUTION = "source_attribution"
    QUALIFYING_EVENT = "qualifying_event"
    PROGRAM_TERMS = "program_terms"
    FRAUD_CONFLICT_CHECK = "fraud_conflict_check"
    PAYOUT_AMOUNT = "payout_amount"
    APPROVAL_RECORD = "approval_record"
    PAYMENT_STATUS = "payment_status"
    REFUND_STATUS = "refund_status"
    DUPLICATES = "duplicates"
    LEDGER = "ledger"
    PROVIDER_RECEIPT = "provider_receipt"
    DECISION_CHAIN = "decision_chain"


#: The parts of ``referral_reward_eligibility_accuracy``, in the order of the specification.
ACCURACY_PARTS: Final = (
    Part.SOURCE_ATTRIBUTION,
    Part.QUALIFYING_EVENT,
    Part.PROGRAM_TERMS,
    Part.FRAUD_CONFLICT_CHECK,
    Part.PAYOUT_AMOUNT,
    Part.APPROVAL_RECORD,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    ``referral``, ``role`` and ``payout`` name the paid reward; each is None where the finding is about none, such as
    a posting that no reward explains. ``what`` is one plain sentence: what stands there and what would be right.
    ``where`` names the rows: a table and the key of its row, such as ``leg 7`` or ``fact acme/billing e12``.
    """

    part: Part
    what: str
    where: str
    referral: str | None = None
    role: str | None = None
    payout: str | None = None
