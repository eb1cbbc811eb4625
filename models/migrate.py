"""Migrates a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError

from models.grants import Roles, statements
from referral_rewards.domain.errors import SchemaUnknown

__all__ = ["Roles", "configuration", "statements", "upgrade"]


def configuration(database_url: str, roles: Roles | None = None) -> Config:
    """Return Alembic's configuration for one database (``postgresql+psycopg://…``), and for its roles, if any."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["database_url"] = database_url
    config.attributes["roles"] = roles
    return config


def upgrade(database_url: str, roles: Roles | None = None) -> None:
    """Apply every missing migration, and carry the order of commits on where a dump of another server was restored
    (``positions.sql``). Grant ``roles``, if there are any, what they need (``grants.sql``). All of it happens, or
    nothing. Blocks until done.

    Raises:
        SchemaUnknown: if the database is at a revision that this version does not know.
        BadInput: if a role does not exist.
    """
    try:
        command.upgrade(configuration(database_url, roles), "head")
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise SchemaUnknown(error.__cause__.argument) from None
        raise
