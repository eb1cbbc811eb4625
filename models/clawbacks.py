"""Clawbacks: the cases that a person decides, and the recoveries that follow."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, document, instant, minor, none_yet


class ClawbackCase(SQLModel, table=True):
    """A paid leg that is no longer justified. A person decides whether and how to recover it."""

    __tablename__ = "clawback_case"
    __table_args__ = (
        Index("uq_clawback_case_id", "id", unique=True),
        Index("ix_clawback_case_opened_at", "opened_at", "id"),
    )

    leg_id: UUID = Field(primary_key=True)
    fact_id: UUID = Field(primary_key=True)
    id: UUID
    referral_id: str = by_code_point(index=True)
    opened_at: datetime = instant()
    why: str
    #: The amount that the rules propose to recover, in the leg's currency; None if they cannot tell.
    proposed_minor: int | None = minor(nullable=True)
    state: str = "open"  # open, frozen (a dispute runs), decided, dismissed
    settled_at: datetime | None = instant(nullable=True)
    #: Another conversion of the offer that would qualify in the place of the one that was paid for, and its net amount.
    exchange_order: str | None = None
    exchange_store: str | None = None
    exchange_minor: int | None = minor(nullable=True)
    exchange_currency: str | None = None


class ClawbackRow(SQLModel, table=True):
    """One recovery that a person decided on, with its own key. All recoveries of a leg total at most what was paid."""

    __tablename__ = "clawback"
    __table_args__ = (
        Index("ix_clawback_leg_id", "leg_id"),
        Index("ix_clawback_case_id", "case_id"),
        Index("ix_clawback_payee", "payee", "state", "currency"),
        Index("ix_clawback_state", "state"),
        CheckConstraint("amount_minor > 0", name="ck_clawback_amount"),
        CheckConstraint("recovered_minor BETWEEN 0 AND amount_minor - released_minor", name="ck_clawback_recovered"),
        CheckConstraint("released_minor >= 0", name="ck_clawback_released"),
    )

    id: UUID = Field(primary_key=True)
    case_id: UUID
    leg_id: UUID
    payout_id: UUID
    referral_id: str = by_code_point(index=True)
    payee: str
    kind: str  # reverse, offset, write_off
    amount_minor: int = minor()
    currency: str
    #: The amount recovered so far, from the provider or by settled offsets.
    recovered_minor: int = minor()
    #: Of an offset: the amount that is no longer to be kept, because people took it in another way.
    released_minor: int = none_yet()
    body: dict[str, Any] = document()
    body_hash: str
    generation: int = 1
    provider_key: str = Field(unique=True)
    first_sent_at: datetime | None = instant(nullable=True)
    #: When the first look-up past the key window found nothing. A later second one sends it to a person for review.
    missed_at: datetime | None = instant(nullable=True)
    provider_reference: str | None = None
    #: approved, reversing, unknown, reversed, partly_reversed, unrecoverable, offsetting, offset, written_off,
    #: manual_review
    state: str
    why: str | None = None
    decision_id: UUID
    created_at: datetime = instant()
    updated_at: datetime = instant()
