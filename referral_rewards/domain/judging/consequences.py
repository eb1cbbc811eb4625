"""What becomes of decisions, reservations and rivals when a referral gets another verdict or another claim."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final
from uuid import UUID

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.attribution import fingerprint
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Rival
from referral_rewards.domain.judging.case_file import Assembled, CaseFile
from referral_rewards.domain.judging.verdict import NOTHING, Closes, Consequences, Filed, NewClaim, Noted
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.referrals.case import NEVER_JUDGED
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, Reason, ReferralStatus

#: One in review may be assembled at this moment, by what it has read of us before.
_MAY_HAVE_SEEN_OTHERWISE: Final = BEFORE_PAYMENT | {ReferralStatus.IN_REVIEW}


def closes(
    file: CaseFile,
    status: ReferralStatus,
    reason: Reason | None,
    claim: RewardClaim | None = None,
    its: Consequences = NOTHING,
    *,
    by_approvers: bool = False,
) -> Closes:
    """Return the verdict that closes a referral, which cancels its reservations."""
    why = f"{label('status', status)}: {label('reason', reason) if reason else 'by its parties'}"
    return Closes(status, reason, claim, cancelled(file, why, its), by_approvers)


def cancelled(file: CaseFile, why: str, its: Consequences = NOTHING) -> Consequences:
    """Return the same with its reservations cancelled, for the first reason if there are several.

    Without a leg when the file was loaded there is none now either.
    """
    return replace(its, cancels=its.cancels or why) if file.legs else its


def voided(file: CaseFile, why: str, besides: Collection[UUID] = ()) -> Consequences:
    """Return what follows if another claim, or none, takes the place of the present one: the decisions on it are void,
    but not those ``besides``, and its reservations are cancelled."""
    its = cancelled(file, why)
    if (claim := file.row.claim_id) is None:
        return its
    void = tuple(each.id for each in file.counting(claim) if each.id not in besides)
    return replace(its, takes_back_approval=True, noted=(*what_is_void(file, claim), *_noted(void, "void", why)))


def what_is_void(file: CaseFile, claim: UUID | None) -> tuple[Noted, ...]:
    """Return what is recorded of decisions that do not count: those without a signature that we trust are forged, and
    approvals of the barred are void.

    They are recorded, so that earlier approvals of a barred user stay void even after the user is admitted again.
    """
    approvals = [each for each in file.of_claim(claim) if each.kind is DecisionKind.APPROVE]
    return (
        *_noted(file.forged, "forged", "no signature that we believe"),
        *(
            Noted((each.id,), "void", f"{each.user} was barred since")
            for each in approvals
            if each.user in file.barred and each.id not in file.void
        ),
    )


def put_forward(file: CaseFile, new: Assembled) -> Consequences:
    """Return what follows if a claim becomes the current one.

    With the same digest the claim's decisions stay; with a new digest they are void.
    """
    row, held, claim = file.row, file.claim, new.claim
    seen = fingerprint(new.rivals)
    wakes = to_wake(new.rivals) if held is None or held.core_digest != claim.core_digest else ()
    if held is not None and held.digest == claim.digest:
        return Consequences(wakes=wakes, files=Filed(row.claim_id, row.facts_version, seen))
    adjusting = tuple(each.decision for each in claim.adjustments)
    its = voided(file, "the claim changed after the decision", besides=adjusting)
    return replace(
        its,
        noted=(*its.noted, *_noted(adjusting, "applied", "adjusted")),
        stores=NewClaim(new.id, claim, new.gathered.referrer, new.gathered.approved_rewards),
        wakes=wakes,
        files=Filed(new.id, row.facts_version, seen),
    )


def to_wake(rivals: Iterable[Rival]) -> tuple[str, ...]:
    """Return the competing referrals that may have been judged by what has changed."""
    return tuple(each.referral for each in rivals if each.status in _MAY_HAVE_SEEN_OTHERWISE)


def filed(file: CaseFile, its: Consequences = NOTHING) -> Filed:
    """Return what the row says of its claim once these consequences are saved."""
    return its.files or Filed(file.row.claim_id, file.row.claim_version, file.row.rivals_seen)


def to_assemble_anew(file: CaseFile, its: Consequences = NOTHING) -> Consequences:
    """Return the same with the claim marked in the row, so that it is assembled again also after a restart."""
    return replace(its, files=replace(filed(file, its), version=NEVER_JUDGED))


def without_claim(file: CaseFile, its: Consequences) -> Consequences:
    """Return the same for a row that names no claim any more."""
    return replace(its, files=replace(filed(file, its), claim_id=None))


def _noted(decisions: tuple[UUID, ...], effect: str, why: str) -> tuple[Noted, ...]:
    return (Noted(decisions, effect, why),) if decisions else ()
