"""Pilots of programs: one is started, shown, and ended with a go or a no-go."""

from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api import piloting
from referral_rewards.api.dependencies import Decider, Its, Person
from referral_rewards.api.openapi import refusals
from referral_rewards.api.v1 import fields
from referral_rewards.domain.decisions.act_kinds import REASONS, MoneyAct
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.pilots.outcome import Go
from referral_rewards.domain.pilots.plan import NAMES_MAX, planned
from referral_rewards.reporting.pilots.standing import PilotsOfProgram
from referral_rewards.reporting.shape import Instant

router = APIRouter(prefix="/v1/pilots", tags=["pilots"])

_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=fields.TEXT)]
_NUMBER_MAX: Final = 2**31 - 1


class NewPilot(BaseModel):
    """A pilot to start: who owns it, which claims count (every one, unless the first so many, referrals or partners are
    named), how long it lasts (one payout cycle, unless a period is named), and how much of what is paid must hold all
    six parts, in percent. ``digest`` is from `GET /v1/pilots/{program}`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "owner": "paula",
                    "first": 20,
                    "reason": "new_program",
                    "note": "Before we invite all customers.",
                    "digest": fields.EXAMPLE_DIGEST,
                }
            ]
        },
    )

    owner: _Name
    lasts: Annotated[str | None, Field(max_length=100, pattern=fields.TEXT, examples=["P30D"])] = None
    first: Annotated[int | None, Field(strict=True, ge=1, le=10_000)] = None
    referrals: Annotated[list[_Name], Field(max_length=NAMES_MAX)] = []
    partners: Annotated[list[_Name], Field(max_length=NAMES_MAX)] = []
    threshold: Annotated[str | None, Field(max_length=20, pattern=fields.TEXT, examples=["100"])] = None
    reason: Annotated[str, Field(json_schema_extra={"enum": list(REASONS[MoneyAct.START_PILOT])})]
    note: fields.Note
    digest: fields.Digest


class EndOfPilot(BaseModel):
    """The end of the pilot that runs. With the reason `pilot_measured` it ends as measured; for any other reason it
    ends early, with a no-go. ``digest`` is from `GET /v1/pilots/{program}`: it covers the figures that were shown."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"reason": "pilot_measured", "note": "Every reward holds.", "digest": fields.EXAMPLE_DIGEST}]
        },
    )

    reason: Annotated[str, Field(json_schema_extra={"enum": list(REASONS[MoneyAct.END_PILOT])})]
    note: fields.Note
    digest: fields.Digest


class RecordedPilotAct(BaseModel):
    """A recorded decision on a pilot; ``verdict`` is what was signed at its end, null for a start. ``repeated``: the
    same one was recorded before."""

    id: UUID
    seq: int
    program: str
    act: MoneyAct
    user: str
    roles: list[str]
    reason: str
    digest: str
    decided_at: Instant
    verdict: Go | None
    repeated: bool

    @classmethod
    def of(cls, made: Decision, program: str, *, repeated: bool) -> "RecordedPilotAct":
        return cls(
            id=made.id,
            seq=made.seq,
            program=program,
            act=MoneyAct(made.kind),
            user=made.user,
            roles=sorted(made.roles),
            reason=made.reason,
            digest=made.digest,
            decided_at=made.decided_at,
            verdict=(made.details or {}).get("verdict"),
            repeated=repeated,
        )


_ON_RECORD: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": RecordedPilotAct, "description": "It was on record"},
    **refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
}


@router.get("/{program:path}", summary="Show the pilot of a program", responses=refusals(HTTPStatus.NOT_FOUND))
async def show_pilot(
    program: fields.NamedInPath,
    parts: Its,
    person: Person,
    number: Annotated[int | None, Query(ge=1, le=_NUMBER_MAX, description="Which one; by default the newest.")] = None,
) -> PilotsOfProgram:
    """Returns what was promised, what is measured as of now, go or no-go and why, and what is undecided; null under
    `pilot` for a program that had none."""
    return await piloting.shown(parts, program, number)


@router.post("/{program:path}/start", status_code=HTTPStatus.CREATED, summary="Start a pilot", responses=_ON_RECORD)
async def start_pilot(
    program: fields.NamedInPath, new: NewPilot, response: Response, parts: Its, person: Decider
) -> RecordedPilotAct:
    """For program owners. Runs the preflight first: 409 with each gap under `problems` if the program is not ready. 409
    also if a pilot of it runs (`not_now`)."""
    version = await piloting.ready_version(parts, program, person)
    plan = planned(
        owner=new.owner,
        version=version,
        lasts=new.lasts,
        first=new.first,
        referrals=new.referrals,
        partners=new.partners,
        threshold=new.threshold,
    )
    made, repeated = await piloting.start(parts, program, plan, new.reason, new.note, new.digest, person)
    if repeated:
        response.status_code = HTTPStatus.OK
    return RecordedPilotAct.of(made, program, repeated=repeated)


@router.post("/{program:path}/end", status_code=HTTPStatus.CREATED, summary="End a pilot", responses=_ON_RECORD)
async def end_pilot(
    program: fields.NamedInPath, new: EndOfPilot, response: Response, parts: Its, person: Decider
) -> RecordedPilotAct:
    """For finance and program owners. Signs what the pilot comes to now. 409 if that is no longer what was shown
    (`stale`), or if none runs (`not_now`); 422 if it is to end as measured and is not measured yet."""
    made, repeated = await piloting.end(parts, program, new.reason, new.note, new.digest, person)
    if repeated:
        response.status_code = HTTPStatus.OK
    return RecordedPilotAct.of(made, program, repeated=repeated)
