"""Whether a process connects to the database by a role that may do more than a process of ours needs."""

from typing import Final

from sqlalchemy import text

from models.session import Database

_REMEDY: Final = "give this process a role of its own (docs/guides/database-roles.md)"


async def excess(database: Database) -> str | None:
    """Return what the role of this process may do that none of ours needs, in one sentence; None if nothing.

    A database without our schema has nothing that could be changed.
    """
    async with database.reading() as connection:
        row = (await connection.execute(_POWER)).one()
    return sentence(row.name, superuser=row.superuser, owned=row.owned, changeable=row.changeable)


def sentence(name: str, *, superuser: bool, owned: list[str], changeable: list[str]) -> str | None:
    """Say what a role may do too much. ``owned`` are tables of ours that it may alter, as a member of their owner, and
    ``changeable`` append-only tables whose rows it may update, delete or truncate."""
    if superuser:
        why = "a superuser, who can change every row and every trigger"
    elif owned:
        why = "the owner of the tables, who can switch off the triggers that keep the record"
    elif changeable:
        why = f"who may change what only grows ({', '.join(changeable)})"
    else:
        return None
    return f"connects to the database as {name}, {why}; {_REMEDY}"


_POWER: Final = text("""
WITH grows AS (
    SELECT DISTINCT c.oid, c.relname, c.relowner FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE t.tgname = c.relname || '_append_only' AND c.relnamespace = 'public'::regnamespace
)
SELECT current_user AS name, r.rolsuper AS superuser,
       ARRAY(SELECT CAST(relname AS text) FROM grows WHERE pg_has_role(current_user, relowner, 'MEMBER') ORDER BY 1)
           AS owned,
       ARRAY(
           SELECT CAST(relname AS text) FROM grows
           WHERE has_any_column_privilege(oid, 'UPDATE') OR has_table_privilege(oid, 'DELETE, TRUNCATE') ORDER BY 1
       ) AS changeable
FROM pg_roles r WHERE r.rolname = current_user
""")
