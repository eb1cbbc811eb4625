"""Keeps the queue where a transaction ends: nobody who writes calls for it, and so nobody can forget to.

What of a referral waits for a person is only ever changed under the lock on its row. Whoever takes that lock has the
referral looked at before the commit (`watch`), once, however much was written in between; and if the transaction wrote
nothing that the queue is derived from, not at all.
"""

import re
from collections.abc import Mapping
from functools import cache, partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Unit
from referral_rewards.register.queue import projection

#: What the projection reads of each table: a row that comes or goes changes the queue, and so may these columns. Facts
#: come in without the lock; that they were judged (``judged_version``) is written under it.
_SOURCES: Final[Mapping[str, frozenset[str]]] = {
    "referral": frozenset(
        {
            *("status", "waiting_since", "late_facts", "closed_at", "reason"),
            *("program", "referrer", "order_id", "claim_id", "judged_version"),
        }
    ),
    "reward_claim": frozenset({"body"}),
    "leg": frozenset({"referral_id"}),
    "payout": frozenset({"state", "updated_at", "rail", "referral_id"}),
    "payout_leg": frozenset({"live", "payout_id", "leg_id"}),
    "clawback_case": frozenset({"state", "why", "opened_at", "referral_id"}),
    "clawback": frozenset({"state", "case_id"}),
}
_WRITE: Final = re.compile(r"\b(INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+(?:ONLY\s+)?(\w+)", re.IGNORECASE)


def watch(connection: AsyncConnection, referral: str) -> None:
    """Has the queue kept for a referral before the transaction commits. The caller holds its row.

    Raises:
        RuntimeError: outside of `Database.transaction`, where nothing would be done at the end.
    """
    unit = Unit.of(connection)
    unit.before_commit(("queue", referral), partial(_keep, unit, referral))


async def _keep(unit: Unit, referral: str, connection: AsyncConnection) -> None:
    if any(map(changes_the_queue, unit.statements)):
        await projection.keep(connection, referral)


@cache
def changes_the_queue(statement: str) -> bool:
    """Whether a statement may change what waits for a person. In doubt it does: the projection is then found the same.

    Statements are constants of ours, a few hundred, each of which is looked at once.
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
