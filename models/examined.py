"""What the examination of paid rewards came to (SPEC §8, `referral_reward_eligibility_accuracy`), kept for the reports.

It is derived from the register and nothing but the reports reads it: it can be deleted and computed anew.
"""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, document, texts


def _counter() -> int:
    field: int = Field(sa_column=Column(BigInteger, nullable=False))
    return field


class ExaminedReward(SQLModel, table=True):
    """A paid reward, the parts of its accuracy that do not hold, and why; ``day`` is when it settled, on its program's
    calendar."""

    __tablename__ = "examined_reward"
    __table_args__ = (
        Index("ix_examined_reward_referral_id", "referral_id"),
        Index("ix_examined_reward_referrer", "program", "referrer", "day"),
        Index("ix_examined_reward_failing", "program", "day", postgresql_where=text("failing <> '{}'")),
    )

    leg_id: UUID = Field(primary_key=True)
    referral_id: str = by_code_point()
    program: str
    referrer: str
    role: str
    day: date
    failing: list[str] = texts()
    by_decision: bool  # it holds, and in some part only because people decided so by name
    marks_removed: bool  # the marks of a person of it are gone by retention
    findings: list[dict[str, Any]] = document()


class ExaminedTotal(SQLModel, table=True):
    """How many rewards of a program were paid on a day, how many of them hold, and how many of these by decision."""

    __tablename__ = "examined_total"

    program: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    paid: int = _counter()
    accurate: int = _counter()
    by_decision: int = _counter()
    marks_removed: int = _counter()


class ToExamine(SQLModel, table=True):
    """A referral of which a reward was paid, or came back. A trigger on payouts writes it."""

    __tablename__ = "to_examine"

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    referral_id: str = by_code_point()
