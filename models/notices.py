"""The communication history: what was told to whom, by which channel, and what came of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, instant


class Notice(SQLModel, table=True):
    """One message to one recipient. Planned with the verdict that gives rise to it; carried out by a worker.

    It names its recipient by an id (a user, a beneficiary, a webhook), never by an address. What was written stands in
    the personal data under its id.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_referral_id", "referral_id"),
        Index("ix_notice_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)  # derived from what gave rise to it: the same occasion is told once
    referral_id: str = by_code_point()
    program: str
    template: str
    audience: str  # referrer, referee, approvers, webhook
    recipient: str
    channel: str  # email, webhook
    occasion: str  # what gave rise to it: a step, a claim's digest, a decision
    planned_at: datetime = instant()
    state: str  # waiting, held, sent, suppressed, undeliverable, failed
    why: str | None = None
    attempts: int = 0
    due_at: datetime | None = instant(nullable=True)  # when it is to be tried (again); None: at rest
    settled_at: datetime | None = instant(nullable=True)
