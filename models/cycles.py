"""Payout cycles: on a day of the program's calendar its due legs are gathered, shown to finance, and paid together."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from models.columns import document, instant, minor


class PayoutCycleRow(SQLModel, table=True):
    """One cycle of a program. Its list is its payouts (`PayoutRow.cycle_id`); ``digest`` names the frozen list."""

    __tablename__ = "payout_cycle"
    __table_args__ = (
        Index("uq_payout_cycle_program_due_on", "program", "due_on", unique=True),
        Index("ix_payout_cycle_state", "state"),
    )

    id: UUID = Field(primary_key=True)
    program: str
    due_on: date  # in the program's time zone
    version: int  # of the terms that said so
    minimum_minor: int | None = minor(nullable=True)
    currency: str  # of the minimum
    state: str  # collecting, frozen, released, stopped, done
    #: How far gathering, releasing or closing came, so that it is taken up there; None: at the beginning.
    cursor: str | None = None
    digest: str | None = None
    turn: int = 0  # decisions on it that were carried out
    #: Counts and sums by currency and rail, of what was frozen and of what was carried forward.
    summary: dict[str, Any] = document()
    opened_at: datetime = instant()
    frozen_at: datetime | None = instant(nullable=True)
    done_at: datetime | None = instant(nullable=True)
    updated_at: datetime = instant()
