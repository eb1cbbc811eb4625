"""The double-entry ledger. The database refuses a transaction that does not balance, and any change of a posting."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, literal_column
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, instant, minor, position


class LedgerTransaction(SQLModel, table=True):
    """One business event in the books. Its unique ``key`` prevents a second posting."""

    __tablename__ = "ledger_transaction"
    __table_args__ = (
        Index("ix_ledger_transaction_position", "position"),
        Index("ix_ledger_transaction_kind", literal_column("split_part(key, ':', 1)"), "posted_at", "id"),
    )

    id: UUID = Field(primary_key=True)
    key: str = Field(unique=True)
    description: str
    posted_at: datetime = instant()
    program: str
    referral_id: str = by_code_point(index=True)
    position: int = position()


class Posting(SQLModel, table=True):
    """One line of a transaction in minor units: debits are positive, credits negative."""

    __tablename__ = "posting"
    __table_args__ = (
        Index("ix_posting_account", "account", "currency"),
        CheckConstraint(
            "account ~ '^(expense|loss|payable|credit|withholding|recoverable|clearing):.'", name="ck_posting_account"
        ),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="ck_posting_currency"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    transaction_id: UUID = Field(foreign_key="ledger_transaction.id", index=True)
    account: str
    amount_minor: int = minor()
    currency: str
