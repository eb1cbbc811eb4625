"""People and programs that may ask something of us, the tokens they show, and how people sign in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, Index, Text
from sqlmodel import Field, SQLModel

from models.columns import instant, texts


class UserRow(SQLModel, table=True):
    """A person with roles, or a service with scopes. ``marks`` say who the person is, to bar them from own claims."""

    __tablename__ = "app_user"

    name: str = Field(primary_key=True)
    roles: list[str] = texts()
    scopes: list[str] = texts()
    marks: list[str] = texts()
    created_at: datetime = instant()
    barred_at: datetime | None = instant(nullable=True)
    password_hash: str | None = None  # argon2id, of those who sign in with a local account
    contact_id: UUID | None = None  # the personal data that holds the address to write to


class TokenRow(SQLModel, table=True):
    """An API token, as the SHA-256 of 256 random bits. It can do what its scopes say, and no more than its user."""

    __tablename__ = "api_token"

    id: UUID = Field(primary_key=True)
    username: str = Field(foreign_key="app_user.name", index=True)
    token_hash: str = Field(unique=True)
    #: The token that asked for it, if one did: it ends with that one.
    issued_by: UUID | None = Field(default=None, foreign_key="api_token.id", index=True)
    label: str
    scopes: list[str] = texts()
    created_at: datetime = instant()
    expires_at: datetime | None = instant(nullable=True)
    revoked_at: datetime | None = instant(nullable=True)


class SessionRow(SQLModel, table=True):
    """Somebody signed in with a browser, by the SHA-256 of what the cookie holds."""

    __tablename__ = "session"

    token_hash: str = Field(primary_key=True)
    username: str = Field(foreign_key="app_user.name", index=True)
    #: What the identity provider said at sign-in, where roles come from there; None: the user's own row says.
    roles: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text), nullable=True))
    began_at: datetime = instant()
    seen_at: datetime = instant()
    expires_at: datetime = instant(index=True)


class Identity(SQLModel, table=True):
    """Which of our users somebody is whom an OpenID provider knows."""

    __tablename__ = "oidc_identity"

    issuer: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    username: str = Field(foreign_key="app_user.name", index=True)


class SignInFlow(SQLModel, table=True):
    """A sign-in that is on its way at the OpenID provider, by the SHA-256 of its ``state``; used once."""

    __tablename__ = "oidc_flow"

    state_hash: str = Field(primary_key=True)
    nonce: str
    code_verifier: str
    return_to: str
    expires_at: datetime = instant(index=True)


class SignInFailure(SQLModel, table=True):
    """A failed attempt to sign in; ``key`` is a keyed hash of the name or of the address it came from."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (Index("ix_sign_in_failure_key_at", "key", "at"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    key: str
    at: datetime = instant()
