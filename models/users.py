"""People and programs that may ask something of us, and the tokens they show."""

from datetime import datetime
from uuid import UUID

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


class TokenRow(SQLModel, table=True):
    """An API token, stored as a SHA-256 of 256 random bits."""

    __tablename__ = "api_token"

    id: UUID = Field(primary_key=True)
    username: str = Field(foreign_key="app_user.name", index=True)
    token_hash: str = Field(unique=True)
    created_at: datetime = instant()
    revoked_at: datetime | None = instant(nullable=True)
