"""Measurement events: what happened to claims, payments and answers, by cursor."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from referral_rewards.api.dependencies import Its, Person
from referral_rewards.domain.measures.events import CURSOR, Place
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.measures import events
from referral_rewards.reporting.measures.events import MeasurementPage

router = APIRouter(prefix="/v1/measurements", tags=["reports"])

_EXAMPLE: Final[dict[str, Any]] = {
    "events": [
        {
            "specversion": "1.0",
            "id": "5d9a6c0e-6b6c-5a3e-9f8e-0d5a3c1b7e21",
            "source": events.SOURCE,
            "type": "referral_rewards.referral.denied.v1",
            "time": "2026-07-24T14:00:00Z",
            "subject": "db1",
            "datacontenttype": "application/json",
            "data": {"program": "acme-friends", "referral": "db1", "reason": "existing_customer"},
        }
    ],
    "next": "8841.3.0000000000000000042",
}


@router.get(
    "",
    summary="Measurement events, by cursor",
    response_model=MeasurementPage,
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}, "application/jsonl": {}}}},
)
async def list_measurements(
    parts: Its,
    person: Person,
    after: Annotated[
        str, Query(max_length=80, pattern=CURSOR, description="`next` of the page before; empty to begin.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="Rows that events are derived from.")] = 500,
    format_: Annotated[
        Literal["json", "jsonl"], Query(alias="format", description="A page, or one event a line to the end.")
    ] = "json",
) -> MeasurementPage | StreamingResponse:
    """Returns CloudEvents in the order in which what caused them was committed. Nothing is committed before what was
    read: whoever goes on from `next` misses nothing and gets nothing twice. Asked again, the events are the same.

    As lines, all events from the cursor on are sent."""
    place = Place.at(after)
    if format_ == "jsonl":
        return StreamingResponse(_lines(parts, place), media_type="application/jsonl")
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        return await events.page(connection, place, limit)


async def _lines(parts: Its, after: Place) -> AsyncIterator[str]:
    """Every event from a place on, a page a transaction."""
    while True:
        async with parts.database.reading() as connection:
            await see_one_moment(connection)
            page = await events.page(connection, after, _BLOCK)
        for each in page.events:
            yield f"{each.model_dump_json()}\n"
        if page.next == after.cursor:
            return
        after = Place.at(page.next)


_BLOCK: Final = 500
