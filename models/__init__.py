"""The tables. Nothing here decides anything; rules live in the domain, queries in the register."""

from sqlmodel import SQLModel

from models.claims import ClaimRow, DecisionEffect, DecisionHead, DecisionRow
from models.desk import AuditEvent, QueueEntry, SavedView
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
from models.notices import Notice, WebhookEndpoint
from models.payouts import ClawbackCase, HeldTotal, LegRow, PayoutLegRow, PayoutRow
from models.programs import ProgramVersion
from models.referrals import ReferralRow, ReferralStep, ToJudge, Wakeup
from models.users import Identity, SessionRow, SignInFailure, SignInFlow, TokenRow, UserRow

metadata = SQLModel.metadata

__all__ = [
    "AuditEvent",
    "BlockedMark",
    "ClaimRow",
    "ClawbackCase",
    "DecisionEffect",
    "DecisionHead",
    "DecisionRow",
    "FactKey",
    "FactRecord",
    "HeldTotal",
    "Identity",
    "IngestBatch",
    "Inquiry",
    "LedgerTransaction",
    "LegRow",
    "Notice",
    "PayoutLegRow",
    "PayoutRow",
    "PersonalData",
    "Posting",
    "ProgramVersion",
    "QueueEntry",
    "ReferralFact",
    "ReferralKey",
    "ReferralRow",
    "ReferralStep",
    "SavedView",
    "SessionRow",
    "SignInFailure",
    "SignInFlow",
    "ToJudge",
    "TokenRow",
    "UserRow",
    "Wakeup",
    "WebhookEndpoint",
    "metadata",
]
