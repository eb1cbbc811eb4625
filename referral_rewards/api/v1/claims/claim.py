"""One claim, and the decisions on it."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.openapi import refusals
from referral_rewards.api.recording import recorded
from referral_rewards.api.v1 import fields
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.referrals.lifecycle import Side
from referral_rewards.reporting.referrals.decidable import DecidableClaim, decidable

router = APIRouter(prefix="/v1/claims", tags=["claims"])


class NewDecision(BaseModel):
    """A decision to record. ``digest`` is from `GET /v1/claims/{referral}`: it identifies what the person saw."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{**each, "digest": fields.EXAMPLE_DIGEST} for each in fields.EXAMPLES],
            "anyOf": fields.FORMS_BY_KIND,
        },
    )

    kind: DecisionKind
    reason: str
    note: fields.Note
    digest: fields.Digest
    leg: Annotated[Side | None, Field(description="`adjust`: the leg that is set or left out.")] = None
    amount_minor: Annotated[
        int | None,
        Field(gt=0, le=10**15, description="`adjust`: the amount, in minor units of the claim's `currency`."),
    ] = None
    leave_out: Annotated[bool, Field(description="`adjust`: pay nothing for the leg.")] = False
    referrer: Annotated[
        str | None, Field(pattern=fields.TEXT, description="`reassign`: the id of the referrer to whom it moves.")
    ] = None
    order: Annotated[
        str | None, Field(pattern=fields.TEXT, description="`link`: the id of the order that the referral hears of.")
    ] = None

    store: Annotated[
        str | None,
        Field(pattern=fields.TEXT, description="`link`: the store that gave the order its id, where one is known."),
    ] = None

    def asked(self, referral: str) -> Asked:
        """Return the decision as it is asked for."""
        return Asked(
            referral,
            self.kind,
            self.reason,
            self.note,
            self.digest,
            amount_minor=self.amount_minor,
            leg=self.leg,
            leave_out=self.leave_out,
            referrer=self.referrer,
            order=self.order,
            store=self.store,
        )


class RecordedDecision(BaseModel):
    """A recorded decision; ``repeated`` if the same one was recorded before."""

    id: UUID
    seq: int
    referral: str
    kind: DecisionKind
    user: str
    roles: list[str]
    reason: str
    digest: str
    decided_at: AwareDatetime
    repeated: bool


@router.get("/{referral:path}", summary="Show what a decision would be made against")
async def show_claim(referral: fields.NamedInPath, connection: Reading, person: Person, parts: Its) -> DecidableClaim:
    """Returns the claim with its digest, the decisions so far, and the decisions that are possible now.

    For a closed referral `digest` is that of its closing, and one can only `reopen` it or `link` an order to it; to a
    referral without a claim, only `link`.
    """
    return await decidable(connection, referral, parts.keys)


@router.post(
    "/{referral:path}/decisions",
    status_code=201,
    summary="Decide",
    responses={200: {"model": RecordedDecision, "description": "It was on record"}, **refusals(HTTPStatus.CONFLICT)},
)
async def decide(
    referral: fields.NamedInPath, new: NewDecision, response: Response, person: Decider, parts: Its
) -> RecordedDecision:
    """Signs and records a decision of the signed-in person, and wakes the referral.

    `adjust` names a leg, with an amount or `leave_out`; `reassign` a referrer, to whom the claim moves; `link` an
    order.

    409 if the claim changed since it was shown, or the approval rules forbid the decision; the rule is named. The same
    decision again returns 200 with the first one.
    """
    decision, repeated = await recorded(parts, new.asked(referral), person)
    if repeated:
        response.status_code = 200
    return RecordedDecision(
        id=decision.id,
        seq=decision.seq,
        referral=decision.referral,
        kind=new.kind,
        user=decision.user,
        roles=sorted(decision.roles),
        reason=decision.reason,
        digest=decision.digest,
        decided_at=decision.decided_at,
        repeated=repeated,
    )
