"""Reward claims and the decisions made on them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from models.columns import by_code_point, document, instant, position, positions, texts


class ClaimRow(SQLModel, table=True):
    """A reward claim as it was assembled. Each new digest is a new row; the referral points at the current one."""

    __tablename__ = "reward_claim"
    __table_args__ = (
        Index("ix_reward_claim_referral_id", "referral_id"),
        Index("ix_reward_claim_position", "position"),
    )

    id: UUID = Field(primary_key=True)
    referral_id: str = by_code_point()
    round: int
    digest: str
    core_digest: str
    body: dict[str, Any] = document()
    facts_version: int
    referrer: str | None = None  # whose claim it is; None in claims older than the moving of attribution
    approved_rewards: int  # the referrer's count that selects the tier, frozen for the round
    assembled_at: datetime = instant()
    position: int = position()
    #: What was seen by whoever counted the rewards (``register_sight`` in ``positions.sql``); a trigger records it.
    sight: list[int] = positions()


class DecisionRow(SQLModel, table=True):
    """A signed decision in the hash chain; append-only (a trigger refuses update and delete).

    ``claim_id`` is the subject: the claim, or for a decision on money the payout, clawback case or cycle.
    """

    __tablename__ = "decision"
    __table_args__ = (
        Index("ix_decision_position", "position"),
        Index("ix_decision_referral_id", "referral_id"),
        Index("ix_decision_claim_id", "claim_id"),
        Index("ix_decision_hash", "hash"),
    )

    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    id: UUID = Field(unique=True)
    referral_id: str = by_code_point()
    claim_id: UUID
    digest: str
    kind: str
    username: str
    roles: list[str] = texts()
    reason: str
    note_commitment: str
    #: The details of a decision on money: an amount in minor units, a reference. Signed like the rest.
    details: dict[str, Any] | None = document(nullable=True)
    decided_at: datetime = instant()
    previous_hash: str
    hash: str
    key_id: str
    signature: str
    position: int = position()


class DecisionHead(SQLModel, table=True):
    """The signed end of the chain, in one row. It shows when decisions were deleted from the end."""

    __tablename__ = "decision_head"

    id: int = Field(default=1, primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    hash: str
    key_id: str
    signature: str


class DecisionEffect(SQLModel, table=True):
    """The outcome of a decision: applied, void (and why), or refused as forged."""

    __tablename__ = "decision_effect"

    decision_id: UUID = Field(primary_key=True)
    effect: str = Field(primary_key=True)
    at: datetime = instant()
    why: str


class Inquiry(SQLModel, table=True):
    """A source's answer to a question about a referral; append-only. The facts it reported are stored as facts."""

    __tablename__ = "inquiry"

    id: UUID = Field(primary_key=True)
    referral_id: str = by_code_point(index=True)
    moment: str  # report, assembly, approval, payout
    source: str
    subject: str  # an order, or a customer id
    asked_at: datetime = instant()
    answer: str  # confirmed, contradicted, unavailable
    sentence: str
    content_hash: str | None = None  # SHA-256 of the response body, if there was one
    position: int = position()
    ours: dict[str, Any] | None = document(nullable=True)  # our version of the order when it was asked
    theirs: dict[str, Any] | None = document(nullable=True)  # the source's, see domain/referrals/versions.py


class BlockedMark(SQLModel, table=True):
    """A blocked identity, device or instrument."""

    __tablename__ = "blocked_mark"

    mark: str = Field(primary_key=True)
    why: str
    blocked_at: datetime = instant()
    blocked_by: str
