"""The erasing of persons: what was asked for, what it waits for, when it was done, and when their marks went."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from models.columns import instant, none_yet, texts


class PersonErasure(SQLModel, table=True):
    """One request to erase a person. It names them by ids and keyed hashes alone, and is never deleted.

    When the marks go, those in its names go too.
    """

    __tablename__ = "person_erasure"
    __table_args__ = (
        Index("ix_person_erasure_tried_at", "tried_at", "id", postgresql_where=text("erased_at IS NULL")),
        Index(
            "ix_person_erasure_kept_at",
            "asked_at",
            "id",
            postgresql_where=text("kept_at IS NULL OR kept_at < erased_at"),
        ),
        Index(
            "ix_person_erasure_marks_looked_at",
            text("marks_looked_at NULLS FIRST"),
            "id",
            postgresql_where=text("erased_at IS NOT NULL AND marks_removed_at IS NULL"),
        ),
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
    restored_at: datetime | None = instant(nullable=True)  # when a restored register was found to lack it
    kept_at: datetime | None = instant(nullable=True)  # when it was kept outside of the register too
    marks_looked_at: datetime | None = instant(nullable=True)
    marks_due_at: datetime | None = instant(nullable=True)  # when the marks go if nothing happens until then
    marks_stay: str | None = None  # why they stay, in words
    marks_removed_at: datetime | None = instant(nullable=True)
    facts_without_marks: int = none_yet()


class ErasedMark(SQLModel, table=True):
    """That a fact's text was erased, and when its marks went, under which setting. Never deleted, changed once.

    ``seal`` is a salted hash over the marks as they stand: whoever changes them otherwise is found.
    """

    __tablename__ = "erased_mark"
    __table_args__ = (
        CheckConstraint(
            "(removed_at IS NULL) = (paid_days IS NULL) AND (removed_at IS NULL) = (unpaid_days IS NULL)",
            name="ck_erased_mark_removed",
        ),
        CheckConstraint("paid_days >= 30 AND unpaid_days >= 30", name="ck_erased_mark_days"),
    )

    fact_id: UUID = Field(primary_key=True)
    erasure: UUID = Field(foreign_key="person_erasure.id")
    seal: str
    removed_at: datetime | None = instant(nullable=True)
    paid_days: int | None = None  # the settings when the marks went
    unpaid_days: int | None = None
