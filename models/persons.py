"""The erasing of persons: what was asked for, what it waits for, and when it was done."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from models.columns import instant, none_yet, texts


class PersonErasure(SQLModel, table=True):
    """One request to erase a person. It names them by ids and keyed hashes alone, and is never deleted."""

    __tablename__ = "person_erasure"
    __table_args__ = (
        Index("ix_person_erasure_tried_at", "tried_at", "id", postgresql_where=text("erased_at IS NULL")),
    )

    id: UUID = Field(primary_key=True)
    names: list[str] = texts()  # marks, and ids as ``referrer:…``: what was asked for
    asked_by: str
    asked_at: datetime = instant()
    tried_at: datetime = instant()
    waits: list[str] = texts()  # what was open when it was tried last
    erased_at: datetime | None = instant(nullable=True)
    texts_blanked: int = none_yet()
    payloads_blanked: int = none_yet()
