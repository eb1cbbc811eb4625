"""What the store holds, and how it changes: referrers, invitations, suppressions, what is to be told, attempts."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from referral_rewards.site.rules.limits import SAME_FRIEND, Limit
from referral_rewards.site.store import instant, moment


class InvitationState(StrEnum):
    """Where an invitation is: it waits to be sent, was sent, or will not be."""

    WAITING = "waiting"
    SENT = "sent"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True)
class Referrer:
    """Somebody who enrolled, by their customer id; ``first_name`` is what friends see, empty for none."""

    program: str
    customer: str
    code: str
    first_name: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation by email. ``email`` and ``name`` are there until it was sent, ``mark`` is a hash of the address."""

    id: str
    program: str
    customer: str
    mark: str
    mask: str
    email: str | None
    name: str | None
    state: InvitationState
    asked_at: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class Told:
    """A fact that the API has not acknowledged yet, after so many tries."""

    id: str
    fact: Mapping[str, Any]
    tries: int


_REFERRER: Final = "program, customer, code, first_name"
_INVITATION: Final = "id, program, customer, mark, mask, email, name, state, asked_at, tries"


def enrol(connection: sqlite3.Connection, referrer: Referrer, fact: Mapping[str, Any], now: datetime) -> bool:
    """Store a referrer and what is told of it; False if there is one of that program and customer, or of that code."""
    values = (referrer.program, referrer.customer, referrer.code, referrer.first_name, moment(now))
    added = connection.execute("INSERT OR IGNORE INTO referrer VALUES (?, ?, ?, ?, ?)", values)
    if added.rowcount:
        tell(connection, fact, now)
    return bool(added.rowcount)


def referrer(connection: sqlite3.Connection, program: str, customer: str) -> Referrer | None:
    """Return who enrolled as that customer; None if nobody did."""
    sql = f"SELECT {_REFERRER} FROM referrer WHERE program = ? AND customer = ?"  # noqa: S608 (constants of ours)
    row = connection.execute(sql, (program, customer)).fetchone()
    return Referrer(*row) if row else None


def referrer_of_code(connection: sqlite3.Connection, code: str) -> Referrer | None:
    """Return whose code it is; None if it is nobody's."""
    sql = f"SELECT {_REFERRER} FROM referrer WHERE code = ?"  # noqa: S608 (constants of ours)
    row = connection.execute(sql, (code,)).fetchone()
    return Referrer(*row) if row else None


def rename(connection: sqlite3.Connection, program: str, customer: str, first_name: str) -> None:
    """Show friends another first name."""
    sql = "UPDATE referrer SET first_name = ? WHERE program = ? AND customer = ?"
    connection.execute(sql, (first_name, program, customer))


def invite(connection: sqlite3.Connection, invitation: Invitation, a_day: int) -> bool:
    """Store an invitation to be sent; False if the referrer asked for too many today. A friend who was invited lately
    is not invited again, and nobody is told."""
    now, whose = invitation.asked_at, (invitation.program, invitation.customer)
    since = "SELECT count(*) FROM invitation WHERE program = ? AND customer = ? AND asked_at > ?"
    if connection.execute(since, (*whose, moment(now - timedelta(days=1)))).fetchone()[0] >= a_day:
        return False
    lately = connection.execute(f"{since} AND mark = ?", (*whose, moment(now - SAME_FRIEND), invitation.mark))
    if lately.fetchone()[0]:
        return True
    connection.execute(
        "INSERT INTO invitation (id, program, customer, mark, mask, email, name, state, asked_at, due_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(invitation.id, invitation.program, invitation.customer, invitation.mark, invitation.mask),
            *(invitation.email, invitation.name, InvitationState.WAITING, moment(now), moment(now)),
        ),
    )
    return True


def invitation(connection: sqlite3.Connection, number: str) -> Invitation | None:
    """Return an invitation; None if there is none of that id, or it was forgotten."""
    sql = f"SELECT {_INVITATION} FROM invitation WHERE id = ?"  # noqa: S608 (constants of ours)
    row = connection.execute(sql, (number,)).fetchone()
    return _invitation(row) if row else None


def invitations_of(connection: sqlite3.Connection, program: str, customer: str, most: int) -> tuple[Invitation, ...]:
    """Return the invitations of a referrer, the newest first."""
    sql = f"SELECT {_INVITATION} FROM invitation WHERE program = ? AND customer = ?"  # noqa: S608 (constants of ours)
    rows = connection.execute(f"{sql} ORDER BY asked_at DESC, id LIMIT ?", (program, customer, most))
    return tuple(_invitation(row) for row in rows)


def due_invitations(connection: sqlite3.Connection, now: datetime, most: int) -> tuple[Invitation, ...]:
    """Return invitations that may be sent now, those that are due the longest first."""
    sql = f"SELECT {_INVITATION} FROM invitation WHERE due_at <= ? ORDER BY due_at, id LIMIT ?"  # noqa: S608 (constants of ours)
    return tuple(_invitation(row) for row in connection.execute(sql, (moment(now), most)))


def letters_to(connection: sqlite3.Connection, mark: str, since: datetime) -> int:
    """Return how many letters were sent to somebody since then, whoever asked for them."""
    sql = "SELECT count(*) FROM invitation WHERE mark = ? AND sent_at > ?"
    return int(connection.execute(sql, (mark, moment(since))).fetchone()[0])


def postpone(connection: sqlite3.Connection, number: str, until: datetime, *, tried: bool) -> None:
    """Have an invitation wait; ``tried``: a server did not take it."""
    sql = "UPDATE invitation SET due_at = ?, tries = tries + ? WHERE id = ?"
    connection.execute(sql, (moment(until), int(tried), number))


def sent(connection: sqlite3.Connection, number: str, fact: Mapping[str, Any], now: datetime) -> None:
    """Note that an invitation was sent, and what is told of it. The address then stands in the fact alone."""
    _end(connection, number, InvitationState.SENT, None, now)
    tell(connection, fact, now)


def not_sent(connection: sqlite3.Connection, number: str, why: str) -> None:
    """Note that an invitation will not be sent, and why. The address is forgotten."""
    _end(connection, number, InvitationState.NOT_SENT, why, None)


def _end(
    connection: sqlite3.Connection, number: str, state: InvitationState, why: str | None, at: datetime | None
) -> None:
    sql = "UPDATE invitation SET state = ?, why = ?, sent_at = ?, email = NULL, name = NULL, due_at = NULL WHERE id = ?"
    connection.execute(sql, (state, why, moment(at) if at else None, number))


def suppress(connection: sqlite3.Connection, mark: str, why: str, now: datetime) -> None:
    """Have nobody write to somebody any more."""
    connection.execute("INSERT OR IGNORE INTO suppression VALUES (?, ?, ?)", (mark, why, moment(now)))


def is_suppressed(connection: sqlite3.Connection, mark: str) -> bool:
    """Return whether nobody may write to somebody."""
    return connection.execute("SELECT 1 FROM suppression WHERE mark = ?", (mark,)).fetchone() is not None


def tell(connection: sqlite3.Connection, fact: Mapping[str, Any], now: datetime) -> None:
    """Have a fact told until the API acknowledges it. One id is told once, whatever came second under it."""
    values = (fact["id"], json.dumps(fact), moment(now), moment(now))
    connection.execute("INSERT OR IGNORE INTO untold (id, fact, told_at, due_at) VALUES (?, ?, ?, ?)", values)


def due_facts(connection: sqlite3.Connection, now: datetime, most: int) -> tuple[Told, ...]:
    """Return facts that may be told now, those that are due the longest first."""
    sql = "SELECT id, fact, tries FROM untold WHERE due_at <= ? ORDER BY due_at, id LIMIT ?"
    return tuple(Told(row[0], json.loads(row[1]), row[2]) for row in connection.execute(sql, (moment(now), most)))


def acknowledged(connection: sqlite3.Connection, number: str) -> None:
    """Forget a fact that the API has."""
    connection.execute("DELETE FROM untold WHERE id = ?", (number,))


def keep(connection: sqlite3.Connection, number: str, until: datetime, trouble: str) -> None:
    """Tell a fact again later; ``trouble`` says what came of it, without any word of the fact."""
    sql = "UPDATE untold SET due_at = ?, tries = tries + 1, trouble = ? WHERE id = ?"
    connection.execute(sql, (moment(until), trouble, number))


def waiting(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return how many facts wait to be told, and how many of them the API refused."""
    sql = "SELECT count(*), count(*) FILTER (WHERE trouble LIKE 'refused%') FROM untold"
    found: tuple[int, int] = connection.execute(sql).fetchone()
    return found


def attempt(connection: sqlite3.Connection, limit: Limit, key: str, now: datetime) -> bool:
    """Count an attempt; False, and nothing is counted, if there were too many."""
    of = f"{limit.name}:{key}"
    since = connection.execute(
        "SELECT count(*) FROM attempt WHERE key = ? AND at > ?", (of, moment(now - limit.within))
    )
    if not limit.allows(since.fetchone()[0]):
        return False
    connection.execute("INSERT INTO attempt VALUES (?, ?)", (of, moment(now)))
    return True


def forget(connection: sqlite3.Connection, now: datetime, keep_days: int) -> None:
    """Delete what nobody needs any more: old invitations, and attempts that no limit counts."""
    connection.execute("DELETE FROM attempt WHERE at <= ?", (moment(now - timedelta(days=2)),))
    ended = "DELETE FROM invitation WHERE asked_at <= ? AND due_at IS NULL"
    connection.execute(ended, (moment(now - timedelta(days=keep_days)),))


def forget_person(connection: sqlite3.Connection, customer: str | None, mark: str | None) -> int:
    """Delete what names a person, as a referrer and as somebody who was invited, and return how many rows that were.

    A fact that is still to be told stays until the API has it; that nobody may write to them stays as a keyed hash.
    """
    asked = (
        ("DELETE FROM referrer WHERE customer = ?", customer),
        ("DELETE FROM invitation WHERE customer = ?", customer),
        ("DELETE FROM invitation WHERE mark = ?", mark),
    )
    return sum(connection.execute(sql, (value,)).rowcount for sql, value in asked if value is not None)


def _invitation(row: tuple[Any, ...]) -> Invitation:
    number, program, customer, mark, mask, email, name, state, asked_at, tries = row
    return Invitation(
        number, program, customer, mark, mask, email, name, InvitationState(state), instant(asked_at), tries
    )
