"""What the approvers' desk stands on: the queue, views that people save, and the record of who did what."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, document, instant, minor, texts


class QueueEntry(SQLModel, table=True):
    """One thing that waits for a person: a claim before its approvers, or an exception. A projection: it is written
    anew with every verdict on its referral, and deleted once nothing waits."""

    __tablename__ = "queue_entry"
    __table_args__ = (
        Index("ix_queue_entry_since", "since", "referral_id", "exception", "subject"),
        Index("ix_queue_entry_program_since", "program", "since", "referral_id", "exception", "subject"),
        Index("ix_queue_entry_amount", "amount_minor", "referral_id", "exception", "subject"),
        Index("ix_queue_entry_routes", "routes", postgresql_using="gin"),
        Index("ix_queue_entry_flags", "flags", postgresql_using="gin"),
        Index("ix_queue_entry_remind_at", "remind_at", postgresql_where=text("remind_at IS NOT NULL")),
        Index("ix_queue_entry_referrer", "referrer"),
        Index("ix_queue_entry_customer", "customer"),
        Index("ix_queue_entry_order_id", "order_id"),
    )

    referral_id: str = by_code_point(primary_key=True)
    exception: str = Field(
        primary_key=True
    )  # approval, late_fact, clawback, payout_manual_review, payout_refused, reported
    subject: str = by_code_point(
        primary_key=True
    )  # which of several: a leg, a payout, a fact; empty where there is one
    program: str
    status: str
    reason: str | None = None
    about: str | None = None  # one sentence, for an exception
    referrer: str | None = by_code_point(nullable=True)
    customer: str | None = by_code_point(nullable=True)
    order_id: str | None = by_code_point(nullable=True)
    recommendation: str | None = None
    flags: list[str] = texts()
    routes: list[str] = texts()
    amount_minor: int = minor()  # the legs together, zero without any
    currency: str | None = None
    since: datetime = instant()
    remind_at: datetime | None = instant(nullable=True)  # overdue from here on
    escalate_at: datetime | None = instant(nullable=True)


class SavedView(SQLModel, table=True):
    """A search of the queue that a person keeps under a name."""

    __tablename__ = "saved_view"

    username: str = Field(primary_key=True, foreign_key="app_user.name")
    name: str = Field(primary_key=True)
    query: str  # as it stands in the page's address


class AuditEvent(SQLModel, table=True):
    """Who did what, when: sign-ins, people, tokens, programs, decisions. Append-only (a trigger refuses the rest)."""

    __tablename__ = "audit_event"
    __table_args__ = (Index("ix_audit_event_actor", "actor", "id"), Index("ix_audit_event_subject", "subject", "id"))

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    at: datetime = instant()
    actor: str
    act: str  # noun.verb: session.opened, user.barred, token.revoked, decision.recorded
    subject: str
    details: dict[str, Any] = document()
