"""The communication history: which notice went to whom, over which channel, and its outcome."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, Integer, text
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, instant, texts


class Notice(SQLModel, table=True):
    """One message to one recipient. It is planned together with the verdict that causes it, and sent by a worker.

    The recipient is an id (a user, a beneficiary, a webhook), never an address. The text that was sent is stored as
    personal data under the notice's id.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_referral_id", "referral_id"),
        Index("ix_notice_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_notice_settled_at", "settled_at", "state"),
    )

    id: UUID = Field(primary_key=True)  # derived from the occasion, so that each occasion is planned once
    referral_id: str = by_code_point()  # empty where it is about the recipient's own account, as the program then is
    program: str
    template: str
    audience: str  # referrer, referee, approvers, webhook
    recipient: str  # a beneficiary's or user's id, a webhook's name
    channel: str  # email, webhook
    occasion: str  # its cause: a step, a claim's digest, a decision
    planned_at: datetime = instant()
    state: str  # waiting, held, sent, suppressed, undeliverable, failed
    why: str | None = None
    attempts: int = 0
    due_at: datetime | None = instant(nullable=True)  # when to try (again); None when at rest
    settled_at: datetime | None = instant(nullable=True)


class WebhookEndpoint(SQLModel, table=True):
    """An outside endpoint that receives events, under its name in the workers' settings.

    The row lets any process plan notices for the endpoint. Its URL and secret are only in the workers' settings.
    """

    __tablename__ = "webhook_endpoint"

    name: str = Field(primary_key=True)
    events: list[str] = texts()  # event types; a trailing ``*`` matches any ending
    #: The place in the feed of measurement events up to which it was told; None until it first asked for them.
    told_up_to: str | None = None
    tries: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    due_at: datetime = instant(default_now=True)  # when the next event is to be told
