"""Facts, the personal data that they refer to, and the keys by which a referral finds its facts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Column, Field, SQLModel

from models.columns import by_code_point, document, instant, position, texts


class FactRecord(SQLModel, table=True):
    """A recorded fact: public fields readable, people as marks. Append-only (a trigger refuses update and delete)."""

    __tablename__ = "fact"
    __table_args__ = (
        Index("ix_fact_position", "position", postgresql_where=text("type = 'satisfaction.rated'")),
        UniqueConstraint("source", "event_id", name="uq_fact_identity"),
        Index("ix_fact_partner", "id", postgresql_where=text("type = 'referrer.enrolled' AND data ? 'partner'")),
        Index("ix_fact_reported", "id", postgresql_where=text("type = 'conversion.reported'")),
        Index("ix_fact_method", text("(data->>'reference')"), postgresql_where=text("type = 'payee.method_set'")),
    )

    id: UUID = Field(primary_key=True)
    source: str = by_code_point()
    event_id: str = by_code_point()
    type: str
    occurred_at: datetime = instant()
    received_at: datetime = instant()
    data: dict[str, Any] = document()
    marks: list[str] = texts()
    digest: str  # hash over the public fields and the salted commitment to the personal ones
    content_mac: str  # keyed hash of the whole payload: distinguishes a repeat from a conflict without the payload
    batch_id: UUID | None = None
    teller_id: UUID | None = None  # a `FactTeller`; None: this installation itself
    position: int = position()


class FactTeller(SQLModel, table=True):
    """Who told facts, with which token, and what they could tell when these were received. Append-only. The ``id``
    follows from the rest, so that facts of one teller share a row until their rights change."""

    __tablename__ = "fact_teller"

    id: UUID = Field(primary_key=True)
    username: str
    token_id: UUID | None = None
    sources: list[str] = texts()
    types: list[str] = texts()


class PersonalData(SQLModel, table=True):
    """The full text of a fact, note or letter, sealed with the salt of its commitment (`referral_rewards.personal`).
    Erasing it blanks ``sealed``; the commitment remains."""

    __tablename__ = "personal_data"

    subject_id: UUID = Field(primary_key=True)
    sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    commitment: str
    erased_at: datetime | None = instant(nullable=True)


class FactKey(SQLModel, table=True):
    """A key under which a fact can be found: ``order:o1``, ``email:<mark>``, ``referral:r1``."""

    __tablename__ = "fact_key"
    __table_args__ = (Index("ix_fact_key_fact_id", "fact_id"),)  # an audit and an erasing look up the keys of facts

    key: str = by_code_point(primary_key=True)
    fact_id: UUID = Field(primary_key=True)


class ReferralKey(SQLModel, table=True):
    """A key that a referral listens to: every fact found under it is one of the referral's facts."""

    __tablename__ = "referral_key"
    __table_args__ = (Index("ix_referral_key_referral_id", "referral_id"),)

    key: str = by_code_point(primary_key=True)
    referral_id: str = by_code_point(primary_key=True)


class ReferralFact(SQLModel, table=True):
    """A fact of a referral, with the ``facts_version`` that it raised the referral to."""

    __tablename__ = "referral_fact"

    referral_id: str = by_code_point(primary_key=True)
    fact_id: UUID = Field(primary_key=True)
    version: int


class IngestBatch(SQLModel, table=True):
    """A file or batch of facts. Its wake-ups are released together when it is complete (SPEC §4 Closing)."""

    __tablename__ = "ingest_batch"

    id: UUID = Field(primary_key=True)
    name: str = Field(unique=True)  # holds the file's content hash, so that an interrupted import resumes
    opened_at: datetime = instant()
    finished_at: datetime | None = instant(nullable=True)
