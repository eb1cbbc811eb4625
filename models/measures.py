"""The measures (SPEC §8): what each referral adds to them, and their daily sums.

Both are derived from the register and nothing else reads them: they can be deleted and computed anew.
"""

from datetime import date

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, minor


def _counter() -> int:
    field: int = Field(sa_column=Column(BigInteger, nullable=False))
    return field


class MeasuredContribution(SQLModel, table=True):
    """What one referral adds to a figure on a day of its program's calendar, as in `domain.measures.figures`."""

    __tablename__ = "measured_contribution"
    __table_args__ = (
        Index("ix_measured_contribution_referral_id", "referral_id"),
        Index("ix_measured_contribution_figure", "program", "figure", "part", "day"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    referral_id: str = by_code_point()
    program: str
    figure: str
    part: str = by_code_point()
    currency: str
    day: date
    n: int = _counter()
    amount: int = minor()  # minor units of the currency, or microseconds without one


class MeasuredTotal(SQLModel, table=True):
    """The sum of all contributions of a program to a part of a figure on one day."""

    __tablename__ = "measured_total"

    program: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    figure: str = Field(primary_key=True)
    part: str = by_code_point(primary_key=True)
    currency: str = Field(primary_key=True)
    n: int = _counter()
    amount: int = minor()


class ToMeasure(SQLModel, table=True):
    """A referral whose contributions may have changed. Triggers on what they are derived from write it."""

    __tablename__ = "to_measure"

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    referral_id: str = by_code_point()
