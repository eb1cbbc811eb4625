"""What an approval comes to, once its claim was assembled again under the locks of what it reserves from."""

from dataclasses import replace
from typing import Any, Final

import pytest

from referral_rewards.domain.claims.attribution import fingerprint
from referral_rewards.domain.claims.claim import RewardClaim, assemble
from referral_rewards.domain.claims.dossier import Rival, TaxPosition
from referral_rewards.domain.claims.reserving import Ground
from referral_rewards.domain.judging.approving import Approval, decide
from referral_rewards.domain.judging.case_file import Assembled
from referral_rewards.domain.judging.verdict import Closes, Consequences, Filed, NewClaim, Noted, Reserves, StaysOpen
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus, Side
from tests.domain.case_files import APPROVED, CLAIM, CLAIM_ID, NEW_ID, ROW, assembled, decided, file, rival
from tests.domain.dossiers import FACTS, dossier

_S: Final = ReferralStatus
GROUND: Final = Ground(
    0, is_rewarded=False, tax={"dexter": TaxPosition(), "c-brie": TaxPosition()}, forms={}, offsets={}
)
NOT_PAYABLE: Final = CLAIM.model_copy(update={"legs": ()})
_NOBODY: Final = CLAIM.legs[1].model_copy(update={"beneficiary": None})
TO_NOBODY: Final = CLAIM.model_copy(update={"legs": (CLAIM.legs[0], _NOBODY)})


def approval(claim: RewardClaim = CLAIM, again: Assembled | None = None, **changed: Any) -> Approval:
    its = file({"status": _S.AWAITING_APPROVAL, **changed.pop("row", {})}, decisions=(APPROVED,))
    return replace(Approval(its, claim, again or assembled(claim), GROUND), **changed)


def test_an_unchanged_claim_is_reserved_by_the_approvals_that_count() -> None:
    verdict = decide(approval())
    assert isinstance(verdict, Reserves)
    assert [(leg.role, leg.beneficiary, leg.amount_minor) for leg in verdict.reservation.legs] == [
        ("referee", "c-brie", 800),
        ("referrer", "dexter", 2500),
    ]
    assert (verdict.approvals, verdict.settled, verdict.asks) == ((APPROVED.id,), None, frozenset())
    assert verdict.its == Consequences(files=Filed(CLAIM_ID, len(FACTS), fingerprint(())))


@pytest.mark.parametrize("claim", [NOT_PAYABLE, TO_NOBODY], ids=["no leg", "nobody to pay"])
def test_an_approval_of_nothing_payable_is_void(claim: RewardClaim) -> None:
    why = (Noted((APPROVED.id,), "void", "the claim has no payable leg"),)
    assert decide(approval(claim)) == StaysOpen(_S.AWAITING_APPROVAL, claim, Consequences(noted=why))


def test_an_order_is_rewarded_once_whoever_came_first_to_the_lock() -> None:
    why = (Noted((APPROVED.id,), "void", "the same order is already rewarded"),)
    verdict = decide(approval(ground=replace(GROUND, is_rewarded=True)))
    assert verdict == StaysOpen(_S.IN_REVIEW, its=Consequences(noted=why))


@pytest.mark.parametrize("is_rewarded", [False, True])
@pytest.mark.parametrize("round_", [1, 2])
@pytest.mark.parametrize("denial", [None, Reason.CAP_REACHED])
def test_a_claim_that_changed_until_the_lock_is_never_reserved(
    is_rewarded: bool, round_: int, denial: Reason | None
) -> None:
    """Its approval is void, and people see the new claim, unless the rules deny it."""
    changed = CLAIM.model_copy(update={"digest": "another", "denial": denial})
    ground = replace(GROUND, is_rewarded=is_rewarded)
    verdict = decide(approval(again=assembled(changed), ground=ground, row={"round": round_}))
    its = Consequences(
        noted=(Noted((APPROVED.id,), "void", "the claim changed after the decision"),),
        takes_back_approval=True,
        stores=NewClaim(NEW_ID, changed, "dexter", 0),
        files=Filed(NEW_ID, len(FACTS), fingerprint(())),
    )
    if denial is not None and round_ == 1:
        assert verdict == Closes(_S.DENIED, denial, its=its)
    else:
        assert verdict == StaysOpen(_S.AWAITING_APPROVAL, changed, its)


def test_one_approval_settles_the_dispute_with_those_who_compete_now() -> None:
    competing, expired = rival(core_digest="core"), rival("r3", status=_S.EXPIRED)
    disputed = dossier(rivals=(competing, expired))
    claim = assemble(disputed)
    again = Assembled(NEW_ID, claim, disputed)
    made = decided(APPROVED.kind, digest=claim.digest)
    verdict = decide(Approval(file(decisions=(made,)), claim, again, GROUND))
    assert isinstance(verdict, Reserves)
    assert verdict.settled == {"r2": "core"}
    seen: tuple[Rival, ...] = (replace(competing, settled=True), expired)
    assert verdict.its == Consequences(wakes=("r2",), files=Filed(CLAIM_ID, ROW.claim_version, fingerprint(seen)))


def test_a_payee_without_a_method_is_asked_for_one() -> None:
    cash = [leg.model_copy(update={"rail": "stripe_transfer", "destination": None}) for leg in CLAIM.legs]
    verdict = decide(approval(CLAIM.model_copy(update={"legs": tuple(cash)})))
    assert isinstance(verdict, Reserves)
    assert verdict.asks == frozenset(Side)
