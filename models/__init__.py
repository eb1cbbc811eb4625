"""The tables. Nothing here decides anything; rules live in the domain, queries in the register."""

from sqlmodel import SQLModel

from models.claims import ClaimRow, DecisionEffect, DecisionHead, DecisionRow
from models.evidence import BlockedMark, Inquiry
from models.facts import (
    FactKey,
    FactRecord,
    IngestBatch,
    PersonalData,
    ReferralFact,
    ReferralKey,
)
from models.ledger import LedgerTransaction, Posting
from models.payouts import ClawbackCase, HeldTotal, LegRow, PayoutLegRow, PayoutRow
from models.programs import ProgramVersion
from models.referrals import ReferralRow, ReferralStep, ToJudge, Wakeup
from models.users import TokenRow, UserRow

metadata = SQLModel.metadata

__all__ = [
    "BlockedMark",
    "ClaimRow",
    "ClawbackCase",
    "DecisionEffect",
    "DecisionHead",
    "DecisionRow",
    "FactKey",
    "FactRecord",
    "HeldTotal",
    "IngestBatch",
    "Inquiry",
    "LedgerTransaction",
    "LegRow",
    "PayoutLegRow",
    "PayoutRow",
    "PersonalData",
    "Posting",
    "ProgramVersion",
    "ReferralFact",
    "ReferralKey",
    "ReferralRow",
    "ReferralStep",
    "ToJudge",
    "TokenRow",
    "UserRow",
    "Wakeup",
    "metadata",
]
