"""The tables of the approvers' desk: the queue and what was set aside there, saved views, and the audit log."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, document, instant, minor, texts
from models.statuses import spelled
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus

#: The tie-breaker between queue entries that sort alike. Every index that is read in order ends in it.
_ENTRY: Final = ("referral_id", "exception", "subject")


def _by_age(name: str, *columns: str, only: str | None = None) -> Index:
    """Return an index of entries by age, within each value of ``columns`` or only for entries that satisfy ``only``."""
    where = None if only is None else text(only)
    return Index(f"ix_queue_entry_{name}", *dict.fromkeys((*columns, "since", *_ENTRY)), postgresql_where=where)


class QueueEntry(SQLModel, table=True):
    """One thing that waits for a person: a claim to approve, or an exception.

    A projection: each verdict on the referral rewrites its entries, and an entry is deleted when nothing waits.
    ``referral_id`` is empty if no referral is concerned. An entry whose ``since`` is in the future is not listed yet.
    """

    __tablename__ = "queue_entry"
    __table_args__ = (
        _by_age("since"),
        *(_by_age(column, column) for column in ("program", "exception", "recommendation")),
        # An array column cannot be sorted by, so each of its values has an index with its entries in order.
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
    exception: str = by_code_point(primary_key=True)  # a member of `Waits`
    #: The leg, payout, fact, cycle, rail or forgotten payment, where there can be several; else empty.
    subject: str = by_code_point(primary_key=True)
    program: str
    status: str
    reason: str | None = None
    about: str | None = None  # one sentence about an exception
    referrer: str | None = by_code_point(nullable=True)
    customer: str | None = by_code_point(nullable=True)
    order_id: str | None = by_code_point(nullable=True)
    recommendation: str | None = None
    flags: list[str] = texts()
    routes: list[str] = texts()
    amount_minor: int = minor()  # total of the legs, zero without any
    currency: str | None = None
    since: datetime = instant()
    remind_at: datetime | None = instant(nullable=True)  # overdue from this time on
    escalate_at: datetime | None = instant(nullable=True)


class SetAside(SQLModel, table=True):
    """Somebody said that nothing is to be done about an exception of the queue for now. Append-only (by a trigger).

    The note is personal data under this id. ``seen`` is how much was told of it by then: more brings it back.
    """

    __tablename__ = "set_aside"
    __table_args__ = (Index("ix_set_aside_entry", "referral_id", "exception", "subject"),)

    id: UUID = Field(primary_key=True)
    referral_id: str = by_code_point()  # empty if it belongs to none
    exception: str = by_code_point()
    subject: str = by_code_point()
    seen: int
    username: str = Field(foreign_key="app_user.name")
    at: datetime = instant()


class SavedView(SQLModel, table=True):
    """A queue search that a user saved under a name."""

    __tablename__ = "saved_view"

    username: str = Field(primary_key=True, foreign_key="app_user.name")
    name: str = Field(primary_key=True)
    query: str  # as in the page's URL


class AuditEvent(SQLModel, table=True):
    """The audit log: who did what, when. Sign-ins, users, tokens, programs, decisions. Append-only (by a trigger)."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_actor", "actor", "act", "at", "id"),
        Index("ix_audit_event_act", "act", "at", "id"),
        Index("ix_audit_event_subject", "subject", "id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    at: datetime = instant()
    actor: str
    act: str  # noun.verb: session.opened, user.barred, token.revoked, decision.recorded
    subject: str
    details: dict[str, Any] = document()
