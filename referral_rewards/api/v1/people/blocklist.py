"""The blocklist of the installation, stored as marks that identify no person. For administrators."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Administrator, Its, Parts, Reading, acting
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.domain.errors import BadInput, Problem, RequestInvalid
from referral_rewards.domain.facts.ids import id_problem, tells_of_a_person
from referral_rewards.domain.people.authority import Role
from referral_rewards.register.claims import blocklist
from referral_rewards.reporting.shape import Instant

router = APIRouter(prefix="/v1/blocklist", tags=["people"])

_VALUES_MAX: Final = 1_000

Value = Annotated[str, Field(max_length=500, pattern=TEXT)]
Values = Annotated[list[Value], Field(max_length=_VALUES_MAX)]


class Identities(BaseModel):
    """Email addresses, phone numbers, customer ids, devices and payment fingerprints, written as in facts."""

    model_config = ConfigDict(extra="forbid")

    email: Values = []
    phone: Values = []
    customer: Values = []
    device: Values = []
    fingerprint: Values = []


class NewlyBlocked(Identities):
    """The identities to block, and the reason, which must not name a person."""

    why: Annotated[str, Field(max_length=500, pattern=TEXT)]


class TrustedAgain(Identities):
    """The identities to unblock, as they were blocked or by the marks in the list."""

    mark: Values = []


class BlockedMark(BaseModel):
    """A blocked mark, with the reason, the time and the user who blocked it."""

    mark: str
    why: str
    blocked_at: Instant
    blocked_by: str


class Blocked(BaseModel):
    """How many marks are blocked now, and how many of them already were."""

    blocked: int
    before: int


class Trusted(BaseModel):
    """How many marks were unblocked."""

    trusted: int


#: The field of a fact that holds each kind of value.
_FIELDS: Final = {
    "email": "email",
    "phone": "phone",
    "customer": "customer",
    "device": "device",
    "fingerprint": "payment_fingerprint",
}


@router.get("", summary="List what is blocked")
async def list_blocked(connection: Reading, user: Administrator) -> list[BlockedMark]:
    """Lists the blocked marks, newest first; nothing else is stored."""
    return [BlockedMark(**row._asdict()) for row in await blocklist.listing(connection)]


@router.post("", summary="Block whoever shows one of these")
async def block(new: NewlyBlocked, parts: Its, user: Administrator) -> Blocked:
    """Blocks identities. The signal `blocklisted` then fires for them, with the weight that the terms give it."""
    if not new.why.strip():
        raise RequestInvalid("say why, for whoever asks later", "why")
    if tells_of_a_person(new.why):
        raise RequestInvalid("looks like an address or a phone number: only marks are kept, say it without", "why")
    marks = _marks(parts, new)

    async def add(connection: AsyncConnection, now: datetime) -> int:
        return await blocklist.add(connection, marks, why=new.why.strip(), by=user.name, at=now)

    added = await acting(parts, user, add, Role.ADMINISTRATOR)
    return Blocked(blocked=added, before=len(marks) - added)


@router.post("/removals", summary="Trust them again", responses=refusals(HTTPStatus.NOT_FOUND))
async def unblock(new: TrustedAgain, parts: Its, user: Administrator) -> Trusted:
    """Unblocks identities. Claims judged meanwhile are judged again only when their facts change."""
    marks = frozenset(new.mark)
    if not marks or any(getattr(new, field) for field in _FIELDS):
        marks |= _marks(parts, new)
    await acting(parts, user, lambda c, at: blocklist.remove(c, marks, by=user.name, at=at), Role.ADMINISTRATOR)
    return Trusted(trusted=len(marks))


def _marks(parts: Parts, given: Identities) -> frozenset[str]:
    """Return the marks of the given values.

    Raises:
        BadInput: with every value that has no mark, or if no value was given.
    """
    told: list[tuple[str, Any]] = [(field, value) for field in _FIELDS for value in getattr(given, field)]
    if not told:
        raise RequestInvalid(f"name at least one of {', '.join(_FIELDS)}")
    problems, found = [], set[str]()
    for field, value in told:
        problem = id_problem(value) if field == "customer" else None
        marks = parts.intake.marker.marks({_FIELDS[field]: value})
        if problem or not marks:
            problems.append(Problem(field, problem or f"{value!r} can't be compared with anybody's"))
        found |= marks
    if problems:
        raise BadInput(problems)
    return frozenset(found)
