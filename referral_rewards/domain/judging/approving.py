"""What an approval comes to: its legs are reserved if the claim is unchanged; else the approval is void.

The claim is assembled once more under the locks of the program, the order and the payees. So this is a second load,
decide and save: gathering what surrounds a claim costs more than all the rest, and only an approved one needs it here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from referral_rewards.domain.claims import attribution
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Rival
from referral_rewards.domain.claims.reserving import Ground, Occasion, reserved
from referral_rewards.domain.judging.case_file import Assembled, CaseFile
from referral_rewards.domain.judging.consequences import closes, filed, put_forward, to_wake
from referral_rewards.domain.judging.verdict import Closes, Consequences, Noted, OnCase, Reserves, StaysOpen
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.domain.referrals.lifecycle import ReferralStatus, Side

_S: Final = ReferralStatus


@dataclass(frozen=True, slots=True)
class Approval:
    """What reserving depends on: the file, the ``claim`` that was approved, the claim as it is ``again`` now, and the
    ground, both read under the locks."""

    file: CaseFile
    claim: RewardClaim
    again: Assembled
    ground: Ground

    @property
    def approvals(self) -> tuple[UUID, ...]:
        """The approvals that count, oldest first."""
        made = self.file.counting(self.file.row.claim_id)
        return tuple(each.id for each in made if each.kind is DecisionKind.APPROVE)


def decide(its: Approval) -> OnCase:
    """Return what becomes of a claim that enough people approved and of which nothing is reserved yet."""
    if its.again.claim.digest != its.claim.digest:
        return _changed(its)
    if not its.claim.legs or not all(leg.beneficiary for leg in its.claim.legs):
        # There is nothing to pay, or no one to pay it to: an approval changes nothing.
        return StaysOpen(_S.AWAITING_APPROVAL, its.claim, _void(its, "the claim has no payable leg"))
    if its.ground.is_rewarded:
        # Another claim on the same order was approved while this one waited for the lock.
        return StaysOpen(_S.IN_REVIEW, its=_void(its, "the same order is already rewarded"))
    return _reserves(its)


def _changed(its: Approval) -> StaysOpen | Closes:
    new = its.again.claim
    follows = put_forward(its.file, its.again)
    if new.denial is not None and its.file.row.round == 1:
        return closes(its.file, _S.DENIED, new.denial, its=follows)
    return StaysOpen(_S.AWAITING_APPROVAL, new, follows)


def _void(its: Approval, why: str) -> Consequences:
    return Consequences(noted=(Noted(its.approvals, "void", why),))


def _reserves(its: Approval) -> Reserves:
    row, case = its.file.row, its.file.begun
    assert row.claim_id is not None
    reservation = reserved(its.claim, Occasion(row.id, row.claim_id, row.round, case.terms, case.now), its.ground)
    # One decision settles an attribution dispute: from now on the rivals count as they stood at that time.
    settled = {rival.referral: rival.core_digest for rival in attribution.competitors(its.again.gathered)}
    seen = _settled(its.again.rivals, settled)
    files = replace(filed(its.file), rivals_seen=attribution.fingerprint(seen))
    return Reserves(
        claim=its.claim,
        reservation=reservation,
        approvals=its.approvals,
        asks=frozenset(Side(leg.role) for leg in reservation.legs if leg.state is LegState.WAITING_METHOD),
        settled=settled or None,
        its=Consequences(wakes=to_wake(seen), files=files),
    )


def _settled(rivals: Sequence[Rival], settled: dict[str, str | None]) -> list[Rival]:
    return [replace(rival, settled=True) if rival.referral in settled else rival for rival in rivals]
