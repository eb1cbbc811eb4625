"""Users (people and services), their API tokens, and how people sign in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, Index, Text, text
from sqlmodel import Field, SQLModel

from models.columns import instant, none_yet, texts


class UserRow(SQLModel, table=True):
    """A person with roles, or a service with scopes. ``marks`` identify the person, to bar them from their own
    claims."""

    __tablename__ = "app_user"

    name: str = Field(primary_key=True)
    roles: list[str] = texts()
    scopes: list[str] = texts()
    marks: list[str] = texts()
    #: The sources and types of the facts that the user may tell; `*` is every one.
    tells_sources: list[str] = texts()
    tells_types: list[str] = texts()
    #: The programs whose referrals a service may read; `*` is every one.
    reads_programs: list[str] = texts()
    created_at: datetime = instant()
    barred_at: datetime | None = instant(nullable=True)
    #: The place of the transaction that barred them (``positions.sql``); a trigger sets it.
    barred_position: int | None = Field(default=None, sa_column=Column(BigInteger))
    password_hash: str | None = None  # argon2id; for local accounts only
    contact_id: UUID | None = None  # the personal data that holds the email address


class TokenRow(SQLModel, table=True):
    """An API token, stored as the SHA-256 of 256 random bits. It may do what its scopes allow, never more than its
    user."""

    __tablename__ = "api_token"

    id: UUID = Field(primary_key=True)
    username: str = Field(foreign_key="app_user.name", index=True)
    token_hash: str = Field(unique=True)
    #: The token that requested this one, if any. This one ends with it.
    issued_by: UUID | None = Field(default=None, foreign_key="api_token.id", index=True)
    label: str
    scopes: list[str] = texts()
    #: What it may tell of what its user may.
    tells_sources: list[str] = texts()
    tells_types: list[str] = texts()
    created_at: datetime = instant()
    expires_at: datetime | None = instant(nullable=True)
    revoked_at: datetime | None = instant(nullable=True)


class SessionRow(SQLModel, table=True):
    """A browser session of a user, identified by the SHA-256 of the cookie's value."""

    __tablename__ = "session"

    token_hash: str = Field(primary_key=True)
    username: str = Field(foreign_key="app_user.name", index=True)
    #: The roles from the identity provider at sign-in, if roles come from there; None means those of `UserRow`.
    roles: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text), nullable=True))
    #: What is known of the second factor (`domain.people.second_factor.Factor`), and when a code was shown last.
    factor: str
    factor_at: datetime | None = instant(nullable=True)
    began_at: datetime = instant()
    seen_at: datetime = instant()
    expires_at: datetime = instant(index=True)


class Identity(SQLModel, table=True):
    """The user who belongs to an identity at an OpenID provider, or did until it was unlinked: then nobody signs in by
    it until somebody links it again. Forgotten, it would come back as a new user: one person with two accounts."""

    __tablename__ = "oidc_identity"

    issuer: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    username: str = Field(foreign_key="app_user.name", index=True)
    unlinked_at: datetime | None = instant(nullable=True)


class SignInFlow(SQLModel, table=True):
    """A sign-in in progress at the OpenID provider, identified by the SHA-256 of its ``state``. It is used once."""

    __tablename__ = "oidc_flow"

    state_hash: str = Field(primary_key=True)
    nonce: str
    code_verifier: str
    return_to: str
    expires_at: datetime = instant(index=True)


class SecondFactor(SQLModel, table=True):
    """The second factor of a person who signs in with a password. Its secrets are sealed."""

    __tablename__ = "second_factor"

    username: str = Field(primary_key=True, foreign_key="app_user.name")
    #: The secret in force; None: not set up yet, or reset.
    secret: str | None = None
    #: A secret that is shown to be set up and was not confirmed by a code yet.
    offered: str | None = None
    enrolled_at: datetime | None = instant(nullable=True)
    #: The step of time of the newest code that was used: no code is used twice.
    last_step: int = none_yet()
    #: Who reset it, until there is another.
    reset_by: str | None = None
    reset_at: datetime | None = instant(nullable=True)


class AccountChange(SQLModel, table=True):
    """Somebody else changed how a user signs in, or where they are written to. Until it is confirmed, the user decides
    nothing. Its letter is the notice of the same id."""

    __tablename__ = "account_change"
    __table_args__ = (
        Index("ix_account_change_unconfirmed", "username", postgresql_where=text("confirmed_at IS NULL")),
    )

    id: UUID = Field(primary_key=True)
    username: str = Field(foreign_key="app_user.name")
    act: str  # an `AccountAct`
    changed_by: str
    changed_at: datetime = instant()
    #: The personal data that holds the address that was known before.
    known_contact_id: UUID | None = None
    confirmed_by: str | None = None
    confirmed_at: datetime | None = instant(nullable=True)


class RecoveryCode(SQLModel, table=True):
    """A code that stands in for the second factor once, stored as the SHA-256 of 80 random bits."""

    __tablename__ = "recovery_code"

    username: str = Field(primary_key=True, foreign_key="app_user.name")
    code_hash: str = Field(primary_key=True)
    used_at: datetime | None = instant(nullable=True)


class SignInStep(SQLModel, table=True):
    """A sign-in whose password was right and whose code is awaited, identified by the SHA-256 of the cookie's value."""

    __tablename__ = "sign_in_step"

    token_hash: str = Field(primary_key=True)
    username: str = Field(foreign_key="app_user.name", index=True)
    expires_at: datetime = instant(index=True)


class SignInFailure(SQLModel, table=True):
    """A failed sign-in. ``key`` is a keyed hash of what it is counted by: name and IP address, either, or a browser."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (Index("ix_sign_in_failure_key_at", "key", "at"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    key: str
    at: datetime = instant()
