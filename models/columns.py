"""The column types that the tables share."""

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field


def instant(*, nullable: bool = False, index: bool = False, default_now: bool = False) -> Any:
    """An aware UTC instant (``timestamptz``)."""
    column = Column(
        DateTime(timezone=True),
        nullable=nullable,
        index=index,
        server_default=text("now()") if default_now else None,
    )
    return Field(default=None, sa_column=column) if nullable or default_now else Field(sa_column=column)


def document(*, nullable: bool = False) -> Any:
    """A JSON document (``jsonb``)."""
    return Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=nullable))


def texts() -> Any:
    """A list of texts (``text[]``), empty by default."""
    return Field(
        default_factory=list,
        sa_column=Column(ARRAY(Text), nullable=False, server_default="{}"),
    )


def minor(*, nullable: bool = False) -> Any:
    """Money in minor units (``bigint``)."""
    return Field(default=None, sa_column=Column(BigInteger, nullable=nullable))


def none_yet() -> Any:
    """Money in minor units that is zero unless something sets it."""
    return Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))


def position() -> Any:
    """The place of the row among all that was ever committed (``positions.sql``); the database sets it."""
    column = Column(BigInteger, nullable=False, server_default=text("register_position()"))
    return Field(default=None, sa_column=column)


def positions() -> Any:
    """Places of transactions, in the order that the database gives them."""
    return Field(default_factory=list, sa_column=Column(ARRAY(BigInteger), nullable=False, server_default="{}"))


def off() -> Any:
    """A boolean that is false unless something sets it."""
    return Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))


def by_code_point(*, primary_key: bool = False, nullable: bool = False, index: bool | None = None) -> Any:
    """A text compared by code point, whatever the database's locale (SPEC §4: ties by code point)."""
    column = Column(String(collation="C"), primary_key=primary_key, nullable=nullable, index=index)
    return Field(default=None, sa_column=column)
