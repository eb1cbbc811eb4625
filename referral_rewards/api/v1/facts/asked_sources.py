"""The sources that orders and customers are asked about at: whether each answers, and what it lets us read."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Its, Person
from referral_rewards.domain.referrals.inquiries import REGISTER
from referral_rewards.sources.connecting import connected, rights_at, spoken_at

router = APIRouter(prefix="/v1/sources", tags=["webhooks"])

_EXAMPLE: Final[dict[str, Any]] = {
    "sources": [
        {
            "name": "shop",
            "asked_as": "shopify",
            "answers": False,
            "rights": [
                {"what": "orders", "why": None},
                {"what": "disputes", "why": "It answered 403: the key of its api is wrong, or may not read this."},
            ],
        }
    ]
}


class RightAtSource(BaseModel):
    """Something that we have to read there, and why we can't; null if we can."""

    what: str
    why: str | None


class AskedSource(BaseModel):
    """A source that is asked before money moves."""

    name: str = Field(description="As the terms name it.")
    asked_as: str = Field(description="`our own form`, `a mapping`, or the vendor.")
    answers: bool
    rights: list[RightAtSource]


class AskedSources(BaseModel):
    """The sources that are asked, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    sources: list[AskedSource]


@router.get("/asked", summary="Whether the sources answer, and what they let us read")
async def check_asked_sources(parts: Its, person: Person) -> AskedSources:
    """Asks each source now, with the keys of this process; workers may have others."""
    async with connected(parts.sources) as sources:
        names = sorted(sources.keys() - {REGISTER})
        found = await asyncio.gather(*(rights_at(sources[name]) for name in names))
    return AskedSources(
        sources=[
            AskedSource(
                name=name,
                asked_as=spoken_at(parts.sources[name]),
                answers=all(each.why is None for each in rights),
                rights=[RightAtSource(what=each.what, why=each.why) for each in rights],
            )
            for name, rights in zip(names, found, strict=True)
        ]
    )
