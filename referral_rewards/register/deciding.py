"""Records what a person decided, once every rule was asked (SPEC §6). Only the API calls this: it can sign."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import attribution
from referral_rewards.domain.approval import (
    Approver,
    DecisionKind,
    Requirement,
    check_words,
    may_decide,
    requirement_of_a_move,
    satisfied,
)
from referral_rewards.domain.claims import RewardClaim
from referral_rewards.domain.errors import DecisionRefused, NotFound, StaleDigest
from referral_rewards.domain.lifecycle import ReferralStatus
from referral_rewards.domain.ruling import Ruling, ruling
from referral_rewards.register import audit, claims, decisions, dossier, moves, outbox, referrals, reservations
from referral_rewards.register.cases import Case, open_case
from referral_rewards.register.closed import closing_digest
from referral_rewards.register.decisions import Decision, NewDecision
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.signing import KeyRing, Signer

_S = ReferralStatus
_K = DecisionKind

#: Where a claim stands before its approvers, and what they can record there.
BEFORE_APPROVERS: Final = frozenset({_S.AWAITING_APPROVAL, _S.ON_HOLD, _S.APPROVED})
#: What only a decision to reopen leads out of.
REOPENABLE: Final = frozenset({_S.EXPIRED, _S.DENIED, _S.WITHDRAWN})
#: A reopening of a referral that never had a claim names this one.
NO_CLAIM: Final = UUID(int=0)
#: These only ever keep money back, so that they need not wait until the newest facts are judged.
_KEEPING_BACK: Final = frozenset({_K.DENY, _K.HOLD, _K.REQUEST_EVIDENCE})


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks to be recorded, against the digest that was shown to them."""

    referral: str
    kind: DecisionKind
    reason: str
    note: str
    digest: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What a decision on a referral would be made against now: its claim, or its closing (which has ``claim`` None)."""

    digest: str
    claim_id: UUID
    claim: RewardClaim | None
    requirement: Requirement


async def decide(
    connection: AsyncConnection, asked: Asked, approver: Approver, *, now: datetime, keys: KeyRing, signer: Signer
) -> tuple[Decision, bool]:
    """Records a decision and wakes the referral, in the caller's transaction; True beside it if it was on record.

    The same decision of the same person against the same digest, in the same words, is recorded once, whatever has
    become of the claim since. Of two people who decide the same at one moment the later one is told of the first: no
    signature is recorded that nothing needs.

    Raises:
        RequestInvalid: for a reason code that the kind does not take, or without a note.
        NotFound: if nobody has heard of the referral.
        NotAllowed: if the person holds none of the roles it needs.
        StaleDigest: if the claim is no longer the one that was shown.
        DecisionRefused: naming the rule that does not admit it.
    """
    check_words(asked.kind, asked.reason, asked.note)
    row = await referrals.hold(connection, asked.referral)
    if row is None or (row.merged_into and row.status is None):
        raise NotFound("referral", asked.referral)
    made, _ = await decisions.on_referral(connection, row.id, keys)
    if (first := await _recorded_before(connection, asked, row, approver, made)) is not None:
        return first, True
    _check_status(row, asked.kind)
    await _check_nothing_sent(connection, row, asked.kind)
    case = await open_case(connection, row, now)
    if case is None:
        raise DecisionRefused(row.id, "not_judged", "no terms are in force for it")
    subject = await _subject(connection, case)
    if subject.digest != asked.digest:
        raise StaleDigest(row.id, asked.digest, subject.digest)
    if asked.kind not in _KEEPING_BACK and row.judged_version != row.facts_version:
        raise DecisionRefused(row.id, "facts_unjudged", "facts arrived that are being judged; look again in a moment")
    to = attribution.proposed_referrer(case.facts, case.origin.referrer, now) if asked.kind is _K.REASSIGN else None
    if asked.kind is _K.REASSIGN and to is None:
        raise DecisionRefused(row.id, "no_other_referrer", "nobody has asked to move it to another referrer")
    on_it = [decision for decision in made if _is_on(decision, asked.kind, subject.digest, row.claim_id)]
    _check_ruling(row, subject, asked.kind, await decisions.standing(connection, on_it))
    may_decide(
        approver,
        asked.kind,
        requirement_of_a_move(subject.requirement) if asked.kind is _K.REASSIGN else subject.requirement,
        referral=row.id,
        parties=await dossier.parties(connection, case, to),
        entered_by=dossier.entered_by(case.facts),
        already_signed_by=[decision.user for decision in on_it if decision.kind is asked.kind],
    )
    decision = await decisions.append(
        connection,
        NewDecision(
            referral=row.id,
            claim_id=subject.claim_id,
            digest=subject.digest,
            kind=asked.kind,
            user=approver.user,
            roles=approver.roles,
            reason=asked.reason,
            note=asked.note,
            decided_at=now,
        ),
        signer,
    )
    await outbox.enqueue(connection, WakeupKind.DECISION, row.id, decision.id)
    said = {"decision": str(decision.id), "kind": asked.kind, "reason": asked.reason}
    await audit.note(connection, actor=approver.user, act="decision.recorded", subject=row.id, at=now, **said)
    return decision, False


async def _subject(connection: AsyncConnection, case: Case) -> Subject:
    row = case.row
    if row.closed_at is not None:
        routes = {role for roles in case.terms.approval.routes.values() for role in roles}
        required = Requirement(routes=tuple(sorted(routes)), people=1)
        return Subject(closing_digest(row), row.claim_id or NO_CLAIM, None, required)
    claim, _ = await claims.current(connection, row.claim_id)
    return Subject(claim.digest, row.claim_id, claim, claim.requirement)


def _check_status(row: Any, kind: DecisionKind) -> None:
    """Return if a referral that stands there takes this kind of decision at all."""
    if kind is _K.REOPEN:
        if row.closed_at is None or row.status not in REOPENABLE:
            raise DecisionRefused(row.id, "not_closed", f"it is {row.status}, and only what was closed is reopened")
        return
    if row.status in (_S.PAYING, _S.REWARDED, _S.CLAWED_BACK):
        raise DecisionRefused(
            row.id,
            "payment_committed",
            f"it is {row.status}: money was sent, and only a clawback case (opened by a refund) recovers it",
        )
    if row.closed_at is not None:
        raise DecisionRefused(row.id, "closed", f"it is {row.status}; `reopen` is the only decision it takes")
    if row.status not in BEFORE_APPROVERS or row.claim_id is None:
        raise DecisionRefused(
            row.id, "no_claim", f"it is {row.status or 'not judged yet'}: there is no claim to decide"
        )


async def _check_nothing_sent(connection: AsyncConnection, row: Any, kind: DecisionKind) -> None:
    """Return unless the first payment of this approval was committed: from then on money can only be clawed back."""
    if kind is _K.REOPEN:
        return
    if any(payout.first_sent_at is not None for payout in await reservations.legs_of(connection, row.id)):
        raise DecisionRefused(
            row.id, "payment_committed", "money was sent, and only a clawback case (opened by a refund) recovers it"
        )


def _check_ruling(row: Any, subject: Subject, kind: DecisionKind, on_it: Sequence[Decision]) -> None:
    """Return if what was decided on it so far leaves this kind of decision a meaning; else whoever asks is told of it.

    Judging follows the decision by moments. In between the decisions themselves say where it stands.
    """
    signoffs = [decision.signoff for decision in on_it]
    its = [decision for decision in on_it if decision.kind is kind]
    if subject.claim is None:
        if kind is _K.REOPEN and its:
            raise DecisionRefused(row.id, "already_reopened", f"{_told(its)} reopened it; look again")
        return
    so_far = ruling(subject.requirement, signoffs, subject.digest)
    if so_far is Ruling.DENIED:
        denials = [decision for decision in on_it if decision.kind is _K.DENY]
        raise DecisionRefused(row.id, "already_denied", f"{_told(denials)} denied it; `reopen` corrects that")
    if kind in (_K.APPROVE, _K.REASSIGN) and moves.decided(subject.claim, on_it):
        moved = [decision for decision in on_it if decision.kind is _K.REASSIGN]
        raise DecisionRefused(row.id, "already_moved", f"{_told(moved)} moved it; look at the claim that follows")
    if kind is _K.APPROVE and satisfied(subject.requirement, signoffs, subject.digest):
        raise DecisionRefused(row.id, "already_approved", f"{_told(its)} approved it; nothing is left to sign")
    if kind is _K.HOLD and so_far is Ruling.HELD:
        raise DecisionRefused(row.id, "already_held", f"{_told(its[-1:])} put it on hold, where it stays")
    if kind is _K.RELEASE and so_far is not Ruling.HELD:
        raise DecisionRefused(row.id, "not_held", "nobody holds it")


def _told(its: Sequence[Decision]) -> str:
    """Who decided so, and when the last of them did."""
    people = " and ".join(dict.fromkeys(decision.user for decision in its))
    return f"at {its[-1].decided_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC {people}"


async def _recorded_before(
    connection: AsyncConnection, asked: Asked, row: Any, approver: Approver, made: Sequence[Decision]
) -> Decision | None:
    """The same decision if this person made it before. A hold that was released since is a new one, and so on."""
    if not any(decision.user == approver.user and decision.digest == asked.digest for decision in made):
        return None
    # Whoever sends it again after the claim has changed or closed is still told of the first.
    current = await _bears(connection, row.claim_id, asked.digest)
    on_it = [d for d in made if d.digest == asked.digest and (not current or d.claim_id == row.claim_id)]
    for later, decision in enumerate(on_it, start=1):
        same = (decision.user, decision.kind, decision.reason) == (approver.user, asked.kind, asked.reason)
        undone = asked.kind in (_K.HOLD, _K.RELEASE) and any(
            each.kind in (_K.HOLD, _K.RELEASE) and each.kind is not asked.kind for each in on_it[later:]
        )
        if same and not undone and await _note(connection, decision.id) == asked.note:
            return decision
    return None


async def _bears(connection: AsyncConnection, claim_id: UUID | None, digest: str) -> bool:
    """Whether the claim there is now is what bears this digest."""
    return claim_id is not None and (await claims.current(connection, claim_id))[0].digest == digest


def _is_on(decision: Decision, kind: DecisionKind, digest: str, claim_id: UUID | None) -> bool:
    """Whether it was made on what is shown now. A claim that changed and changed back is another claim."""
    return decision.digest == digest and (kind is _K.REOPEN or decision.claim_id == claim_id)


async def _note(connection: AsyncConnection, decision: UUID) -> str | None:
    body = (await connection.execute(_NOTE, {"id": decision})).scalar_one_or_none()
    return body["note"] if body else None


_NOTE: Final = text("SELECT body FROM personal_data WHERE subject_id = :id")
