"""The queue of what waits for a person, by page, and bulk decisions on its claims."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Decider, Its, Parts, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.recording import Outcome, recorded_together, rule_of
from referral_rewards.api.v1 import fields
from referral_rewards.api.v1.downloads import sent
from referral_rewards.api.v1.listing import AS_FILE
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.decision_kinds import TOGETHER_MAX
from referral_rewards.register import programs
from referral_rewards.register.people import users
from referral_rewards.reporting.lists.reading import Totals
from referral_rewards.reporting.queue import sheet
from referral_rewards.reporting.queue.conditions import Asking
from referral_rewards.reporting.queue.counts import Counts, counts
from referral_rewards.reporting.queue.entries import Entry, page
from referral_rewards.reporting.queue.filters import Filters, Word
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/claims", tags=["claims"])


class Waiting(Shape):
    """A page of the queue. `next` is the value of `after` for the next page; null at the end.

    A page may have fewer than `limit` entries and still have a next one: no request scans the whole queue for a rare
    match.
    """

    claims: tuple[Entry, ...]
    next: str | None
    counts: Counts
    totals: Totals | None = None


class QueueFilters(Filters):
    """Filters of the queue, including the user whose claims are listed."""

    for_: Word | None = Field(None, alias="for", description="Only what this user can decide on.")
    totals: bool = Field(False, description="Also what the rewards of all that is filtered come to, by currency.")
    format: Literal["json", "csv"] = Field(
        "json", description="A page as JSON, or everything that is filtered as a CSV file."
    )


class Chosen(BaseModel):
    """A claim to decide on. `digest` is the `approval.digest` that was shown: it identifies what the person saw."""

    model_config = ConfigDict(extra="forbid")

    referral: fields.GivenId
    digest: fields.Digest


class NewDecisions(BaseModel):
    """One decision to record on each of many claims."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{**fields.EXAMPLE, "claims": [{"referral": "db1", "digest": fields.EXAMPLE_DIGEST}]}],
            "anyOf": fields.REASONS_BY_KIND,
        },
    )

    kind: DecisionKind
    reason: str
    note: fields.Note
    claims: Annotated[list[Chosen], Field(min_length=1, max_length=TOGETHER_MAX)]


class LeftOut(BaseModel):
    """Why a claim was left out: the rule, and a sentence."""

    rule: str
    detail: str


class Decided(BaseModel):
    """The outcome for one claim: the decision's number in the record, or why it was left out."""

    referral: str
    outcome: Literal["recorded", "repeated", "left_out"]
    decision: UUID | None
    seq: int | None
    problem: LeftOut | None


class DecidedTogether(BaseModel):
    """The outcome for every claim in the request, in that order."""

    recorded: int
    repeated: int
    left_out: int
    outcomes: list[Decided]


@router.get(
    "",
    summary="What waits for a person",
    response_model=Waiting,
    responses={**AS_FILE, **refusals(HTTPStatus.NOT_FOUND)},
)
async def list_claims(
    connection: Reading, person: Person, parts: Its, filters: Annotated[QueueFilters, Query()]
) -> Waiting | StreamingResponse:
    """Lists claims, late facts, clawback cases, payouts and cycles that wait for a person, by page or as a file."""
    now = datetime.now(UTC)
    asking = Asking(person.name, person.roles)
    if filters.for_ is not None:
        somebody = await users.named(connection, filters.for_)
        filters, asking = filters.model_copy(update={"mine": True}), Asking(somebody.name, somebody.roles)
    if filters.format == "csv":
        await programs.hold_known(connection, filters.program)
        return await file_of(parts, filters, asking, now)
    found = await page(connection, parts.keys, filters, asking, now)
    if not found.entries:
        await programs.hold_known(connection, filters.program)
    return Waiting(
        claims=tuple(found.entries),
        next=found.next,
        counts=await counts(connection, now),
        totals=await sheet.totals(connection, filters, asking, now) if filters.totals else None,
    )


async def file_of(parts: Parts, filters: Filters, asking: Asking, now: datetime) -> StreamingResponse:
    """Return all entries that match as a file.

    Raises:
        RequestInvalid: for filters that do not fit together.
    """
    whole = filters.model_copy(update={"after": None})
    return await sent(
        parts.database,
        lambda connection: sheet.written(connection, parts.keys, whole, asking, now),
        f"{sheet.NAME}.csv",
    )


@router.post("/decisions", summary="Decide on many claims")
async def decide_together(new: NewDecisions, person: Decider, parts: Its) -> DecidedTogether:
    """Signs and records a separate decision on each claim, against its digest, each in its own transaction.

    A claim that changed since it was shown, that is flagged, or on which the approval rules forbid the decision is left
    out and listed with the rule; the others are decided. The same request again returns the existing decisions.
    """
    claims = [(each.referral, each.digest) for each in new.claims]
    outcomes = await recorded_together(parts, new.kind, new.reason, new.note, claims, person)
    told = [_told(each) for each in outcomes]
    return DecidedTogether(
        recorded=sum(each.outcome == "recorded" for each in told),
        repeated=sum(each.outcome == "repeated" for each in told),
        left_out=sum(each.outcome == "left_out" for each in told),
        outcomes=told,
    )


def _told(outcome: Outcome) -> Decided:
    if outcome.decision is None:
        assert outcome.refusal is not None
        problem = LeftOut(rule=rule_of(outcome.refusal), detail=str(outcome.refusal))
        return Decided(referral=outcome.referral, outcome="left_out", decision=None, seq=None, problem=problem)
    return Decided(
        referral=outcome.referral,
        outcome="repeated" if outcome.repeated else "recorded",
        decision=outcome.decision.id,
        seq=outcome.decision.seq,
        problem=None,
    )
