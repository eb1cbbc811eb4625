"""Alembic's environment. It runs online only, with the URL that `models.migrate` passes in."""

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from models import grants, metadata

# Nothing is prepared: each statement is sent once, and behind a pooler its name might be another's.
engine = create_engine(
    context.config.attributes["database_url"], poolclass=NullPool, connect_args={"prepare_threshold": None}
)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
        connection.execute(text("SELECT carry_on_positions()"))
        if (roles := context.config.attributes["roles"]) is not None:
            grants.apply(connection, roles)
