"""Programs: publishing and reading versions of their terms, and checking that a program is ready to run."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Decider, Its, Person, Reading, acting
from referral_rewards.api.openapi import PlaceOfProblem, refusals
from referral_rewards.api.v1.fields import TEXT, NamedInPath
from referral_rewards.api.v1.programs.acts import NewProgramAct, RecordedProgramAct, record
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.programs.terms import Terms, load_terms
from referral_rewards.domain.readiness.gaps import Area, gaps, in_order
from referral_rewards.domain.readiness.terms_review import unclear
from referral_rewards.register import programs
from referral_rewards.reporting.programs.life import ProgramLife, life
from referral_rewards.reporting.programs.preflight import readiness
from referral_rewards.reporting.shape import Instant
from referral_rewards.sources.connecting import connected

router = APIRouter(prefix="/v1/programs", tags=["programs"])

_TERMS_LENGTH_MAX: Final = 200_000
_EXAMPLE: Final = "program: acme-friends\neffective_from: 2026-01-01\n…\n"

TermsText = Annotated[str, Field(max_length=_TERMS_LENGTH_MAX, pattern=TEXT, examples=[_EXAMPLE])]
"""Terms as they are written, in YAML."""


class ProgramVersion(BaseModel):
    """A version of a program's terms."""

    program: str
    version: int
    name: str
    effective_from: Instant
    published_at: Instant
    published_by: str


class NewTerms(BaseModel):
    """Terms to publish as the next version of the program that they name."""

    model_config = ConfigDict(extra="forbid")

    terms: TermsText


class PublishedTerms(BaseModel):
    """The version with this text; ``repeated`` if it already existed. ``released`` counts the referrals that waited for
    it; ``unclear`` lists implausible values."""

    program: str
    version: int
    repeated: bool
    released: int
    unclear: list[PlaceOfProblem]


class ProposedTerms(BaseModel):
    """Terms to check instead of the newest version; null: that version."""

    model_config = ConfigDict(extra="forbid")

    terms: TermsText | None = None


class AreaRemark(BaseModel):
    """A remark about one area of what a program needs."""

    area: Area
    what: str


class ProgramReadiness(BaseModel):
    """Whether a program is ready to run, each gap, and what is in order."""

    program: str
    version: int | None
    ready: bool
    gaps: list[AreaRemark]
    in_order: list[AreaRemark]


@router.get("", summary="List every version of every program")
async def list_programs(connection: Reading, person: Person) -> list[ProgramVersion]:
    """Lists the versions by program and number."""
    return [ProgramVersion(**row._asdict()) for row in await programs.listing(connection)]


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Publish terms",
    responses={
        200: {"model": PublishedTerms, "description": "The newest version has this very text"},
        **refusals(HTTPStatus.CONFLICT),
    },
)
async def publish_terms(new: NewTerms, parts: Its, person: Decider, response: Response) -> PublishedTerms:
    """For program owners. 409 if it would change the terms of a referral bound to an earlier version."""
    person.need_role(Role.PROGRAM_OWNER, _PUBLISHING)
    terms = load_terms(new.terms)

    async def publish(connection: AsyncConnection, now: datetime) -> programs.Published:
        return await programs.publish(connection, new.terms, by=person.name, at=now)

    done = await acting(parts, person, publish, Role.PROGRAM_OWNER, _PUBLISHING)
    if done.repeated:
        response.status_code = HTTPStatus.OK
    said = [PlaceOfProblem(**each._asdict()) for each in unclear(terms)]
    return PublishedTerms(
        program=done.program, version=done.version, repeated=done.repeated, released=done.released, unclear=said
    )


@router.get(
    "/{program:path}/terms",
    summary="Show terms as they were published",
    response_class=PlainTextResponse,
    responses={200: {"description": "The text, comments included.", "content": {"text/plain": {}}}},
)
async def show_terms(
    program: NamedInPath,
    connection: Reading,
    person: Person,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The newest version by default.")] = None,
) -> PlainTextResponse:
    """Returns the YAML of a version."""
    return PlainTextResponse(await programs.shown(connection, program, version))


@router.get(
    "/{program:path}/life",
    summary="Show whether a program runs, and its budget",
    responses=refusals(HTTPStatus.NOT_FOUND),
)
async def show_life(program: NamedInPath, connection: Reading, person: Person, parts: Its) -> ProgramLife:
    """Returns whether it is paused or has ended, its budget, the decisions on it, and those that are possible now."""
    return await life(connection, program, datetime.now(UTC), parts.keys)


@router.post(
    "/{program:path}/decisions",
    status_code=HTTPStatus.CREATED,
    summary="Pause, resume or end a program, or add to its budget",
    responses={
        200: {"model": RecordedProgramAct, "description": "It was on record"},
        **refusals(HTTPStatus.CONFLICT),
    },
)
async def decide_on_program(
    program: NamedInPath, new: NewProgramAct, response: Response, person: Decider, parts: Its
) -> RecordedProgramAct:
    """Signs and records a decision of the signed-in person, and wakes what it concerns.

    A program owner pauses, resumes and ends a program. An addition to the budget is signed by finance and by the
    program owner, two people: each sends it, with the same amount. 409 if another decision came first
    (`decided_meanwhile`, `stale`), or if the program does not take it now (`not_now`). The same decision again returns
    200 with the first one.
    """
    made = await record(parts, program, new, person)
    if made.repeated:
        response.status_code = HTTPStatus.OK
    return made


@router.post("/{program:path}/preflight", summary="Whether a program is ready to run")
async def check_readiness(program: NamedInPath, new: ProposedTerms, parts: Its, person: Person) -> ProgramReadiness:
    """Checks for clear terms, connected billing and rails, and people for every decision. Asks the outside sources."""
    proposed = None if new.terms is None else of_program(new.terms, program)
    async with connected(parts.sources) as sources:
        found = await readiness(parts.database, program, sources, parts.keys, proposed=proposed)
    missing = [AreaRemark(area=each.area, what=each.what) for each in gaps(found)]
    well = [AreaRemark(area=each.area, what=each.what) for each in in_order(found)]
    return ProgramReadiness(program=program, version=found.version, ready=not missing, gaps=missing, in_order=well)


def of_program(text: str, program: str) -> Terms:
    """Load the terms from the text.

    Raises:
        BadInput: if they are not valid, or belong to another program.
    """
    terms = load_terms(text)
    if terms.program != program:
        raise RequestInvalid(f"are the terms of {terms.program}, not of {program}", "terms")
    return terms


_PUBLISHING: Final = "publish terms"
