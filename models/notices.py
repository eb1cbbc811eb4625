"""The communication history: what was told to whom, by which channel, and what came of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, instant, texts


class Notice(SQLModel, table=True):
    """One message to one recipient. Planned with the verdict that gives rise to it; carried out by a worker.

    It names its recipient by an id (a user, a beneficiary, a webhook), never by an address. What was written stands in
    the personal data under its id.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_referral_id", "referral_id"),
        Index("ix_notice_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_notice_settled_at", "settled_at", "state"),
    )

    id: UUID = Field(primary_key=True)  # derived from what gave rise to it: the same occasion is told once
    referral_id: str = by_code_point()
    program: str
    template: str
    audience: str  # referrer, referee, approvers, webhook
    recipient: str  # a beneficiary's or user's id, a webhook's name
    channel: str  # email, webhook
    occasion: str  # what gave rise to it: a step, a claim's digest, a decision
    planned_at: datetime = instant()
    state: str  # waiting, held, sent, suppressed, undeliverable, failed
    why: str | None = None
    attempts: int = 0
    due_at: datetime | None = instant(nullable=True)  # when it is to be tried (again); None: at rest
    settled_at: datetime | None = instant(nullable=True)


class WebhookEndpoint(SQLModel, table=True):
    """Somebody outside who is told of events, by the name in the settings of the workers that carry it out.

    It stands here so that what gives rise to an event can plan the telling of it; address and secret do not.
    """

    __tablename__ = "webhook_endpoint"

    name: str = Field(primary_key=True)
    events: list[str] = texts()  # types of events; one that ends in ``*`` stands for all that begin so
