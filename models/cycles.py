"""Payout cycles: on a set day a program's due legs are gathered, released by finance and paid together."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from models.columns import document, instant, minor


class PayoutCycleRow(SQLModel, table=True):
    """One cycle of a program. Its payouts form the list (`PayoutRow.cycle_id`); ``digest`` identifies the frozen
    list."""

    __tablename__ = "payout_cycle"
    __table_args__ = (
        Index("uq_payout_cycle_program_due_on", "program", "due_on", unique=True),
        Index("ix_payout_cycle_state", "state"),
    )

    id: UUID = Field(primary_key=True)
    program: str
    due_on: date  # in the program's time zone
    version: int  # of the terms that set this cycle
    minimum_minor: int | None = minor(nullable=True)
    currency: str  # of the minimum
    state: str  # collecting, frozen, released, stopped, done
    #: Where to resume gathering, releasing or closing; None means at the beginning.
    cursor: str | None = None
    digest: str | None = None
    turn: int = 0  # number of decisions on it that were carried out
    #: Counts and totals by currency and rail: what was frozen and what was carried forward.
    summary: dict[str, Any] = document()
    opened_at: datetime = instant()
    frozen_at: datetime | None = instant(nullable=True)
    done_at: datetime | None = instant(nullable=True)
    updated_at: datetime = instant()
