"""Store reconciliations: the request for one, the differences found, and how it ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4, uuid5

from sqlalchemy import insert, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models import ReconciliationDifference, ReconciliationRow
from models.statuses import statement
from referral_rewards.domain.books.reconciliation import UNFINISHED, Difference, DifferenceKind, ReconciliationState
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts.rail_catalogue import Sight
from referral_rewards.register import audit, outbox, typed_rows
from referral_rewards.register.clawbacks import forgotten
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.reconciliations.two_sides import OURS_IN_SPAN, THEIRS_IN_SPAN, Reconciliation, span_of

_NAMESPACE: Final = UUID("4d0f5d4c-8f0e-5c1b-9a86-2d2f7c1b6e55")


async def ask(
    connection: AsyncConnection, rail: str, since: datetime, until: datetime, *, by: str, at: datetime
) -> UUID:
    """Record a request to compare a rail's list with ours, wake its workflow, and return the reconciliation's id."""
    name = uuid4()
    await connection.execute(
        insert(ReconciliationRow).values(
            id=name, rail=rail, since_at=since, until_at=until, asked_by=by, asked_at=at,
            state=ReconciliationState.ASKED, ours=0, theirs=0, differences=0, under_way=0,
        )
    )  # fmt: skip
    span = {"since": since.isoformat(), "until": until.isoformat()}
    await audit.note(connection, actor=by, act="reconciliation.asked", subject=rail, at=at, id=str(name), **span)
    await outbox.enqueue(connection, WakeupKind.RECONCILIATION_DUE, str(name), name)
    return name


async def row(connection: AsyncConnection, reconciliation: UUID) -> Reconciliation:
    """Return the row of a reconciliation.

    Raises:
        NotFound: if there is no such reconciliation.
    """
    found = await typed_rows.read_one(connection, Reconciliation, _ROW, {"id": reconciliation})
    if found is None:
        raise NotFound("reconciliation", str(reconciliation))
    return found


async def newest(connection: AsyncConnection, limit: int) -> Sequence[Reconciliation]:
    """Return the newest reconciliations, newest first."""
    return await typed_rows.read(connection, Reconciliation, _NEWEST, {"limit": limit})


async def differences(
    connection: AsyncConnection, reconciliation: UUID, *, after: UUID | None, limit: int
) -> list[tuple[UUID, Difference]]:
    """Return a page of the differences, each with its id, sorted by id."""
    rows = await connection.execute(_DIFFERENCES, {"id": reconciliation, "after": after, "limit": limit})
    return [
        (each.id, Difference(DifferenceKind(each.kind), each.payout_id, each.reference, each.ours, each.theirs))
        for each in rows.all()
    ]


async def listing_done(connection: AsyncConnection, reconciliation: UUID, sight: Sight) -> None:
    """Record that the rail's whole list is stored."""
    await connection.execute(_LISTED, {"id": reconciliation, "sight": sight})


async def note(connection: AsyncConnection, reconciliation: UUID, found: Sequence[Difference]) -> None:
    """Record differences, each once, however often it is found.

    A payout whose state or reversed amount differs at its rail is woken: it asks the rail itself, and goes to a person
    for review if it was paid without authority.
    """
    for each in found:
        if each.kind in (DifferenceKind.STATE, DifferenceKind.REVERSED) and each.payout is not None:
            await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(each.payout), each.payout)
        if each.kind is DifferenceKind.REVERSED and each.payout is not None:
            await forgotten.ask_again(connection, each.payout)
    if found:
        rows = [
            {
                "id": uuid5(_NAMESPACE, f"{reconciliation}\x00{each.kind}\x00{each.payout}\x00{each.reference}"),
                "reconciliation_id": reconciliation,
                "kind": each.kind,
                "payout_id": each.payout,
                "reference": each.reference,
                "ours": each.ours,
                "theirs": each.theirs,
            }
            for each in found
        ]
        # One row at a time: a busy account may have more differences than one statement takes parameters.
        await connection.execute(upsert(ReconciliationDifference).on_conflict_do_nothing(), rows)


async def done(connection: AsyncConnection, asked: Reconciliation, at: datetime) -> None:
    """Record that everything was compared, and delete the stored list."""
    await connection.execute(_DONE, {**span_of(asked), "at": at})
    await connection.execute(_FORGET, {"id": asked.id})


async def failed(connection: AsyncConnection, reconciliation: UUID, why: str, at: datetime) -> None:
    """Record that the reconciliation failed, and why, and delete the stored list."""
    await connection.execute(_FAILED, {"id": reconciliation, "why": why, "at": at})
    await connection.execute(_FORGET, {"id": reconciliation})


_ROW: Final = text("SELECT * FROM reconciliation WHERE id = :id")

_NEWEST: Final = text("SELECT * FROM reconciliation ORDER BY asked_at DESC, id DESC LIMIT :limit")

_DIFFERENCES: Final = text("""
SELECT * FROM reconciliation_difference
WHERE reconciliation_id = :id AND (CAST(:after AS uuid) IS NULL OR id > :after) ORDER BY id LIMIT :limit
""")

_LISTED: Final = statement(
    "UPDATE reconciliation SET state = :listed, sight = :sight WHERE id = :id AND state = :asked",
    listed=ReconciliationState.LISTED,
    asked=ReconciliationState.ASKED,
)

_DONE: Final = statement(
    f"""
UPDATE reconciliation SET state = :done, ended_at = :at,
    ours = (SELECT count(*) FROM payout p WHERE {OURS_IN_SPAN}),
    theirs = ({THEIRS_IN_SPAN}),
    differences = (SELECT count(*) FROM reconciliation_difference WHERE reconciliation_id = :id AND kind <> ALL(:none)),
    under_way = (SELECT count(*) FROM reconciliation_difference WHERE reconciliation_id = :id AND kind = ANY(:none))
WHERE id = :id AND state = :listed
""",  # noqa: S608 (all parts are ours)
    done=ReconciliationState.DONE,
    listed=ReconciliationState.LISTED,
    none=[each for each in DifferenceKind if each.is_none],
)

_FAILED: Final = statement(
    """
UPDATE reconciliation SET state = :failed, why = :why, ended_at = :at
WHERE id = :id AND state = ANY(:unfinished)
""",
    failed=ReconciliationState.FAILED,
    unfinished=UNFINISHED,
)

_FORGET: Final = text("DELETE FROM listed_payment WHERE reconciliation_id = :id")
