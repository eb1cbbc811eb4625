"""Referrals: the state of each (a projection of its facts), its status changes, and pending wake-ups."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, document, instant, minor, position, texts


class ReferralRow(SQLModel, table=True):
    """One referral. Every fact raises ``facts_version``. A transaction that acts on the referral locks this row
    first."""

    __tablename__ = "referral"
    __table_args__ = (
        Index("ix_referral_began_at", "began_at", "id"),
        Index("ix_referral_program_began_at", "program", "began_at"),
        Index("ix_referral_status", "status"),
        Index("ix_referral_order", "order_id"),
        Index("ix_referral_referrer_began_at", "referrer", "program", "began_at"),
        Index("ix_referral_late_facts", "id", postgresql_where=text("late_facts > 0")),
        Index(
            "ix_referral_lagging",
            "id",
            postgresql_where=text("judged_version < facts_version"),
        ),
        Index("ix_referral_parked", "program", postgresql_where=text("parked IS NOT NULL")),
        Index(
            "ix_referral_wake_at",
            "wake_at",
            postgresql_where=text("wake_at IS NOT NULL"),
        ),
    )

    id: str = by_code_point(primary_key=True)
    # The origin: the fact with the least (rank, time, source, id) defines it, in whatever order facts arrive.
    origin_rank: int  # 0 sent, 1 claimed, 2 requested, 3 only mentioned so far
    began_at: datetime = instant()
    origin_source: str = by_code_point()
    origin_event: str = by_code_point()
    program: str | None = None
    referrer: str | None = None
    referrer_code: str | None = None  # while only the code is known; the enrolment supplies `referrer`
    code_key: str | None = by_code_point(nullable=True)  # the key of the enrolments with it, however they spell it
    channel: str | None = None
    parked: str | None = None  # why its facts wait: no terms in force, or the referral is only mentioned so far
    moved_to: str | None = None  # the referrer to whom signed decisions moved it, as `acts` says
    acts: dict[str, Any] | None = document(nullable=True)  # what people decided about its attribution: `SignedActs`
    merged_into: str | None = None  # for a request that proved to concern a tracked referral: that referral

    facts_version: int = 0
    told_at: datetime | None = instant(nullable=True)  # when facts_version was last raised
    judged_version: int = 0
    judged_at: datetime | None = instant(nullable=True)  # later verdicts never use an earlier time
    version: int | None = None  # of the terms
    round: int = 1  # raised by reopen
    status: str | None = None
    reason: str | None = None
    deadline: datetime | None = instant(nullable=True)
    wake_at: datetime | None = instant(nullable=True)
    claimed_at: datetime | None = instant(nullable=True)  # its timely claim, if it has one
    order_id: str | None = None
    stores: list[str] = texts()  # those that have the order, first the one that names it
    conversion_at: datetime | None = instant(nullable=True)
    net_minor: int | None = minor(nullable=True)
    currency: str | None = None
    claim_id: UUID | None = None
    claim_version: int = 0  # the facts_version for which the claim was last confirmed
    settled_rivals: dict[str, Any] | None = document(
        nullable=True
    )  # ids and core digests of the rivals that its approval settled
    rivals_seen: str | None = None  # fingerprint of the rivals that the claim was judged with
    closed_at: datetime | None = instant(nullable=True)
    closed_version: int | None = None  # the facts_version judged at closing; later facts are late
    late_facts: int = 0
    answered_version: int | None = None  # a person answered what came up to this facts_version
    doubts: dict[str, Any] | None = document(
        nullable=True
    )  # the facts that a person must look into: `domain.referrals.doubts`
    rewarded_at: datetime | None = instant(nullable=True)
    waiting_since: datetime | None = instant(nullable=True)  # since when it waits for approval; None if it does not
    referrer_link: int = 1  # generation of each side's secret link; raising it revokes earlier links
    referee_link: int = 1


class ReferralStep(SQLModel, table=True):
    """One status change of a referral. Append-only."""

    __tablename__ = "referral_step"
    __table_args__ = (Index("ix_referral_step_position", "position"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    referral_id: str = by_code_point(index=True)
    at: datetime = instant()
    status: str
    reason: str | None = None
    facts_version: int
    position: int = position()


class ToJudge(SQLModel, table=True):
    """A referral to be judged again because of a decision, a payout or a rival. Deleted once it was judged.

    Facts raise ``facts_version`` instead. Both let the sweep find referrals whose wake-up was lost.
    """

    __tablename__ = "to_judge"

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    referral_id: str = by_code_point(index=True)
    created_at: datetime = instant(default_now=True)


class Swept(SQLModel, table=True):
    """An overdue referral that the sweep woke: how often, and until when it leaves it alone. Deleted once it is not
    overdue any more."""

    __tablename__ = "swept"

    referral_id: str = by_code_point(primary_key=True)
    times: int
    until: datetime = instant()


class Wakeup(SQLModel, table=True):
    """The outbox: a message to a workflow, saved in the transaction of its cause and deleted once delivered.

    One with a ``program`` waits for the turn of that program; all others go first.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_batch_id", "batch_id"),
        Index("ix_outbox_target", "target"),
        Index("ix_outbox_ready", "program", "id", postgresql_where=text("batch_id IS NULL")),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    kind: str  # a `WakeupKind` of the register's outbox
    target: str = (
        by_code_point()
    )  # the id of the referral, payout, clawback, cycle or reconciliation, or a program's name
    subject_id: UUID
    program: str | None = by_code_point(nullable=True)
    batch_id: UUID | None = None
    trace: str | None = None  # W3C's traceparent, which the database takes over from the transaction
    created_at: datetime = instant(default_now=True)
