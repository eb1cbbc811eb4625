"""Persons: all that is on record about one, erasing it, and the keys under which it is sealed. For administrators.

Addresses and numbers stand in bodies alone, never in an address of ours.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Administrator, Its, Parts, Reading, acting
from referral_rewards.api.openapi import refusals
from referral_rewards.api.persons import OURS, erased, exported, known
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.people.authority import Role
from referral_rewards.register.persons import erasing, resealing
from referral_rewards.register.persons.resealing import Place
from referral_rewards.reporting.persons import PersonKept
from referral_rewards.reporting.shape import Instant, Shape

router = APIRouter(prefix="/v1/persons", tags=["persons"])

Value = Annotated[str, Field(max_length=500, pattern=TEXT)]
Values = Annotated[list[Value], Field(max_length=20)]


class Asked(BaseModel):
    """By what one person is known: ids as a referrer and as a customer, email addresses, phone numbers."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"referrer": ["dexter"]}]})

    referrer: Values = []
    customer: Values = []
    email: Values = []
    phone: Values = []


class PersonErasure(Shape):
    """The erasing of a person. ``names`` are ids and keyed hashes; ``waits`` says what is open, of which nothing may be
    erased; then it goes on by itself. ``texts_blanked`` counts facts, letters and notes that can't be read any more,
    ``payloads_blanked`` what sources sent.

    The marks of the erased stay for a while: ``marks_due_at`` is when they go if nothing happens until then (null while
    nobody can say), ``marks_stay`` says what they wait for, and in ``facts_without_marks`` facts they went.
    """

    id: UUID
    names: tuple[str, ...]
    asked_by: str
    asked_at: Instant
    tried_at: Instant
    waits: tuple[str, ...]
    erased_at: Instant | None
    texts_blanked: int
    payloads_blanked: int
    marks_due_at: Instant | None
    marks_stay: str | None
    marks_removed_at: Instant | None
    facts_without_marks: int


class KeyUse(Shape):
    """How many rows a key of personal data sealed; ``is_newest``: it is the one that seals."""

    key: str
    rows: int
    is_newest: bool


class ResealFrom(BaseModel):
    """Where the last batch ended; empty to begin."""

    model_config = ConfigDict(extra="forbid")

    table: Annotated[str | None, Field(json_schema_extra={"enum": [*resealing.TABLES, None]})] = None
    after: UUID | None = None


class Resealed(Shape):
    """How many rows were sealed anew, and where the next batch begins; null: all was gone through. ``left`` are the
    rows under other keys then."""

    rows: int
    table: str | None
    after: UUID | None
    left: int | None


@router.post("/export", summary="Show all that is on record about a person", responses=refusals(HTTPStatus.NOT_FOUND))
async def export(asked: Asked, response: Response, parts: Its, user: Administrator) -> PersonKept:
    """Returns everything about a person, in clear. That you looked stands in the audit log (`person.exported`)."""
    response.headers["Cache-Control"] = "no-store"
    return await exported(parts, user, known(parts, asked.model_dump()))


@router.post(
    "/erase", status_code=HTTPStatus.ACCEPTED, summary="Erase a person", responses=refusals(HTTPStatus.NOT_FOUND)
)
async def erase(asked: Asked, parts: Its, user: Administrator) -> PersonErasure:
    """Erases at once what can be read of a person, or waits while a claim or payment of theirs is open (`waits`)."""
    return PersonErasure.model_validate(await erased(parts, user, known(parts, asked.model_dump())))


@router.get("/erasures", summary="List what was asked to be erased")
async def erasures(connection: Reading, user: Administrator) -> list[PersonErasure]:
    """Lists the erasings, the newest first, with what each waits for."""
    return [PersonErasure.model_validate(each) for each in await erasing.listing(connection)]


@router.get("/keys", summary="List the keys that seal personal data")
async def keys(connection: Reading, parts: Its, user: Administrator) -> list[KeyUse]:
    """Lists the keys by their names, with the rows that each sealed. It reads every row."""
    return await _used(connection, parts)


@router.post("/keys/reseal", summary="Seal personal data anew with the newest key")
async def reseal(begin: ResealFrom, parts: Its, user: Administrator) -> Resealed:
    """Seals a batch of rows anew that an earlier key sealed. Call it with what it returned, until ``table`` is null."""
    if begin.table is not None and begin.table not in resealing.TABLES:
        raise RequestInvalid(f"is one of {', '.join(resealing.TABLES)}", "table")
    place = resealing.BEGINNING if begin.table is None else Place(begin.table, begin.after or resealing.BEGINNING.after)

    async def done(connection: AsyncConnection, now: datetime) -> Resealed:
        its = await resealing.reseal(connection, place)
        if its.next is not None:
            return Resealed(rows=its.rows, table=its.next.table, after=its.next.after, left=None)
        left = sum(each.rows for each in await _used(connection, parts) if not each.is_newest)
        if not left:
            await resealing.forget_others(connection)
        return Resealed(rows=its.rows, table=None, after=None, left=left)

    return await acting(parts, user, done, Role.ADMINISTRATOR, OURS)


async def _used(connection: AsyncConnection, parts: Parts) -> list[KeyUse]:
    newest = parts.database.personal.newest.hex()
    return [
        KeyUse(key=each.key, rows=each.rows, is_newest=each.key == newest) for each in await resealing.used(connection)
    ]
