"""Check that a process holds the secrets that belong to this register, before it serves anything.

With another pepper no identity matches, and with other keys no decision is believed: a register restored beside the
wrong secrets would look as if it held neither duplicates nor approvals.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.personal import keys_of

#: The purpose of the key that is derived from the pepper as its fingerprint (`Intake.key_for`).
PURPOSE: Final = "the fingerprint of the pepper"
_PEPPER: Final = "pepper"
_SIGNING_KEY: Final = "signing_key"


async def check(
    database: Database, fingerprint: str, listed: Collection[str], signing: str | None, now: datetime
) -> None:
    """Return if a process holds this register's secrets; the parameters are those of `problems`.

    Raises:
        BadInput: naming each setting that is not this register's, or the database's role if it may not look.
        ProgrammingError: if the database can't be asked otherwise, as one without our schema.
    """
    try:
        found = await database.write(problems, fingerprint, listed, signing, now)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_GRANTED:
            raise
        # Nothing was compared: a process that served all the same would serve with any secrets.
        why = f"its role lacks a right ({str(error.orig).splitlines()[0]}); docs/guides/database-roles.md grants it"
        raise BadInput([Problem("REFERRALS_DATABASE_URL", why)]) from None
    if found:
        raise BadInput(found)


async def problems(
    connection: AsyncConnection, fingerprint: str, listed: Collection[str], signing: str | None, now: datetime
) -> list[Problem]:
    """Return what a process holds that is not this register's, one problem for each setting; empty if all is.

    ``fingerprint`` is that of its pepper, ``listed`` are the ids of its verify keys, revoked ones included, and
    ``signing`` is the id of the key that it signs with, if it does. What a register does not know yet it takes over.
    So a new signing key is known once the API has started with it, beside the earlier one in the verify keys, and a new
    key of personal data once anything has started that seals with it.
    """
    known = {row.name: row.fingerprint for row in await connection.execute(_KNOWN)}
    found = []
    if known.get(_PEPPER, fingerprint) != fingerprint:
        found.append(Problem("REFERRALS_PEPPER", _ANOTHER))
    if (key := known.get(_SIGNING_KEY)) is not None and key not in listed:
        found.append(Problem("REFERRALS_VERIFY_KEYS", f"does not list the key {key}, which signs in this register"))
    keys = keys_of(connection)
    if lacking := sorted(known.keys() - {_PEPPER, _SIGNING_KEY} - {key_row(each) for each in keys.names}):
        found.append(Problem("REFERRALS_PERSONAL_KEYS", _LACKS.format(", ".join(known[each] for each in lacking))))
    if not found:
        await _note(connection, _PEPPER, fingerprint, now)
        if keys.names:
            await _note(connection, key_row(keys.newest), keys.newest.hex(), now)
        if signing is not None and signing != key:
            await _note(connection, _SIGNING_KEY, signing, now)
    return found


def key_row(name: bytes) -> str:
    """Return under what name a register knows a key that sealed personal data in it."""
    return f"personal_key {name.hex()}"


async def _note(connection: AsyncConnection, name: str, fingerprint: str, now: datetime) -> None:
    await connection.execute(_NOTE, {"name": name, "fingerprint": fingerprint, "at": now})


#: insufficient_privilege
_NOT_GRANTED: Final = "42501"
_ANOTHER: Final = (
    "is not this register's: its identities were hashed with another one, by which alone duplicates are found; set "
    "that one again, as a register's pepper can't be changed (docs/guides/rotating-secrets.md)"
)

_LACKS: Final = (
    "lacks the key {}, under which personal data of this register is sealed; add it behind the others until "
    "`referrals keys reseal` says that nothing is left under it (docs/guides/rotating-secrets.md)"
)

_KNOWN: Final = text("SELECT name, fingerprint FROM register_secret")

_NOTE: Final = text("""
INSERT INTO register_secret (name, fingerprint, noted_at) VALUES (:name, :fingerprint, :at)
ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint, noted_at = excluded.noted_at
WHERE register_secret.fingerprint <> excluded.fingerprint
""")
