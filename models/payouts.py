"""Legs, and the payouts that pay them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, literal_column, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, document, instant, minor, off, position, positions, texts
from models.statuses import spelled
from referral_rewards.domain.payouts.states import AT_REST, FREED, OVER, OWED, LegState, PayoutState


class LegRow(SQLModel, table=True):
    """One reward to one beneficiary, reserved by an approval. At most one is live per program, order and role: an order
    without a store may be in any. At most one is live per referral and role: an exchange brings no second reward to a
    side whose first still stands."""

    __tablename__ = "leg"
    __table_args__ = (
        ExcludeConstraint(
            (literal_column("places_of(program, order_key, role, stores)"), "&&"),
            where=text(spelled("state NOT IN :freed", freed=FREED)),
            name="uq_leg_live",
        ),
        Index(
            "ix_leg_live",
            "program",
            "order_key",
            "role",
            postgresql_where=text(spelled("state NOT IN :freed", freed=FREED)),
        ),
        Index(
            "uq_leg_standing",
            "referral_id",
            "role",
            unique=True,
            postgresql_where=text(spelled("state NOT IN :freed", freed=FREED)),
        ),
        Index("ix_leg_referral_id", "referral_id"),
        Index(
            "ix_leg_waiting_method",
            "beneficiary",
            "rail",
            postgresql_where=text(spelled("state = :waiting", waiting=LegState.WAITING_METHOD)),
        ),
        Index("ix_leg_beneficiary_approved_at", "beneficiary", "approved_at"),
        Index("ix_leg_approved_at", "approved_at", "beneficiary"),
        Index("ix_leg_referrer_approved_at", "program", "referrer", "approved_at"),
        Index(
            "ix_leg_tax_hold", "beneficiary", postgresql_where=text(spelled("state = :held", held=LegState.TAX_HOLD))
        ),
        Index(
            "ix_leg_due",
            "program",
            "beneficiary",
            "id",
            postgresql_where=text(spelled("state IN :owed", owed=OWED)),
        ),
    )

    id: UUID = Field(primary_key=True)
    referral_id: str = by_code_point()
    claim_id: UUID
    digest: str  # of the approved claim
    program: str
    referrer: str
    order_key: str  # the order, or the referral if a request names no order
    stores: list[str] = texts()  # those that have the order, first the one that names it; none: nobody told its store
    role: str
    beneficiary: str
    kind: str
    amount_minor: int = minor()
    currency: str
    rail: str
    destination: str | None = None
    state: str  # reserved, tax_hold, waiting_method, paid, cancelled, clawed_back
    approved_at: datetime = instant()
    decisions: list[str] = texts()  # ids of the decisions that approved it
    bound_to: str | None = None  # the destination bound after the approval; its signatures are verified when it is paid
    #: It was paid for another conversion, before the referral was reopened for an exchange.
    former: bool = off()


class PayoutRow(SQLModel, table=True):
    """One call to a provider, saved in full before the first attempt.

    A payout that is paid at once belongs to a referral, a payout of a cycle to the cycle. `PayoutLegRow` holds its
    legs. ``amount_minor`` is the amount sent: live legs less live deductions, zero if nothing remains. A payout that
    ``returns`` what a clawback case took pays no leg.
    """

    __tablename__ = "payout"
    __table_args__ = (
        Index("ix_payout_referral_id", "referral_id"),
        Index("ix_payout_state", "state", "created_at", "id"),
        Index("ix_payout_rail", "rail", "created_at", "id"),
        Index("ix_payout_program", literal_column("(body ->> 'program')"), "created_at", "id"),
        Index("ix_payout_amount", "currency", "amount_minor", "id"),
        Index("ix_payout_cycle_id", "cycle_id", "id"),
        Index(
            "ix_payout_cycle_moving",
            "cycle_id",
            postgresql_where=text(spelled("cycle_id IS NOT NULL AND state NOT IN :at_rest", at_rest=AT_REST)),
        ),
        Index("ix_payout_payee", "payee", "rail"),
        Index(
            "ix_payout_settled",
            "payee",
            "settled_at",
            postgresql_where=text(spelled("state = :settled", settled=PayoutState.SETTLED)),
        ),
        Index("ix_payout_under_way", "payee", postgresql_where=text(spelled("state NOT IN :over", over=OVER))),
        Index("ix_payout_provider_reference", "provider_reference"),
        Index("ix_payout_created_at", "created_at", "id"),
        Index("ix_payout_returns", "returns", postgresql_where=text("returns IS NOT NULL")),
        CheckConstraint("amount_minor >= 0", name="ck_payout_amount"),
        CheckConstraint("(referral_id IS NULL) <> (cycle_id IS NULL)", name="ck_payout_of_one"),
        CheckConstraint("returns IS NULL OR cycle_id IS NULL", name="ck_payout_returns_at_once"),
    )

    id: UUID = Field(primary_key=True)
    referral_id: str | None = by_code_point(nullable=True)
    cycle_id: UUID | None = None
    payee: str
    rail: str
    amount_minor: int = minor()
    currency: str
    body: dict[str, Any] = document()
    body_hash: str
    generation: int = 1
    provider_key: str = Field(unique=True)
    first_sent_at: datetime | None = instant(nullable=True)
    #: When the provider may first have seen the current key. The key window starts then.
    key_used_at: datetime | None = instant(nullable=True)
    #: When the first look-up past the key window found nothing. A later second one sends it to a person for review.
    missed_at: datetime | None = instant(nullable=True)
    provider_reference: str | None = None
    settled_at: datetime | None = instant(nullable=True)
    #: When its workflow next acts without news; None means only on news. A payout never tried is due at once.
    due_at: datetime | None = instant(nullable=True)
    state: str
    why: str | None = None  # one sentence on a refusal, a stop or a manual review
    created_at: datetime = instant(default_now=True)
    updated_at: datetime = instant()
    #: The clawback case that took too much. A person ``dropped`` the return if it is not to go back after all.
    returns: UUID | None = None
    dropped: bool = off()


class PayoutLegRow(SQLModel, table=True):
    """A leg that a payout pays. A unique index allows a leg at most one live payout."""

    __tablename__ = "payout_leg"
    __table_args__ = (
        Index("uq_payout_leg_live", "leg_id", unique=True, postgresql_where=text("live")),
        Index("ix_payout_leg_leg_id", "leg_id"),
    )

    payout_id: UUID = Field(primary_key=True)
    leg_id: UUID = Field(primary_key=True)
    live: bool = True


class PayoutDeduction(SQLModel, table=True):
    """A deduction from a payout: an offset (``source`` is the clawback's id) or withheld tax (``source`` is the
    regime)."""

    __tablename__ = "payout_deduction"
    __table_args__ = (
        Index("ix_payout_deduction_source", "source"),
        CheckConstraint("amount_minor > 0", name="ck_payout_deduction_amount"),
    )

    payout_id: UUID = Field(primary_key=True)
    kind: str = Field(primary_key=True)  # offset, withholding
    source: str = Field(primary_key=True)
    amount_minor: int = minor()
    live: bool = True


class PayoutStep(SQLModel, table=True):
    """One step of a payout's history: the act, its result and the payout's state afterwards. Append-only."""

    __tablename__ = "payout_step"
    __table_args__ = (
        Index("ix_payout_step_payout_id", "payout_id", "id"),
        Index("ix_payout_step_position", "position"),
        Index("ix_payout_step_act", "act", "state", "at", "id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    payout_id: UUID
    generation: int
    at: datetime = instant()
    #: planned and moved (a trigger records both), sent, looked_up, polled, answered, shut_out, topped_up, or a
    #: decision.
    act: str
    state: str
    why: str | None = None
    reference: str | None = None
    position: int = position()
    #: What was seen by whoever read its grounds (``register_sight`` in ``positions.sql``); a trigger records it.
    sight: list[int] = positions()


class RailHalt(SQLModel, table=True):
    """A halted rail: it refused our credentials. Only a probe is sent over it now and then, until it accepts them."""

    __tablename__ = "rail_halt"

    rail: str = Field(primary_key=True)
    halted_at: datetime = instant()
    probed_at: datetime = instant()
    why: str


class HeldTotal(SQLModel, table=True):
    """The total of the approved rewards that were not cancelled or recovered: of all legs of a program (``referrer``
    is empty), and of the legs to each referrer. A trigger on ``leg`` maintains it."""

    __tablename__ = "held_total"

    program: str = Field(primary_key=True)
    referrer: str = Field(primary_key=True)
    rewards: int = Field(sa_column=Column(BigInteger, nullable=False))
    amount_minor: int = minor()
