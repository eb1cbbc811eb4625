"""Update the queue at the end of each transaction, so that no writer can forget to.

A referral's queue entries change only under the lock on its row. Taking that lock schedules one update before the
commit (`watch`), however much is written in between. If the transaction wrote nothing that the queue is derived from,
the update is skipped.
"""

import re
from collections.abc import Mapping
from functools import cache, partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from models.unit import Unit
from referral_rewards.register.queue import projection
from referral_rewards.register.queue.projection import Due

#: The columns of each table that the projection reads; inserting or deleting a row counts too. Facts are recorded
#: without the lock, but ``judged_version``, which tells that they were judged, is written under it.
_SOURCES: Final[Mapping[str, frozenset[str]]] = {
    "referral": frozenset(
        {
            *("status", "waiting_since", "late_facts", "doubts", "answered_version", "closed_at", "reason"),
            *("program", "referrer", "order_id", "claim_id", "judged_version"),
            *("parked", "merged_into", "referrer_code"),
        }
    ),
    "set_aside": frozenset({"referral_id"}),
    "reward_claim": frozenset({"body"}),
    "leg": frozenset({"referral_id", "state"}),
    "payout": frozenset({"state", "updated_at", "rail", "referral_id", "amount_minor"}),
    "payout_leg": frozenset({"live", "payout_id", "leg_id"}),
    "clawback_case": frozenset({"state", "why", "opened_at", "referral_id"}),
    "clawback": frozenset({"state", "case_id", "updated_at"}),
}
_WRITE: Final = re.compile(r"\b(INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+(?:ONLY\s+)?(\w+)", re.IGNORECASE)


def watch(connection: AsyncConnection, referral: str) -> None:
    """Schedule the update of a referral's queue entries before the commit. The caller holds its row.

    Raises:
        RuntimeError: outside of `Database.transaction`, where nothing would run before the commit.
    """
    unit = Unit.of(connection)
    unit.before_commit(("queue", referral), partial(_keep, unit, referral))


def date(connection: AsyncConnection, referral: str, due: Due) -> None:
    """Have the update of a referral's queue entries use these dates. The last ones given count."""
    Unit.of(connection).notes[_dates(referral)] = due


async def _keep(unit: Unit, referral: str, connection: AsyncConnection) -> None:
    if any(map(changes_the_queue, unit.statements)):
        due = unit.notes.get(_dates(referral))
        await projection.keep(connection, referral, due if isinstance(due, Due) else None)


def _dates(referral: str) -> tuple[str, str]:
    return ("queue dates", referral)


@cache
def changes_the_queue(statement: str) -> bool:
    """Return whether a statement may change the queue. In doubt it is True: an unneeded update changes nothing.

    Statements are constants, a few hundred; each is examined once and cached.
    """
    for write in _WRITE.finditer(statement):
        columns = _SOURCES.get(write[2].lower())
        if columns is None:
            continue
        if write[1].upper() != "UPDATE" or _assigns(statement[write.end() :], columns):
            return True
    return False


def _assigns(text: str, columns: frozenset[str]) -> bool:
    return re.search(rf"\b(?:{'|'.join(sorted(columns))})\s*=", text, re.IGNORECASE) is not None
