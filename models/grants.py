"""Grants the database's roles what they need: `grants.sql` for the roles of one installation."""

from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, text

from referral_rewards.domain.errors import BadInput, Problem

_SOURCE: Final = Path(__file__).parent / "grants.sql"


class Roles(NamedTuple):
    """The database's roles of an installation: that of the API, and that of all workers. The role that migrates owns
    the tables and needs no grants. A login role may be any member of them."""

    api: str
    worker: str


def statements(roles: Roles) -> str:
    """Return `grants.sql` with the names of these roles in it."""
    source = _SOURCE.read_text(encoding="utf-8")
    for place, role in roles._asdict().items():
        source = source.replace(f"{{{place}}}", _quoted(role))
    return source


def _quoted(name: str) -> str:
    """Return a name as SQL reads it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def apply(connection: Connection, roles: Roles) -> None:
    """Grant the roles what they need, and revoke what else they were granted, in the connection's transaction.

    Raises:
        BadInput: if a role does not exist, or migrates too and so owns everything. Nothing is changed then.
    """
    named = roles._asdict()
    found = {row.rolname: row.migrates for row in connection.execute(_FOUND, {"names": list(named.values())})}
    problems = []
    for process, role in named.items():
        where = f"REFERRALS_DATABASE_{process.upper()}_ROLE"
        if role not in found:
            problems.append(Problem(where, f"the database has no role {role}; docs/guides/database-roles.md makes it"))
        elif found[role]:
            problems.append(Problem(where, f"{role} owns the tables, as it migrates them: name another role"))
    if problems:
        raise BadInput(problems)
    connection.exec_driver_sql(statements(roles), execution_options={"no_parameters": True})


_FOUND: Final = text("SELECT rolname, rolname = current_user AS migrates FROM pg_roles WHERE rolname = ANY(:names)")
