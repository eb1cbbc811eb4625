"""Reconciliations: having a rail's own list compared with what we hold, and what did not agree."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Bookkeeper, Decider, Its, Reading
from referral_rewards.api.v1.fields import Day
from referral_rewards.domain.books.reconciliation import BLIND_SPOT, Difference, DifferenceKind, Sight
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.register.people.users import User
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.register.reconciliations.rows import State
from referral_rewards.reporting.books.span import Span

router = APIRouter(prefix="/v1/reconciliations", tags=["ledger"])

#: So far back goes a span whose beginning nobody names.
DAYS: Final = 31
_RAILS: Final[list[Any]] = sorted(rail_catalogue.CATALOGUE)


class NewReconciliation(BaseModel):
    """Which rail's list is to be compared, and of which days (UTC, both included): by default of the last 31."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rail": "account_credit"}]})

    rail: str = Field(json_schema_extra={"enum": _RAILS})
    since: Day | None = None
    until: Day | None = None


class Reconciliation(BaseModel):
    """How far a comparison came. ``ours`` and ``theirs`` count what was compared; ``unseen`` says in a sentence what
    can't be known from this rail; ``why`` why it came to nothing."""

    id: UUID
    rail: str
    since: AwareDatetime
    until: AwareDatetime
    asked_by: str
    asked_at: AwareDatetime
    state: State
    ours: int
    theirs: int
    differences: int
    unseen: str | None
    why: str | None
    ended_at: AwareDatetime | None


class FoundDifference(BaseModel):
    """One thing that does not agree, what each side says of it, and all of it in a line."""

    kind: DifferenceKind
    payout: UUID | None
    reference: str | None
    ours: str
    theirs: str
    said: str


class ReconciliationWithDifferences(Reconciliation):
    """Beside it what did not agree, a page at a time; ``next`` is what `after` takes for the page that follows."""

    found: list[FoundDifference]
    next: UUID | None


@router.post("", status_code=HTTPStatus.ACCEPTED, summary="Have a rail's list compared with ours")
async def begin_reconciliation(asked: NewReconciliation, person: Decider, parts: Its) -> Reconciliation:
    """For finance. A worker that has the rail's access asks it; nothing that it shows moves a payout."""
    async with parts.database.transaction() as connection:
        name = await begun(connection, person, asked.rail, Span.of(asked.since, asked.until))
        return _shown(await reconciliations.row(connection, name))


@router.get("", summary="The newest reconciliations")
async def list_reconciliations(
    connection: Reading, person: Bookkeeper, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[Reconciliation]:
    """Newest first."""
    return [_shown(row) for row in await reconciliations.newest(connection, limit)]


@router.get("/{reconciliation}", summary="What did not agree")
async def show_reconciliation(
    reconciliation: UUID,
    connection: Reading,
    person: Bookkeeper,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> ReconciliationWithDifferences:
    """How far it came, and the differences that were found so far."""
    row = await reconciliations.row(connection, reconciliation)
    page = await reconciliations.differences(connection, reconciliation, after=after, limit=limit)
    return ReconciliationWithDifferences(
        **_shown(row).model_dump(),
        found=[_difference(each) for _, each in page],
        next=page[-1][0] if len(page) == limit else None,
    )


async def begun(connection: Any, person: User, rail: str, span: Span) -> UUID:
    """Asks for a reconciliation; its id.

    Raises:
        NotAllowed: if the person is not of finance.
        RequestInvalid: if there is no such rail, or the span lies ahead.
    """
    person.need_finance()
    if rail not in rail_catalogue.CATALOGUE:
        raise RequestInvalid(
            f"there is no rail {rail!r}; there are {', '.join(sorted(rail_catalogue.CATALOGUE))}", "rail"
        )
    now = datetime.now(UTC)
    until = min(span.ends_before or now, now)
    since = span.begins_at or until - timedelta(days=DAYS)
    if since >= until:
        raise RequestInvalid(f"{span.since} has not begun yet", "since")
    return await reconciliations.ask(connection, rail, since, until, by=person.name, at=now)


def unseen(row: Any) -> str | None:
    """What can't be known from a rail, once it was asked."""
    return BLIND_SPOT[Sight(row.sight)] if row.sight is not None else None


def _shown(row: Any) -> Reconciliation:
    return Reconciliation(
        id=row.id,
        rail=row.rail,
        since=row.since_at,
        until=row.until_at,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        state=State(row.state),
        ours=row.ours,
        theirs=row.theirs,
        differences=row.differences,
        unseen=unseen(row),
        why=row.why,
        ended_at=row.ended_at,
    )


def _difference(found: Difference) -> FoundDifference:
    return FoundDifference(
        kind=found.kind,
        payout=found.payout,
        reference=found.reference,
        ours=found.ours,
        theirs=found.theirs,
        said=str(found),
    )
