"""Reconciliations: what a rail listed, compared with our payouts, and the differences."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, Integer
from sqlmodel import Field, SQLModel

from models.columns import instant, minor


class ReconciliationRow(SQLModel, table=True):
    """One comparison of what we paid over a rail in a time span with what the rail shows."""

    __tablename__ = "reconciliation"
    __table_args__ = (Index("ix_reconciliation_asked_at", "asked_at", "id"),)

    id: UUID = Field(primary_key=True)
    rail: str
    since_at: datetime = instant()  # of the span, half-open
    until_at: datetime = instant()
    asked_by: str
    asked_at: datetime = instant()
    state: str  # asked, listed, done, failed
    sight: str | None = None  # how much of its payments the rail shows
    why: str | None = None  # one sentence on a failure
    ours: int = Field(default=0, sa_column=Column(Integer, nullable=False))  # payouts that were compared
    theirs: int = Field(default=0, sa_column=Column(Integer, nullable=False))  # payments that the rail listed
    differences: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    under_way: int = Field(default=0, sa_column=Column(Integer, nullable=False))  # their outcome was not known yet
    ended_at: datetime | None = instant(nullable=True)


class ListedPayment(SQLModel, table=True):
    """A payment as the rail listed it, kept until the comparison is done."""

    __tablename__ = "listed_payment"
    __table_args__ = (Index("ix_listed_payment_payout_id", "reconciliation_id", "payout_id"),)

    reconciliation_id: UUID = Field(primary_key=True, foreign_key="reconciliation.id")
    reference: str = Field(primary_key=True)
    payout_id: UUID | None = None  # our payout, matched by key or adopted by a person
    names: UUID | None = None  # the id of ours that the payment bears, even if the register lacks that payout
    key: str | None = None
    amount_minor: int | None = minor(nullable=True)
    currency: str
    destination: str | None = None
    state: str
    reversed_minor: int = minor()
    made_at: datetime | None = instant(nullable=True)
    takes_back: bool


class ReconciliationDifference(SQLModel, table=True):
    """One difference, with what each side shows."""

    __tablename__ = "reconciliation_difference"
    __table_args__ = (Index("ix_reconciliation_difference_of", "reconciliation_id", "id"),)

    id: UUID = Field(primary_key=True)  # derived from its content, so that it is recorded once
    reconciliation_id: UUID = Field(foreign_key="reconciliation.id")
    kind: str
    payout_id: UUID | None = None
    reference: str | None = None
    ours: str
    theirs: str
