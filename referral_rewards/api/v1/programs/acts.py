"""Requests and responses for decisions on a program: its pauses, its end and its budget."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.recording import recorded
from referral_rewards.api.v1 import fields
from referral_rewards.api.v1.money.acts import AMOUNT, MINOR_MAX, NOTHING
from referral_rewards.domain.decisions.act_kinds import (
    NEEDS_AMOUNT,
    REASONS,
    SUBJECT_OF,
    TAKES_TIME,
    MoneyAct,
    SubjectKind,
)
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.register.people.users import User

_A = MoneyAct
_CURRENCY: Final = {"type": "string", "pattern": "^[A-Z]{3}$"}
_TIME: Final = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}


def _forms() -> list[Any]:
    """What each act takes beside its kind, as the part of a schema that says so."""
    return [
        {
            "properties": {
                "act": {"const": act.value},
                "reason": {"enum": list(REASONS[act])},
                "amount_minor": AMOUNT if act in NEEDS_AMOUNT else NOTHING,
                "currency": _CURRENCY if act in NEEDS_AMOUNT else NOTHING,
                "at": _TIME if act in TAKES_TIME else NOTHING,
            },
            "required": ["act", "reason", *(("amount_minor", "currency") if act in NEEDS_AMOUNT else ())],
        }
        for act, about in SUBJECT_OF.items()
        if about is SubjectKind.PROGRAM
    ]


class NewProgramAct(BaseModel):
    """A decision on a program. ``digest`` is from `GET /v1/programs/{program}/life`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "act": "end_program",
                    "reason": "campaign_over",
                    "note": "The spring campaign is over.",
                    "digest": fields.EXAMPLE_DIGEST,
                    "at": "2026-08-01T00:00:00Z",
                }
            ],
            "anyOf": _forms(),
        },
    )

    act: Literal[_A.PAUSE_PROGRAM, _A.RESUME_PROGRAM, _A.END_PROGRAM, _A.ADD_BUDGET]
    reason: str
    note: fields.Note
    digest: fields.Digest
    at: Annotated[fields.GivenInstant | None, Field(description="From when it holds; null: from the decision on.")] = (
        None
    )
    amount_minor: Annotated[int | None, Field(strict=True, le=MINOR_MAX, description="In minor units.")] = None
    currency: Annotated[str | None, Field(description="That of the program's budget.")] = None


class RecordedProgramAct(BaseModel):
    """A recorded decision on a program, and from when it holds; ``repeated`` if the same one was recorded before.

    An addition to the budget holds once it has both signatures.
    """

    id: UUID
    seq: int
    program: str
    act: MoneyAct
    user: str
    roles: list[str]
    reason: str
    digest: str
    at: AwareDatetime
    amount_minor: int | None
    currency: str | None
    decided_at: AwareDatetime
    repeated: bool


async def record(parts: Parts, program: str, new: NewProgramAct, person: User) -> RecordedProgramAct:
    """Sign and record a decision on a program, and wake what it concerns."""
    decision, repeated = await recorded(
        parts,
        Asked(
            subject=program,
            kind=new.act,
            reason=new.reason,
            note=new.note,
            digest=new.digest,
            amount_minor=new.amount_minor,
            currency=new.currency,
            at=new.at,
        ),
        person,
    )
    details = decision.details or {}
    return RecordedProgramAct(
        id=decision.id,
        seq=decision.seq,
        program=program,
        act=new.act,
        user=decision.user,
        roles=sorted(decision.roles),
        reason=decision.reason,
        digest=decision.digest,
        at=details.get("holds_from") or decision.decided_at,
        amount_minor=details.get("amount_minor"),
        currency=details.get("currency"),
        decided_at=decision.decided_at,
        repeated=repeated,
    )
