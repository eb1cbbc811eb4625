"""Programs: the immutable, numbered versions of their terms."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

from models.columns import document, instant


class ProgramVersion(SQLModel, table=True):
    """One published version of a program's terms. A trigger refuses update and delete."""

    __tablename__ = "program_version"

    program: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    effective_from: datetime = instant()
    terms: dict[str, Any] = document()
    source: str  # the YAML as it was published, comments included
    published_at: datetime = instant()
    published_by: str


class ProgramLifeRow(SQLModel, table=True):
    """When the acts on a program, or a new budget, are to be carried out next: its referrals and payouts are woken.

    What was decided stands in the signed decisions alone.
    """

    __tablename__ = "program_life"

    program: str = Field(primary_key=True)
    told: int = Field(sa_column=Column(BigInteger, nullable=False))  # raised by each act and each new budget
    due_at: datetime | None = instant(nullable=True)  # None: nothing is to come
