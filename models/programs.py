"""Programs: the immutable, numbered versions of their terms."""

from datetime import datetime
from typing import Any

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
