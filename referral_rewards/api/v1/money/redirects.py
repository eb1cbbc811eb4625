"""Redirects: what waits for a payee's payment method, and the decision that binds it to the present one."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Bookkeeper, Decider, Its, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.recording import recorded
from referral_rewards.api.v1 import fields
from referral_rewards.domain.decisions.act_kinds import REASONS, REFERENCE_LENGTH_MAX, MoneyAct
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.errors import RequestInvalid, none_of
from referral_rewards.domain.payouts.destinations import needs_method
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.reporting.payees.redirects import RedirectShown, redirect

router = APIRouter(prefix="/v1/redirects", tags=["payees"])

#: A rail that pays to what the payee has named.
_EXAMPLE: Final = next(name for name in CATALOGUE if needs_method(name))
_Payee = Annotated[str, Query(max_length=500, pattern=fields.TEXT, examples=["dexter"])]
_Rail = Annotated[str, Query(max_length=500, pattern=fields.TEXT, examples=[_EXAMPLE])]


class NewRedirect(BaseModel):
    """A redirect of all that waits for a payee on a rail. ``digest`` is from `GET /v1/redirects`.

    ``to``, if it is named, must be the payee's present destination there.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "payee": "dexter",
                    "rail": _EXAMPLE,
                    "to": "db1-account",
                    "reason": "confirmed_with_payee",
                    "note": "Called back on the number that we had before.",
                    "digest": fields.EXAMPLE_DIGEST,
                }
            ]
        },
    )

    payee: fields.GivenId
    rail: Annotated[str, Field(json_schema_extra={"enum": list(CATALOGUE)})]
    reason: Annotated[str, Field(json_schema_extra={"enum": list(REASONS[MoneyAct.REDIRECT_PAYEE])})]
    note: fields.Note
    digest: fields.Digest
    to: Annotated[str | None, Field(max_length=REFERENCE_LENGTH_MAX)] = None


class RecordedRedirect(BaseModel):
    """The recorded decision; ``repeated`` if the same one was recorded before.

    What waits goes on once ``people`` of finance have signed the same ``digest``.
    """

    id: UUID
    seq: int
    act: Literal[MoneyAct.REDIRECT_PAYEE]
    payee: str
    rail: str
    destination: str
    people: int
    user: str
    roles: list[str]
    reason: str
    digest: str
    decided_at: AwareDatetime
    repeated: bool


@router.get("", summary="Show what a redirect would sign", responses=refusals(HTTPStatus.NOT_FOUND))
async def show_redirect(
    payee: _Payee, rail: _Rail, connection: Reading, person: Bookkeeper, parts: Its
) -> RedirectShown:
    """Returns what waits for the payee on the rail, where it would be paid, and what is still needed for that."""
    _check_rail(rail)
    return await redirect(connection, payee, rail, datetime.now(UTC), parts.keys)


@router.post(
    "",
    status_code=201,
    summary="Redirect what waits for a payee",
    responses={
        200: {"model": RecordedRedirect, "description": "It was on record"},
        **refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    },
)
async def redirect_payee(new: NewRedirect, response: Response, person: Decider, parts: Its) -> RecordedRedirect:
    """Signs and records a redirect, and wakes what it binds once enough people of finance have signed.

    409 with the rule if it may not be made now: nothing waits, a payment is under way, the payee was not told a day
    ago, or this person signed already or benefits from it.
    """
    _check_rail(new.rail)
    asked = Asked(
        subject=new.payee,
        kind=MoneyAct.REDIRECT_PAYEE,
        reason=new.reason,
        note=new.note,
        digest=new.digest,
        reference=new.to,
        rail=new.rail,
    )
    made, repeated = await recorded(parts, asked, person)
    if repeated:
        response.status_code = 200
    details = made.details or {}
    return RecordedRedirect(
        id=made.id,
        seq=made.seq,
        act=MoneyAct.REDIRECT_PAYEE,
        payee=details["payee"],
        rail=details["rail"],
        destination=details["destination"],
        people=details["people"],
        user=made.user,
        roles=sorted(made.roles),
        reason=made.reason,
        digest=made.digest,
        decided_at=made.decided_at,
        repeated=repeated,
    )


def _check_rail(rail: str) -> None:
    if rail not in CATALOGUE:
        raise RequestInvalid(none_of(rail, CATALOGUE), "rail")
