"""Reconciliations: comparing a rail's list with our payouts, and the differences."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Bookkeeper, Decider, Its, Reading
from referral_rewards.api.v1.fields import Day
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.register.people import sessions
from referral_rewards.register.people.users import User
from referral_rewards.register.reconciliations import rows as reconciliations
from referral_rewards.reporting import reconciliations as reporting
from referral_rewards.reporting.books.journal import Span
from referral_rewards.reporting.reconciliations import FoundDifference, Reconciliation

router = APIRouter(prefix="/v1/reconciliations", tags=["ledger"])

#: The length of a span whose first day is not given.
DAYS: Final = 31
_RAILS: Final[list[Any]] = sorted(rail_catalogue.CATALOGUE)


class NewReconciliation(BaseModel):
    """The rail to compare, and the days (UTC, both included); the last 31 by default."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"rail": rail_catalogue.ACCOUNT_CREDIT.name}]}
    )

    rail: str = Field(json_schema_extra={"enum": _RAILS})
    since: Day | None = None
    until: Day | None = None


class ReconciliationWithDifferences(Reconciliation):
    """Beside it what did not agree, a page at a time; ``next`` is what `after` takes for the page that follows."""

    found: tuple[FoundDifference, ...]
    next: UUID | None


@router.post("", status_code=HTTPStatus.ACCEPTED, summary="Have a rail's list compared with ours")
async def begin_reconciliation(asked: NewReconciliation, person: Decider, parts: Its) -> Reconciliation:
    """For finance. A worker with the rail's credentials asks it; the result changes no payout."""

    async def begin(connection: AsyncConnection) -> Reconciliation:
        name = await begun(connection, person, asked.rail, Span.of(asked.since, asked.until))
        return await reporting.reconciliation(connection, name)

    return await parts.database.write(begin)


@router.get("", summary="The newest reconciliations")
async def list_reconciliations(
    connection: Reading, person: Bookkeeper, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[Reconciliation]:
    """Newest first."""
    return await reporting.newest(connection, limit)


@router.get("/{reconciliation}", summary="What did not agree")
async def show_reconciliation(
    reconciliation: UUID,
    connection: Reading,
    person: Bookkeeper,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> ReconciliationWithDifferences:
    """Returns its state, and the differences found so far."""
    shown = await reporting.reconciliation(connection, reconciliation)
    page = await reporting.differences(connection, reconciliation, after=after, limit=limit)
    return ReconciliationWithDifferences(
        **dict(shown),
        found=tuple(each for _, each in page),
        next=page[-1][0] if len(page) == limit else None,
    )


async def begun(connection: AsyncConnection, person: User, rail: str, span: Span) -> UUID:
    """Request a reconciliation; return its id.

    Raises:
        NotSignedIn, NotAllowed, AccountUnconfirmed: if the person may no longer, or does not have the role finance.
        RequestInvalid: if there is no such rail, or the span is in the future.
    """
    now = datetime.now(UTC)
    (await sessions.still(connection, person, at=now)).need_finance()
    if rail not in rail_catalogue.CATALOGUE:
        raise RequestInvalid(none_of(rail, sorted(rail_catalogue.CATALOGUE)), "rail")
    until = min(span.ends_before or now, now)
    since = span.begins_at or until - timedelta(days=DAYS)
    if since >= until:
        raise RequestInvalid(f"{span.since} has not begun yet", "since")
    return await reconciliations.ask(connection, rail, since, until, by=person.name, at=now)
