"""Migrates a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError

from referral_rewards.domain.errors import SchemaUnknown


def configuration(database_url: str) -> Config:
    """Return Alembic's configuration for one database (``postgresql+psycopg://…``)."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str) -> None:
    """Apply every missing migration, and carry the order of commits on where a dump of another server was restored
    (``positions.sql``). Blocks until done.

    Raises:
        SchemaUnknown: if the database is at a revision that this version does not know.
    """
    try:
        command.upgrade(configuration(database_url), "head")
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise SchemaUnknown(error.__cause__.argument) from None
        raise
