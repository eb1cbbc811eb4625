"""What passes between us and the rails beside payments: provider events, payment instructions and handovers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.columns import instant, minor


class ProviderEventRow(SQLModel, table=True):
    """An event reported by a provider, recorded once under the provider's id. Only the ids in it are kept.

    A further event of the same kind about the same object counts as new, because it may be. At worst it costs one
    needless request to the provider.
    """

    __tablename__ = "provider_event"
    __table_args__ = (
        Index("ix_provider_event_object", "source", "kind", "object_id"),
        Index("ix_provider_event_payout_id", "payout_id"),
    )

    source: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    kind: str
    object_id: str
    payout_id: UUID | None = None  # the payout that was woken; None if no payout of ours matches
    digest: str  # SHA-256 of the signed body
    received_at: datetime = instant()


class PaymentInstruction(SQLModel, table=True):
    """An instruction to people to make a payment by hand, on the manual rail. There is one for each key."""

    __tablename__ = "payment_instruction"
    __table_args__ = (
        Index("ix_payment_instruction_payout_id", "payout_id"),
        CheckConstraint("amount_minor > 0", name="ck_payment_instruction_amount"),
    )

    key: str = Field(primary_key=True)
    payout_id: UUID
    payee: str
    amount_minor: int = minor()
    currency: str
    destination: str | None = None
    program: str
    written_at: datetime = instant()
    exported_by: str


class Handover(SQLModel, table=True):
    """A link or code that a rail gave for the payee. The link or code itself is in `PersonalData` under ``id``."""

    __tablename__ = "handover"
    __table_args__ = (Index("ix_handover_reference", "reference"),)

    payout_id: UUID = Field(primary_key=True)
    paid_as: str = Field(primary_key=True)  # the provider's reference of the payment
    id: UUID = Field(unique=True)
    kind: str  # link, code
    reference: str  # the provider's reference of the link or code
    given_at: datetime = instant()


class RailConnection(SQLModel, table=True):
    """A provider's rail that a worker has. The worker reports it every minute; no secret is stored here."""

    __tablename__ = "rail_connection"

    rail: str = Field(primary_key=True)
    mode: str  # live, test, sandbox
    seen_at: datetime = instant()
