"""Legs, the payouts that pay them, and clawback cases."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, document, instant, minor, texts


class LegRow(SQLModel, table=True):
    """One reward to one beneficiary, reserved by an approval; at most one live per (program, order, role)."""

    __tablename__ = "leg"
    __table_args__ = (
        Index(
            "uq_leg_live",
            "program",
            "order_key",
            "role",
            unique=True,
            postgresql_where=text("state NOT IN ('cancelled', 'clawed_back')"),
        ),
        Index("ix_leg_referral_id", "referral_id"),
        Index("ix_leg_beneficiary_approved_at", "beneficiary", "approved_at"),
        Index("ix_leg_referrer_approved_at", "program", "referrer", "approved_at"),
    )

    id: UUID = Field(primary_key=True)
    referral_id: str = by_code_point()
    claim_id: UUID
    digest: str  # of the claim that was approved
    program: str
    referrer: str
    order_key: str  # the order, or the referral where a request names none
    role: str
    beneficiary: str
    kind: str
    amount_minor: int = minor()
    currency: str
    rail: str
    destination: str | None = None
    state: str  # reserved, tax_hold, paid, cancelled, clawed_back
    approved_at: datetime = instant()
    decisions: list[str] = texts()  # ids of the decisions that approved it


class PayoutRow(SQLModel, table=True):
    """One provider call, written in full before the first attempt at it."""

    __tablename__ = "payout"
    __table_args__ = (
        Index("ix_payout_referral_id", "referral_id"),
        Index("ix_payout_state", "state"),
    )

    id: UUID = Field(primary_key=True)
    referral_id: str = by_code_point()
    payee: str
    rail: str
    amount_minor: int = minor()
    currency: str
    body: dict[str, Any] = document()
    body_hash: str
    generation: int = 1
    provider_key: str = Field(unique=True)
    first_sent_at: datetime | None = instant(nullable=True)
    provider_reference: str | None = None
    state: str
    why: str | None = None  # of a refusal, a stop or a manual review, in one sentence
    updated_at: datetime = instant()


class PayoutLegRow(SQLModel, table=True):
    """Which legs a payout pays. A leg has at most one live payout: see the index."""

    __tablename__ = "payout_leg"
    __table_args__ = (Index("uq_payout_leg_live", "leg_id", unique=True, postgresql_where=text("live")),)

    payout_id: UUID = Field(primary_key=True)
    leg_id: UUID = Field(primary_key=True)
    live: bool = True


class ClawbackCase(SQLModel, table=True):
    """A paid leg whose ground fell away; a person decides what becomes of it."""

    __tablename__ = "clawback_case"

    leg_id: UUID = Field(primary_key=True)
    fact_id: UUID = Field(primary_key=True)
    referral_id: str = by_code_point(index=True)
    opened_at: datetime = instant()
    why: str
    state: str = "open"


class HeldTotal(SQLModel, table=True):
    """What is approved and not taken back: of a whole program (``referrer`` empty; every leg), and of each referrer
    (legs to the referrer). A trigger on ``leg`` keeps it."""

    __tablename__ = "held_total"

    program: str = Field(primary_key=True)
    referrer: str = Field(primary_key=True)
    rewards: int = Field(sa_column=Column(BigInteger, nullable=False))
    amount_minor: int = minor()
