"""What a restored register lost and forgot, and the secrets that belong to a register."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.columns import instant, minor


class RegisterRestore(SQLModel, table=True):
    """A restore of the register to an earlier state, found by its mark or recorded by a person. Append-only."""

    __tablename__ = "register_restore"

    number: int = Field(primary_key=True)  # counts up from 1; the mark outside the register has it, too
    restored_to: datetime = instant()  # what was paid since may be forgotten
    found_at: datetime = instant()
    found_by: str  # a user, or the process that found it
    lost: str  # what the register lacks, or why a person recorded it


class RestoredRail(SQLModel, table=True):
    """A rail that is halted after a restore until a person opens it again. The newest restore of each rail."""

    __tablename__ = "restored_rail"

    rail: str = Field(primary_key=True)
    restore: int = Field(foreign_key="register_restore.number")
    restored_to: datetime = instant()
    halted_at: datetime = instant()
    why: str
    reopened_at: datetime | None = instant(nullable=True)
    reopened_by: UUID | None = None  # the decision


class ForgottenPayment(SQLModel, table=True):
    """A payment that a rail shows under an id of ours and that the register lacks. It is never deleted."""

    __tablename__ = "forgotten_payment"
    __table_args__ = (
        Index("uq_forgotten_payment", "rail", "reference", unique=True),
        CheckConstraint("assigned_to IS NULL OR disowned_at IS NULL", name="ck_forgotten_payment_one_end"),
    )

    id: UUID = Field(primary_key=True)  # derived from rail and reference
    rail: str
    reference: str
    payout_id: UUID  # the payout that it names
    payee: str | None = None
    destination: str | None = None
    amount_minor: int | None = minor(nullable=True)
    currency: str
    state: str  # paid, under_way
    made_at: datetime | None = instant(nullable=True)
    found_at: datetime = instant()
    assigned_to: UUID | None = None  # the payout that a person said it was
    disowned_at: datetime | None = instant(nullable=True)  # when a person said that it belongs to nobody here
    decision_id: UUID | None = None


class ForgottenReversal(SQLModel, table=True):
    """What a rail took back of a payment and no reversal of ours accounted for. It is never deleted.

    The register forgot it with a restore, or somebody made it by hand. Later reversals adopt it instead of being sent.
    """

    __tablename__ = "forgotten_reversal"
    __table_args__ = (
        CheckConstraint("adopted_minor BETWEEN 0 AND amount_minor", name="ck_forgotten_reversal_adopted"),
        Index("ix_forgotten_reversal_payout_id", "payout_id"),
    )

    id: UUID = Field(primary_key=True)  # derived from rail, payout and reference
    payout_id: UUID
    rail: str
    reference: str  # the rail's own
    amount_minor: int = minor()
    adopted_minor: int = minor()  # what clawbacks of ours count as theirs
    currency: str
    found_at: datetime = instant()


class ReversalLook(SQLModel, table=True):
    """When a rail was last asked what it took back of a payment; null: it is to be asked."""

    __tablename__ = "reversal_look"

    payout_id: UUID = Field(primary_key=True)
    asked_at: datetime | None = instant(nullable=True)


class RegisterSecret(SQLModel, table=True):
    """The fingerprint of a secret that belongs to this register; a process with another one does not start."""

    __tablename__ = "register_secret"

    name: str = Field(primary_key=True)  # pepper, signing_key
    fingerprint: str
    noted_at: datetime = instant()
