"""What the approvers' desk stands on: the queue, views that people save, and the record of who did what."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, document, instant, minor, texts
from models.statuses import spelled
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus

#: What makes entries of the queue that stand alike in a sort different: every index that is read in order ends in it.
_ENTRY: Final = ("referral_id", "exception", "subject")


def _by_age(name: str, *columns: str, only: str | None = None) -> Index:
    """Entries in the order of their age, of one value of each column or of those that meet a condition alone."""
    where = None if only is None else text(only)
    return Index(f"ix_queue_entry_{name}", *dict.fromkeys((*columns, "since", *_ENTRY)), postgresql_where=where)


class QueueEntry(SQLModel, table=True):
    """One thing that waits for a person: a claim before its approvers, or an exception. A projection: it is written
    anew with every verdict on its referral, and deleted once nothing waits. What is no referral's has an empty one, and
    what waits from a later moment on (``since``) is in no list before."""

    __tablename__ = "queue_entry"
    __table_args__ = (
        _by_age("since"),
        *(_by_age(column, column) for column in ("program", "exception", "recommendation")),
        # A list has no order of its own, so that each value of one has an index in which its entries are in order.
        _by_age("unflagged", only="flags = '{}'"),
        *(_by_age(f"flag_{flag}", only=f"flags @> '{{{flag}}}'") for flag in Flag),
        *(_by_age(f"route_{role}", only=f"routes @> '{{{role}}}'") for role in Role if role is not Role.ADMINISTRATOR),
        Index("ix_queue_entry_amount", "currency", "amount_minor", *_ENTRY, postgresql_where=text("amount_minor > 0")),
        Index("ix_queue_entry_remind_at", "remind_at", *_ENTRY, postgresql_where=text("remind_at IS NOT NULL")),
        Index(
            "ix_queue_entry_undated",
            "referral_id",
            postgresql_where=text(
                spelled(
                    "exception = 'approval' AND status = :awaiting AND remind_at IS NULL",
                    awaiting=ReferralStatus.AWAITING_APPROVAL,
                )
            ),
        ),
        Index("ix_queue_entry_referrer", "referrer"),
        Index("ix_queue_entry_customer", "customer"),
        Index("ix_queue_entry_order_id", "order_id"),
    )

    referral_id: str = by_code_point(primary_key=True)
    exception: str = by_code_point(
        primary_key=True
    )  # approval, late_fact, clawback, reported, cycle, or payout_ with the state of the payout
    subject: str = by_code_point(
        primary_key=True
    )  # which of several: a leg, a payout, a fact, a cycle; empty where there is one
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
    __table_args__ = (
        Index("ix_audit_event_actor", "actor", "id"),
        Index("ix_audit_event_act", "act", "id"),
        Index("ix_audit_event_subject", "subject", "id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    at: datetime = instant()
    actor: str
    act: str  # noun.verb: session.opened, user.barred, token.revoked, decision.recorded
    subject: str
    details: dict[str, Any] = document()
