"""What was found out beside the facts: what sources answered when asked, and whom the installation blocks."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel

from models.columns import by_code_point, instant


class Inquiry(SQLModel, table=True):
    """What a source answered when it was asked about a referral; append-only. What it told are facts like any other."""

    __tablename__ = "inquiry"

    id: UUID = Field(primary_key=True)
    referral_id: str = by_code_point(index=True)
    moment: str  # report, assembly, approval, payout
    source: str
    subject: str  # an order, or a customer id
    asked_at: datetime = instant()
    answer: str  # confirmed, contradicted, unavailable
    sentence: str
    content_hash: str | None = None  # SHA-256 of what came, if anything did


class BlockedMark(SQLModel, table=True):
    """An identity, device or instrument that the installation trusts no more."""

    __tablename__ = "blocked_mark"

    mark: str = Field(primary_key=True)
    why: str
    blocked_at: datetime = instant()
    blocked_by: str
