"""The two sides of a reconciliation: our payouts of a period, and the rail's list of that period."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ListedPayment
from models.statuses import statement
from referral_rewards.domain.books.reconciliation import Listed, ListedState, Ours, ReconciliationState, payout_of
from referral_rewards.domain.clawbacks.states import IN_DOUBT, ClawbackKind
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.domain.payouts.rail_catalogue import NAMED_BY_PAYEE
from referral_rewards.domain.payouts.states import PaymentRequest, PayoutState
from referral_rewards.domain.restores.forgotten import named_by
from referral_rewards.register import typed_rows
from referral_rewards.register.payouts.endings import PAID_OTHERWISE


@dataclass(frozen=True, slots=True)
class Held:
    """A payout of ours with the request that the rail needs to look it up."""

    ours: Ours
    request: PaymentRequest


class Reconciliation(NamedTuple):
    """A reconciliation's row: the rail and the period to compare, by whom it was asked for, and how it went."""

    id: UUID
    rail: str
    since_at: datetime
    until_at: datetime
    asked_by: str
    asked_at: datetime
    state: ReconciliationState
    sight: str | None
    why: str | None
    ours: int
    theirs: int
    differences: int
    under_way: int
    ended_at: datetime | None


async def destinations(connection: AsyncConnection, asked: Reconciliation, after: str, limit: int) -> Sequence[str]:
    """Return a page of the destinations that we paid, or may have paid, over the rail in the period, sorted."""
    found = await connection.execute(_DESTINATIONS, {**span_of(asked), "after": after, "limit": limit})
    return found.scalars().all()


async def keep_listed(connection: AsyncConnection, asked: Reconciliation, listed: Iterable[Listed]) -> None:
    """Store what a rail listed, each payment once, with the payout that it belongs to.

    The payout is found by the payment's key, by the reference that a person recorded, or for a reversal by the
    clawback's key.
    """
    rows = {
        each.reference: {
            "reconciliation_id": asked.id,
            "reference": each.reference,
            "payout_id": each.payout or payout_of(each.key),
            "names": named_by(each),
            "key": each.key,
            "amount_minor": each.amount_minor,
            "currency": each.currency,
            "destination": _opaque(each.destination),
            "state": each.state,
            "reversed_minor": each.reversed_minor,
            "made_at": each.at,
            "takes_back": each.takes_back,
        }
        for each in listed
    }
    if not rows:
        return
    kept = upsert(ListedPayment).values(list(rows.values()))
    renewed = {name: kept.excluded[name] for name in ("payout_id", "names", "state", "amount_minor", "reversed_minor")}
    await connection.execute(
        kept.on_conflict_do_update(index_elements=["reconciliation_id", "reference"], set_=renewed)
    )
    await connection.execute(_RESOLVE, {"id": asked.id, "rail": asked.rail, "references": list(rows)})


def _opaque(destination: str | None) -> str | None:
    """Return a destination as it may be kept. Of what others were paid a rail may name an address: it is none of ours,
    whatever it is."""
    return destination if destination is None or id_problem(destination) is None else _ELSEWHERE


#: In place of a destination that could be personal.
_ELSEWHERE: Final = "elsewhere"


async def held(connection: AsyncConnection, asked: Reconciliation, after: UUID | None, limit: int) -> list[Held]:
    """Return our payouts over the rail that were first sent in the period, sorted by id."""
    rows = await connection.execute(_OURS, {**span_of(asked), "after": after, "limit": limit})
    return [
        Held(
            Ours(
                payout=each.id,
                key=each.provider_key,
                state=PayoutState(each.state),
                amount_minor=each.amount_minor,
                currency=each.currency,
                destination=each.payee if asked.rail in NAMED_BY_PAYEE else each.body["destination"],
                reference=each.provider_reference,
                reversed_minor=int(each.reversed_minor),
                reversing_minor=int(each.reversing_minor),
                paid_otherwise=each.paid_otherwise,
                moved_at=each.moved_at,
            ),
            PaymentRequest.of(each.body),
        )
        for each in rows.all()
    ]


async def listed_of(
    connection: AsyncConnection, reconciliation: UUID, payouts: Sequence[UUID]
) -> Mapping[UUID, list[Listed]]:
    """Return the listed payments of each of these payouts."""
    found: dict[UUID, list[Listed]] = {each: [] for each in payouts}
    for each in await connection.execute(_LISTED_OF, {"id": reconciliation, "payouts": list(payouts)}):
        found[each.payout_id].append(_listed(typed_rows.of(_ListedRow, each)))
    return found


async def of_nobody(connection: AsyncConnection, asked: Reconciliation) -> AsyncIterator[Listed]:
    """Yield the payments listed as made in the period that belong to no payout of ours."""
    async for each in await connection.stream(_OF_NOBODY, span_of(asked)):
        yield _listed(typed_rows.of(_ListedRow, each))


def span_of(asked: Reconciliation) -> dict[str, Any]:
    """Return a reconciliation's id, rail and period as SQL parameters."""
    return {"id": asked.id, "rail": asked.rail, "since": asked.since_at, "until": asked.until_at}


class _ListedRow(NamedTuple):
    reference: str
    payout_id: UUID | None
    key: str | None
    amount_minor: int | None
    currency: str
    destination: str | None
    state: ListedState
    reversed_minor: int
    made_at: datetime | None
    takes_back: bool


def _listed(each: _ListedRow) -> Listed:
    return Listed(
        reference=each.reference,
        payout=each.payout_id,
        key=each.key,
        amount_minor=each.amount_minor,
        currency=each.currency,
        destination=each.destination,
        state=each.state,
        reversed_minor=each.reversed_minor,
        at=each.made_at,
        takes_back=each.takes_back,
    )


#: Which payouts are compared. The rail can have seen a payout from its first sending on. A payout that a person settled
#: may never have been sent, and one whose deductions leave nothing never reaches the rail.
OURS_IN_SPAN: Final = """
p.rail = :rail AND p.amount_minor > 0
  AND coalesce(p.first_sent_at, p.settled_at) >= :since AND coalesce(p.first_sent_at, p.settled_at) < :until
"""

_FROM_BEFORE_A_RESTORE: Final = """
EXISTS (SELECT 1 FROM restored_rail r WHERE r.rail = :rail AND r.restored_to >= :since)
"""

# After a restore the register does not know whom it paid in the span: every payee that it ever heard of is asked for.
_DESTINATIONS: Final = text(f"""
SELECT DISTINCT its.destination COLLATE "C" AS destination FROM (
    SELECT p.body->>'destination' AS destination FROM payout p
    WHERE ({OURS_IN_SPAN}) OR (p.rail = :rail AND {_FROM_BEFORE_A_RESTORE})
    UNION ALL SELECT m.data->>'reference' FROM fact m
    WHERE m.type = 'payee.method_set' AND m.data->>'rail' = :rail
      AND {_FROM_BEFORE_A_RESTORE}
) AS its WHERE its.destination COLLATE "C" > :after ORDER BY 1 LIMIT :limit
""")  # noqa: S608  (all parts are ours)

_OURS: Final = statement(
    f"""
SELECT p.*, coalesce(c.reversed_minor, 0) AS reversed_minor, coalesce(c.reversing_minor, 0) AS reversing_minor,
       p.state = :settled AND {PAID_OTHERWISE} AS paid_otherwise,
       greatest(p.updated_at, c.moved_at) AS moved_at
FROM payout p LEFT JOIN LATERAL (
    SELECT sum(b.recovered_minor) AS reversed_minor,
           sum(b.amount_minor - b.recovered_minor) FILTER (
               WHERE b.state = ANY(:in_doubt)
           ) AS reversing_minor,
           max(b.updated_at) AS moved_at
    FROM clawback b WHERE b.payout_id = p.id AND b.kind = :reverse
) AS c ON true
WHERE {OURS_IN_SPAN}
  AND (CAST(:after AS uuid) IS NULL OR p.id > :after)
ORDER BY p.id LIMIT :limit
""",  # noqa: S608 (all parts are ours)
    settled=PayoutState.SETTLED,
    in_doubt=IN_DOUBT,
    reverse=ClawbackKind.REVERSE,
)

# A key that belongs to no payout of this rail belongs to no payout at all.
_RESOLVE: Final = text("""
UPDATE listed_payment l SET payout_id = coalesce(
    (SELECT p.id FROM payout p WHERE p.id = l.payout_id AND p.rail = :rail),
    (SELECT b.payout_id FROM clawback b JOIN payout p ON p.id = b.payout_id
     WHERE b.id = l.payout_id AND l.takes_back AND p.rail = :rail),
    (SELECT p.id FROM payout p WHERE p.provider_reference = l.reference AND p.rail = :rail LIMIT 1)
)
WHERE l.reconciliation_id = :id AND l.reference = ANY(CAST(:references AS text[]))
""")

_LISTED_OF: Final = text("""
SELECT * FROM listed_payment WHERE reconciliation_id = :id AND payout_id = ANY(CAST(:payouts AS uuid[]))
ORDER BY reference
""")

#: Payments of the span that are no payout of ours. A margin around the span is listed too. A person may have recorded
#: a payment's reference while the list was read.
_NOBODYS: Final = """
l.reconciliation_id = :id AND l.payout_id IS NULL
  AND (l.made_at IS NULL OR (l.made_at >= :since AND l.made_at < :until))
  AND NOT EXISTS (SELECT 1 FROM payout p WHERE p.provider_reference = l.reference AND p.rail = :rail)
"""

_OF_NOBODY: Final = text(f"SELECT * FROM listed_payment l WHERE {_NOBODYS} ORDER BY l.reference")  # noqa: S608 (ours)

#: How many payments were compared: those of our payouts of the span, and those of nobody.
THEIRS_IN_SPAN: Final = f"""
SELECT count(*) FROM listed_payment l WHERE NOT l.takes_back AND (({_NOBODYS}) OR (
    l.reconciliation_id = :id AND l.payout_id IN (SELECT p.id FROM payout p WHERE {OURS_IN_SPAN})))
"""  # noqa: S608 (all parts are ours)
