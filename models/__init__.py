"""The tables. They hold no rules and no queries: rules are in the domain, queries in the register."""

from sqlmodel import SQLModel

from models.claims import BlockedMark, ClaimRow, DecisionEffect, DecisionHead, DecisionRow, Inquiry
from models.clawbacks import ClawbackCase, ClawbackRow
from models.cycles import PayoutCycleRow
from models.desk import AuditEvent, QueueEntry, SavedView
from models.examined import ExaminedReward, ExaminedTotal, ToExamine
from models.facts import (
    FactKey,
    FactRecord,
    FactTeller,
    IngestBatch,
    PersonalData,
    ReferralFact,
    ReferralKey,
)
from models.ledger import LedgerTransaction, Posting
from models.measures import MeasuredContribution, MeasuredTotal, ToMeasure
from models.notices import Notice, WebhookEndpoint
from models.payouts import HeldTotal, LegRow, PayoutDeduction, PayoutLegRow, PayoutRow, PayoutStep, RailHalt
from models.persons import ErasedMark, PersonErasure
from models.programs import ProgramLifeRow, ProgramVersion
from models.rails import Handover, PaymentInstruction, ProviderEventRow, RailConnection
from models.reconciliations import ListedPayment, ReconciliationDifference, ReconciliationRow
from models.referrals import ReferralRow, ReferralStep, Swept, ToJudge, Wakeup
from models.restores import (
    ForgottenPayment,
    ForgottenReversal,
    RegisterRestore,
    RegisterSecret,
    RestoredRail,
    ReversalLook,
)
from models.source_events import SourceCursor, SourceEvent, SourceName, SourcePayload, SourceReading
from models.users import (
    AccountChange,
    Identity,
    RecoveryCode,
    SecondFactor,
    SessionRow,
    SignInFailure,
    SignInFlow,
    SignInStep,
    TokenRow,
    UserRow,
)

metadata = SQLModel.metadata

__all__ = [
    "AccountChange",
    "AuditEvent",
    "BlockedMark",
    "ClaimRow",
    "ClawbackCase",
    "ClawbackRow",
    "DecisionEffect",
    "DecisionHead",
    "DecisionRow",
    "ErasedMark",
    "ExaminedReward",
    "ExaminedTotal",
    "FactKey",
    "FactRecord",
    "FactTeller",
    "ForgottenPayment",
    "ForgottenReversal",
    "Handover",
    "HeldTotal",
    "Identity",
    "IngestBatch",
    "Inquiry",
    "LedgerTransaction",
    "LegRow",
    "ListedPayment",
    "MeasuredContribution",
    "MeasuredTotal",
    "Notice",
    "PaymentInstruction",
    "PayoutCycleRow",
    "PayoutDeduction",
    "PayoutLegRow",
    "PayoutRow",
    "PayoutStep",
    "PersonErasure",
    "PersonalData",
    "Posting",
    "ProgramLifeRow",
    "ProgramVersion",
    "ProviderEventRow",
    "QueueEntry",
    "RailConnection",
    "RailHalt",
    "ReconciliationDifference",
    "ReconciliationRow",
    "RecoveryCode",
    "ReferralFact",
    "ReferralKey",
    "ReferralRow",
    "ReferralStep",
    "RegisterRestore",
    "RegisterSecret",
    "RestoredRail",
    "ReversalLook",
    "SavedView",
    "SecondFactor",
    "SessionRow",
    "SignInFailure",
    "SignInFlow",
    "SignInStep",
    "SourceCursor",
    "SourceEvent",
    "SourceName",
    "SourcePayload",
    "SourceReading",
    "Swept",
    "ToExamine",
    "ToJudge",
    "ToMeasure",
    "TokenRow",
    "UserRow",
    "Wakeup",
    "WebhookEndpoint",
    "metadata",
]
