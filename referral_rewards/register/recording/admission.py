"""Check whether the rules admit a decision (SPEC §6), before it is recorded and before it is offered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims import attribution
from referral_rewards.domain.claims.approval import (
    Approver,
    DecisionKind,
    Requirement,
    Ruling,
    may_decide,
    requirement_of_a_move,
    ruling,
    satisfied,
)
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.errors import DecisionRefused, NotAllowed, NotFound
from referral_rewards.domain.facts import identity
from referral_rewards.domain.labels import label
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, ReferralStatus
from referral_rewards.register.claims import dossier, moves, reservations
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import Case, open_case
from referral_rewards.register.referrals.closing import closing_digest

_S = ReferralStatus
_K = DecisionKind

#: The statuses that only a decision to reopen can end.
REOPENABLE: Final = frozenset({_S.EXPIRED, _S.DENIED, _S.WITHDRAWN})
#: The claim id in a decision to reopen a referral that never had a claim.
NO_CLAIM: Final = UUID(int=0)
#: These can only hold money back, so they need not wait until the newest facts are judged.
_KEEPING_BACK: Final = frozenset({_K.DENY, _K.HOLD, _K.REQUEST_EVIDENCE})

#: For each kind of decision the refusal that `decide` would raise, or None if it would record the decision.
Answers = Mapping[DecisionKind, DecisionRefused | NotAllowed | None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a decision on a referral covers now: its claim, or its closing (then ``claim`` is None)."""

    digest: str
    claim_id: UUID
    claim: RewardClaim | None
    requirement: Requirement


@dataclass(frozen=True, slots=True)
class Matter:
    """The input of the rules: a referral's case, the subject, the decisions so far, and the beneficiaries' marks."""

    case: Case
    subject: Subject
    made: Sequence[Decision]
    parties: frozenset[str]

    @property
    def row(self) -> Any:
        return self.case.row


async def admits(
    connection: AsyncConnection,
    referral: str,
    approver: Approver,
    *,
    now: datetime,
    keys: KeyRing,
    kinds: Collection[DecisionKind] = tuple(DecisionKind),
) -> Answers:
    """Return for each kind of decision the refusal that `decide` would raise for this person now, or None.

    Nothing is locked or recorded, so the answer may have changed when the person decides.

    Raises:
        NotFound: if there is no such referral.
    """
    row = await referrals.row(connection, referral)
    if row is None or (row.merged_into and row.status is None):
        raise NotFound("referral", referral)
    made, _ = await decisions.on_referral(connection, row.id, keys)
    sent = await was_sent(connection, row.id)
    answers: dict[DecisionKind, DecisionRefused | NotAllowed | None] = {}
    matter: Matter | None = None
    for kind in kinds:
        try:
            check_stands(row, kind, sent=sent)
            matter = matter or await open_matter(connection, row, made, now)
            await check_rules(connection, matter, kind, approver)
        except (DecisionRefused, NotAllowed) as refusal:
            answers[kind] = refusal
        else:
            answers[kind] = None
    return answers


async def open_matter(connection: AsyncConnection, row: Any, made: Sequence[Decision], now: datetime) -> Matter:
    """Return the input of the rules for a decision on a referral.

    Raises:
        DecisionRefused: if the referral can't be judged at all.
    """
    case = await open_case(connection, row, now)
    if case is None:
        raise DecisionRefused(row.id, "not_judged", "no terms were in force when it began")
    return Matter(case, await _subject(connection, case), made, await dossier.parties(connection, case))


async def _subject(connection: AsyncConnection, case: Case) -> Subject:
    row = case.row
    if row.closed_at is not None:
        routes = {role for roles in case.terms.approval.routes.values() for role in roles}
        required = Requirement(routes=tuple(sorted(routes)), people=1)
        return Subject(closing_digest(row), row.claim_id or NO_CLAIM, None, required)
    claim, _ = await claims.current(connection, row.claim_id)
    return Subject(claim.digest, row.claim_id, claim, claim.requirement)


async def check_rules(connection: AsyncConnection, matter: Matter, kind: DecisionKind, approver: Approver) -> None:
    """Return if the rules about earlier decisions and about this person admit the kind of decision; else raise."""
    row, subject, case = matter.row, matter.subject, matter.case
    if kind not in _KEEPING_BACK and row.judged_version != row.facts_version:
        raise DecisionRefused(row.id, "facts_unjudged", "new facts are being judged; look again in a moment")
    to = attribution.proposed_referrer(case.facts, case.origin.referrer, case.now) if kind is _K.REASSIGN else None
    if kind is _K.REASSIGN and to is None:
        raise DecisionRefused(row.id, "no_other_referrer", "nobody requested to move it to another referrer")
    on_it = [decision for decision in matter.made if _is_on(decision, kind, subject.digest, row.claim_id)]
    _check_ruling(row, subject, kind, await decisions.standing(connection, on_it))
    signed = [decision.user for decision in on_it if decision.kind is kind]
    may_decide(
        approver,
        kind,
        requirement_of_a_move(subject.requirement) if kind is _K.REASSIGN else subject.requirement,
        referral=row.id,
        parties=matter.parties if to is None else await dossier.parties(connection, case, to),
        entered_by=dossier.entered_by(case.facts),
        already_signed_by=await _same_people(connection, approver, signed),
    )


async def _same_people(connection: AsyncConnection, approver: Approver, signed: Sequence[str]) -> list[str]:
    """Return the users among those who signed that are this person: by name, or by a mark that accounts share."""
    marks = identity.of_kinds(approver.marks, identity.SELF_REFERRAL_KINDS)
    asked = {"names": sorted(set(signed)), "name": approver.user, "marks": sorted(marks)}
    return list((await connection.execute(_SAME_PEOPLE, asked)).scalars()) if signed else []


async def was_sent(connection: AsyncConnection, referral: str) -> bool:
    """Return whether a first payment was committed; from then on money can only be clawed back."""
    return any(leg.first_sent_at is not None for leg in await reservations.legs_of(connection, referral))


def check_stands(row: Any, kind: DecisionKind, *, sent: bool) -> None:
    """Return if the referral's status admits this kind of decision, else raise; ``sent``: whether money was sent."""
    _check_status(row, kind)
    if sent and kind is not _K.REOPEN:
        raise DecisionRefused(row.id, "payment_committed", "a payment was already sent; only a clawback can recover it")


def _check_status(row: Any, kind: DecisionKind) -> None:
    """Return if the referral's status admits this kind of decision, else raise."""
    if kind is _K.REOPEN:
        if row.closed_at is None or row.status not in REOPENABLE:
            raise DecisionRefused(
                row.id, "not_closed", f"it is {label('status', row.status)}; only a closed referral can be reopened"
            )
        return
    if row.status in (_S.PAYING, _S.REWARDED, _S.CLAWED_BACK):
        raise DecisionRefused(
            row.id,
            "payment_committed",
            f"it is {label('status', row.status)}: a payment was already sent; only a clawback can recover it",
        )
    if row.closed_at is not None:
        raise DecisionRefused(row.id, "closed", f"it is {label('status', row.status)}; you can only reopen it")
    if row.status not in BEFORE_PAYMENT or row.claim_id is None:
        raise DecisionRefused(
            row.id,
            "no_claim",
            f"it is {label('status', row.status) if row.status else 'not judged yet'}; there is no claim to decide",
        )


def _check_ruling(row: Any, subject: Subject, kind: DecisionKind, on_it: Sequence[Decision]) -> None:
    """Return if the earlier decisions leave a purpose for this kind of decision; else raise.

    Judging runs shortly after a decision. Until then only the decisions themselves show the current state.
    """
    signoffs = [decision.signoff for decision in on_it]
    its = [decision for decision in on_it if decision.kind is kind]
    if subject.claim is None:
        if kind is _K.REOPEN and its:
            raise DecisionRefused(row.id, "already_reopened", f"it was already reopened by {_told(its)}; look again")
        return
    so_far = ruling(subject.requirement, signoffs, subject.digest)
    if so_far is Ruling.DENIED:
        denials = [decision for decision in on_it if decision.kind is _K.DENY]
        raise DecisionRefused(
            row.id, "already_denied", f"it was already denied by {_told(denials)}; reopening corrects that"
        )
    if kind in (_K.APPROVE, _K.REASSIGN) and moves.decided(subject.claim, on_it):
        moved = [decision for decision in on_it if decision.kind is _K.REASSIGN]
        raise DecisionRefused(row.id, "already_moved", f"it was already moved by {_told(moved)}; look at the new claim")
    if kind is _K.APPROVE and subject.claim.frozen:
        why = "a payment dispute about its order is open; it can be approved once the dispute is won"
        raise DecisionRefused(row.id, "dispute_open", why)
    if kind is _K.APPROVE and satisfied(subject.requirement, signoffs, subject.digest):
        raise DecisionRefused(
            row.id, "already_approved", f"it was already approved by {_told(its)}; no signature is missing"
        )
    if kind is _K.HOLD and so_far is Ruling.HELD:
        raise DecisionRefused(row.id, "already_held", f"it was already put on hold by {_told(its[-1:])}")
    if kind is _K.RELEASE and so_far is not Ruling.HELD:
        raise DecisionRefused(row.id, "not_held", "it is not on hold")


def _told(its: Sequence[Decision]) -> str:
    """Return who decided, and when the last of them did, as text."""
    people = " and ".join(dict.fromkeys(decision.user for decision in its))
    return f"{people}, {its[-1].decided_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _is_on(decision: Decision, kind: DecisionKind, digest: str, claim_id: UUID | None) -> bool:
    """Return whether a decision was made on the current subject. A claim that changed and changed back is another."""
    return decision.digest == digest and (kind is _K.REOPEN or decision.claim_id == claim_id)


_SAME_PEOPLE: Final = text("""
SELECT name FROM app_user WHERE name = ANY(CAST(:names AS text[]))
  AND (name = :name OR marks && CAST(:marks AS text[])) ORDER BY name
""")
