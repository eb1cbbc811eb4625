"""What vendors told us: each event as it came, what was made of it, and whose names are of which order."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Column, Field, SQLModel

from models.columns import by_code_point, document, instant
from models.statuses import spelled
from referral_rewards.vendors.telling import Outcome

#: What may wait for a person.
_STUCK = (Outcome.WAITING, Outcome.UNREADABLE)


class SourceEvent(SQLModel, table=True):
    """An event of a source, recorded once under the id that its vendor gave it. Append-only (by a trigger)."""

    __tablename__ = "source_event"
    __table_args__ = (
        UniqueConstraint("source", "event_id", name="uq_source_event_identity"),
        Index("ix_source_event_received", "source", "received_at", "id"),
    )

    id: UUID = Field(primary_key=True)
    source: str = by_code_point()  # the name of its address
    event_id: str = by_code_point()
    type: str
    at: datetime | None = instant(nullable=True)  # by the vendor's clock
    received_at: datetime = instant()


class SourcePayload(SQLModel, table=True):
    """An event as it came, byte by byte, with the headers that it is read by and its URL: sealed, as it holds personal
    data. It is never deleted, and never changed but to be sealed anew or erased (a trigger)."""

    __tablename__ = "source_payload"

    event: UUID = Field(primary_key=True)
    sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    erased_at: datetime | None = instant(nullable=True)


class SourceReading(SQLModel, table=True):
    """What was made of an event when it was read last. ``facts`` are all that were ever made of it, by their ids."""

    __tablename__ = "source_reading"
    __table_args__ = (
        Index("ix_source_reading_facts", "facts", postgresql_using="gin"),
        Index("ix_source_reading_awaits", "source", "awaits", postgresql_where=text("awaits IS NOT NULL")),
        Index(
            "ix_source_reading_stuck",
            "source",
            "read_at",
            postgresql_where=text(spelled("outcome IN :stuck", stuck=_STUCK)),
        ),
    )

    event: UUID = Field(primary_key=True)
    source: str = by_code_point()
    outcome: str  # a member of `Outcome`
    why: str | None = None
    awaits: str | None = by_code_point(nullable=True)  # a name that no event has linked to an order yet
    facts: list[Any] = document()
    read_at: datetime = instant()


class SourceCursor(SQLModel, table=True):
    """How far a source was pulled, and how that went. ``since_at`` to ``place`` are a `Cursor`; ``version`` counts its
    changes. ``events_new`` and ``events_known`` count what pulls brought since the first one."""

    __tablename__ = "source_cursor"

    source: str = by_code_point(primary_key=True)
    version: int
    since_at: datetime = instant()
    opened_at: datetime | None = instant(nullable=True)
    place: str | None = None
    begun_at: datetime = instant()
    succeeded_at: datetime | None = instant(nullable=True)  # when a window was last read to its end
    problem: str | None = None
    events_new: int = Field(sa_type=BigInteger)
    events_known: int = Field(sa_type=BigInteger)
    forgotten_since_at: datetime | None = instant(nullable=True)  # what happened since, and before the other,
    forgotten_until_at: datetime | None = instant(nullable=True)  # was never asked for: the vendor forgot it


class SourceName(SQLModel, table=True):
    """A name of a vendor's, as of a payment, and the order that it is of. The first link stands. Append-only."""

    __tablename__ = "source_name"
    __table_args__ = (Index("ix_source_name_order", "source", "order_id"),)

    source: str = by_code_point(primary_key=True)
    name: str = by_code_point(primary_key=True)
    order_id: str
    store: str | None = None
