"""Changes of an account by somebody else: kept and told when they are made, confirmed by a second person."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards import personal
from referral_rewards.domain.errors import AccountUnconfirmed, NotAllowed, RequestInvalid
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.domain.people.account_changes import (
    ACCOUNT_CHANGED,
    AccountAct,
    AccountChange,
    Confirmer,
    objection,
)
from referral_rewards.register import audit, typed_rows


async def keep(connection: AsyncConnection, name: str, act: AccountAct, *, by: str, at: datetime) -> None:
    """Keep a change that another user made, and plan a letter to the address that is known until then.

    What users do to their own account is none, nor what a provider or whoever holds the database's password does.
    Called before the address is changed.
    """
    kept = {"id": uuid4(), "name": name, "act": act, "by": by, "at": at}
    await connection.execute(_KEEP, kept)


async def unconfirmed(connection: AsyncConnection, name: str) -> Sequence[AccountChange]:
    """Return the changes of somebody's account that nobody has confirmed yet, the earliest first."""
    return await typed_rows.read(connection, AccountChange, _UNCONFIRMED, {"name": name})


async def need_none(connection: AsyncConnection, name: str) -> None:
    """Return if every change of somebody's account by others is confirmed.

    Raises:
        AccountUnconfirmed: if not.
    """
    if changes := await unconfirmed(connection, name):
        raise AccountUnconfirmed(name, [each.in_words for each in changes])


async def confirm(
    connection: AsyncConnection, name: str, seen: Collection[UUID], confirmer: Confirmer, *, at: datetime
) -> None:
    """Confirm the changes of somebody's account that were ``seen``: they decide again.

    Raises:
        NotFound: if there is no such user.
        RequestInvalid: if nothing waits to be confirmed.
        NotAllowed: if this person can't confirm all of them, or one was made since.
    """
    await connection.execute(_HOLD, {"name": name})
    changes = await unconfirmed(connection, name)
    why = objection(changes, seen, name, confirmer)
    if why is not None:
        raise NotAllowed(why) if changes else RequestInvalid(why, "changes")
    await connection.execute(_CONFIRM, {"name": name, "by": confirmer.name, "at": at})
    await forget_addresses(connection, name)
    said = {"changes": sorted(f"{each.act} by {each.changed_by}" for each in changes)}
    await audit.note(connection, actor=confirmer.name, act="user.confirmed", subject=name, at=at, **said)


class Told(NamedTuple):
    """What the letter about a change says, and the address known before it; None: none was, or it was erased."""

    what: str
    address: str | None


async def told(connection: AsyncConnection, number: UUID) -> Told | None:
    """Return what is told of a change, confirmed or not, and where; None if there is none of that id."""
    row = (await connection.execute(_TOLD, {"id": number})).one_or_none()
    if row is None:
        return None
    change = AccountChange(number, AccountAct(row.act), row.changed_by, row.changed_at)
    body = personal.body_of(connection, row.subject_id, row.sealed)
    return Told(change.in_words, body["email"] if body else None)


async def forget_addresses(connection: AsyncConnection, name: str) -> None:
    """Erase the addresses of before that no letter and no confirmation needs any more."""
    await connection.execute(_FORGET_ADDRESSES, {"name": name})


_KEEP: Final = statement(
    """
WITH kept AS (
    INSERT INTO account_change (id, username, act, changed_by, changed_at, known_contact_id)
    SELECT :id, u.name, :act, actor.name, CAST(:at AS timestamptz), u.contact_id
    FROM app_user u JOIN app_user actor ON actor.name = :by AND actor.name <> u.name
    WHERE u.name = :name RETURNING id, username
)
INSERT INTO notice (id, referral_id, program, template, audience, recipient, channel, occasion, planned_at, state,
                    attempts, due_at)
SELECT id, '', '', :template, 'account', username, 'email', 'account:' || id, CAST(:at AS timestamptz), :waiting, 0,
       CAST(:at AS timestamptz)
FROM kept
""",
    template=ACCOUNT_CHANGED,
    waiting=NoticeState.WAITING,
)
_UNCONFIRMED: Final = text("""
SELECT c.id, c.act, c.changed_by, c.changed_at, u.marks AS changed_by_marks
FROM account_change c JOIN app_user u ON u.name = c.changed_by
WHERE c.username = :name AND c.confirmed_at IS NULL ORDER BY c.changed_at, c.id
""")
_TOLD: Final = text("""
SELECT c.act, c.changed_by, c.changed_at, p.subject_id, p.sealed
FROM account_change c LEFT JOIN personal_data p ON p.subject_id = c.known_contact_id WHERE c.id = :id
""")
_HOLD: Final = text("SELECT name FROM app_user WHERE name = :name FOR UPDATE")
_CONFIRM: Final = text("""
UPDATE account_change SET confirmed_by = :by, confirmed_at = :at WHERE username = :name AND confirmed_at IS NULL
""")
_FORGET_ADDRESSES: Final = text("""
UPDATE personal_data SET sealed = NULL, erased_at = now()
WHERE sealed IS NOT NULL AND subject_id IN (
    SELECT known_contact_id FROM account_change WHERE username = :name
    EXCEPT SELECT contact_id FROM app_user WHERE name = :name
    EXCEPT SELECT known_contact_id FROM account_change WHERE username = :name AND confirmed_at IS NULL
    EXCEPT SELECT c.known_contact_id FROM account_change c JOIN notice n ON n.id = c.id
    WHERE c.username = :name AND n.due_at IS NOT NULL
)
""")
