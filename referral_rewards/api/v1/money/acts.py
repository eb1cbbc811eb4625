"""Requests and responses for decisions about money."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.recording import recorded
from referral_rewards.api.v1 import fields
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import (
    NEEDS_AMOUNT,
    NEEDS_REFERENCE,
    REASONS,
    REFERENCE_LENGTH_MAX,
    SUBJECT_OF,
    MoneyAct,
    SubjectKind,
)
from referral_rewards.register.people.users import User

_A = MoneyAct
#: Far above any reward and budget, and below what a double can hold exactly.
MINOR_MAX: Final = 10**15
AMOUNT: Final = {"type": "integer", "minimum": 1, "maximum": MINOR_MAX}
_REFERENCE: Final = {"type": "string", "minLength": 1, "maxLength": REFERENCE_LENGTH_MAX, "pattern": r"^[!-~]+$"}
NOTHING: Final = {"type": "null"}


def _forms(kind: SubjectKind, example: Mapping[str, Any]) -> ConfigDict:
    """What each act takes beside its kind, as the part of a schema that says so."""
    forms: list[Any] = []
    for act in (act for act, about in SUBJECT_OF.items() if about is kind):
        amount, reference = act in NEEDS_AMOUNT, act in NEEDS_REFERENCE
        needed = [name for name, needs in (("amount_minor", amount), ("reference", reference)) if needs]
        forms.append(
            {
                "properties": {
                    "act": {"const": act.value},
                    "reason": {"enum": list(REASONS[act])},
                    "amount_minor": AMOUNT if amount else NOTHING,
                    "reference": _REFERENCE if reference else NOTHING,
                },
                "required": ["act", "reason", *needed],
            }
        )
    given = {"digest": fields.EXAMPLE_DIGEST, **example}
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [given], "anyOf": forms})


class _NewAct(BaseModel):
    act: MoneyAct
    reason: str
    note: fields.Note
    digest: fields.Digest
    amount_minor: Annotated[int | None, Field(strict=True, le=MINOR_MAX, description="In minor units.")] = None
    reference: Annotated[str | None, Field(description="The reference of the bank or provider.")] = None


class NewPayoutAct(_NewAct):
    """A decision on a payout. ``digest`` is from `GET /v1/payouts/{payout}`: it identifies what the person saw."""

    model_config = _forms(
        SubjectKind.PAYOUT,
        {
            "act": "settle_payout",
            "reason": "found_at_provider",
            "note": "The provider shows it under our key.",
            "reference": "tr_1OqLKq2eZvKYlo2C",
        },
    )

    act: Literal[_A.RETRY_PAYOUT, _A.SETTLE_PAYOUT, _A.REFUSE_PAYOUT, _A.CANCEL_PAYOUT, _A.CONFIRM_PAYOUT]


class NewClawbackAct(_NewAct):
    """A decision on a clawback case. ``digest`` is from `GET /v1/clawbacks/{case}`."""

    model_config = _forms(
        SubjectKind.CLAWBACK_CASE,
        {
            "act": "offset_clawback",
            "reason": "refund",
            "note": "Half of the order was refunded.",
            "amount_minor": 1000,
        },
    )

    act: Literal[
        _A.REVERSE_CLAWBACK,
        _A.OFFSET_CLAWBACK,
        _A.WRITE_OFF_CLAWBACK,
        _A.RETURN_CLAWBACK,
        _A.DISMISS_CLAWBACK,
        _A.SETTLE_CLAWBACK,
        _A.REFUSE_CLAWBACK,
    ]


class NewClawback(_NewAct):
    """A clawback case to open by hand. ``reward`` and ``digest`` are from `GET /v1/clawbacks/rewards/{reward}`."""

    model_config = _forms(
        SubjectKind.REWARD,
        {
            "reward": "6b1f8f3e-4c0f-5b57-9b8e-2f1f0a4d7c11",
            "act": "open_clawback",
            "reason": "chargeback",
            "note": "The bank took the money back after the watch.",
            "amount_minor": 2500,
        },
    )

    reward: UUID
    act: Literal[_A.OPEN_CLAWBACK]


class NewCycleAct(_NewAct):
    """A decision on a payout cycle. ``digest`` is from `GET /v1/cycles/{cycle}`."""

    model_config = _forms(
        SubjectKind.CYCLE,
        {"act": "release_cycle", "reason": "list_checked", "note": "The list is what was expected."},
    )

    act: Literal[_A.RELEASE_CYCLE, _A.STOP_CYCLE, _A.RESUME_CYCLE]


class NewRailAct(_NewAct):
    """A decision on a rail that was halted after a restore. ``digest`` is from `GET /v1/rails/{rail}`."""

    model_config = _forms(
        SubjectKind.RAIL,
        {"act": "reopen_rail", "reason": "reconciled", "note": "Nothing is unexplained."},
    )

    act: Literal[_A.REOPEN_RAIL]


class NewPaymentAct(_NewAct):
    """A decision on a forgotten payment. ``digest`` is from `GET /v1/forgotten-payments/{payment}`."""

    model_config = _forms(
        SubjectKind.FORGOTTEN_PAYMENT,
        {
            "act": "assign_payment",
            "reason": "same_reward",
            "note": "It paid this reward before the restore.",
            "reference": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        },
    )

    act: Literal[_A.ASSIGN_PAYMENT, _A.DISOWN_PAYMENT]


class RecordedAct(BaseModel):
    """A recorded decision; ``repeated`` if the same one was recorded before."""

    id: UUID
    seq: int
    subject: UUID
    act: MoneyAct
    user: str
    roles: list[str]
    reason: str
    digest: str
    amount_minor: int | None
    reference: str | None
    decided_at: AwareDatetime
    repeated: bool


async def record(parts: Parts, subject: UUID, new: _NewAct, person: User) -> RecordedAct:
    """Sign and record a decision, and wake the workflow that carries it out."""
    decision, repeated = await recorded(
        parts,
        Asked(
            subject=str(subject),
            kind=new.act,
            reason=new.reason,
            note=new.note,
            digest=new.digest,
            amount_minor=new.amount_minor,
            reference=new.reference,
        ),
        person,
    )
    details = decision.details or {}
    return RecordedAct(
        id=decision.id,
        seq=decision.seq,
        subject=decision.claim_id,
        act=new.act,
        user=decision.user,
        roles=sorted(decision.roles),
        reason=decision.reason,
        digest=decision.digest,
        amount_minor=details.get("amount_minor"),
        reference=details.get("reference"),
        decided_at=decision.decided_at,
        repeated=repeated,
    )
