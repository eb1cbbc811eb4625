"""What passes between us and the rails beside payments: events told of, instructions, and what payees are handed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.columns import instant, minor


class ProviderEventRow(SQLModel, table=True):
    """An event that a provider told of, recorded once under its own id. Of what it says only names are kept.

    Another event of the same kind about the same object may be the same news or further: it costs a question to the
    provider, and so is taken as further.
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
    payout_id: UUID | None = None  # of the payout that was woken; none: no payout of ours has these names
    digest: str  # SHA-256 of the body as it was signed
    received_at: datetime = instant()


class PaymentInstruction(SQLModel, table=True):
    """What a person is asked to pay by hand, by the manual rail: one for each key."""

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


class Handover(SQLModel, table=True):
    """What a payout's rail gave for the payee: a link or a code. What it is stands in `PersonalData`, under ``id``."""

    __tablename__ = "handover"
    __table_args__ = (Index("ix_handover_reference", "reference"),)

    payout_id: UUID = Field(primary_key=True)
    paid_as: str = Field(primary_key=True)  # the provider's name of the payment that it is of
    id: UUID = Field(unique=True)
    kind: str  # link, code
    reference: str  # the provider's name of it
    given_at: datetime = instant()


class RailConnection(SQLModel, table=True):
    """A provider's rail that a worker says it has: it says so again every minute, and holds no secret here."""

    __tablename__ = "rail_connection"

    rail: str = Field(primary_key=True)
    mode: str  # live, test, sandbox
    seen_at: datetime = instant()
