"""Decide whether a person's decision is recorded: the one path, whatever it is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked, Decision, NewDecision
from referral_rewards.domain.errors import RequestInvalid

#: What is signed beside the kind and the reason: an amount, a reference.
Details = Mapping[str, Any]


class Subject(Protocol):
    """What a decision is about, loaded with everything that its rules read.

    ``chain_id`` is the id that the decision signs, ``listed_under`` the referral with whose decisions it is listed.
    """

    @property
    def chain_id(self) -> UUID: ...

    @property
    def listed_under(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def recorded_before(self, asked: Asked, approver: Approver, details: Details | None) -> Decision | None:
        """Return the same decision if this person made it before and it still answers the request; else None."""

    def to_sign(self, details: Details | None) -> Details | None:
        """Return what is signed beside kind and reason: the details that were asked for, and what they are about."""

    def check_as_shown(self, asked: Asked) -> None:
        """Return if the subject is still what the person saw and takes a decision; else raise."""

    def check_admits(self, asked: Asked, approver: Approver) -> None:
        """Return if its rules admit the decision by this person now; else raise."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """The request repeats a decision on record: nothing is recorded."""

    first: Decision


def decide(
    subject: Subject, asked: Asked, approver: Approver, details: Details | None, now: datetime
) -> NewDecision | Repeated:
    """Return the decision to sign, or the same decision if this person made it before.

    Raises:
        RequestInvalid, NotAllowed, Refused: as the subject's checks do.
    """
    first = subject.recorded_before(asked, approver, details)
    if first is not None:
        return Repeated(first)
    subject.check_as_shown(asked)
    subject.check_admits(asked, approver)
    return NewDecision(
        referral=subject.listed_under,
        claim_id=subject.chain_id,
        digest=subject.digest,
        kind=asked.kind,
        user=approver.user,
        roles=approver.roles,
        reason=asked.reason,
        note=asked.note,
        decided_at=now,
        details=subject.to_sign(details),
    )


def check_whole(digest: str, current: str) -> None:
    """Return unless ``digest`` is the beginning of the current one.

    Raises:
        RequestInvalid: if it is.
    """
    if digest and digest != current and current.startswith(digest):
        raise RequestInvalid(f"is shortened; all {len(current)} digits of it are needed", "digest")
