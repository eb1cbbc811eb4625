"""The verdict on a referral, without a database: every ruling, in every status, with and without payments."""

from dataclasses import replace
from itertools import product
from typing import Any, Final
from uuid import UUID

import pytest

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.attribution import fingerprint
from referral_rewards.domain.claims.claim import Raised, assemble
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.decisions.waiting import patience
from referral_rewards.domain.judging.case_file import CaseFile
from referral_rewards.domain.judging.deciding import assembled as judge_assembled
from referral_rewards.domain.judging.deciding import decide
from referral_rewards.domain.judging.outcome import judged
from referral_rewards.domain.judging.verdict import (
    Asks,
    AwaitsBeginning,
    Closes,
    Consequences,
    Filed,
    FollowsPayment,
    IsApproved,
    LookUp,
    NewClaim,
    Noted,
    Reminder,
    SetAside,
    StaysClosed,
    StaysOpen,
    StaysReserved,
    Verdict,
)
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.referrals.case import NEVER_JUDGED
from referral_rewards.domain.referrals.closing import closing_digest
from referral_rewards.domain.referrals.inquiries import Answer, Answers, Moment, Question, SourceAnswer
from referral_rewards.domain.referrals.lifecycle import PAID, Reason, ReferralStatus
from tests.domain.case_files import (
    APPROVED,
    CLAIM,
    CLAIM_ID,
    DAY,
    HOUR,
    NEW_ID,
    ROW,
    assembled,
    decided,
    file,
    leg,
    past,
    rival,
    stored,
)
from tests.domain.dossiers import BOUGHT, CLAIMED, ENROLLED, FACTS, NOW, SENT, adjustment, dossier, terms

_S, _K, _P = ReferralStatus, DecisionKind, PayoutState
#: The statuses in which a claim that is up to date may stand while no payment of it was ever sent.
UNPAID: Final = (_S.IN_REVIEW, _S.AWAITING_APPROVAL, _S.ON_HOLD, _S.APPROVED)
HELD: Final = (decided(_K.HOLD),)
RELEASED: Final = (APPROVED, decided(_K.HOLD, seq=2), decided(_K.RELEASE, seq=3))
#: What each history of decisions on a claim comes to.
RULINGS: Final = {
    "nobody decided": ((), "pending"),
    "somebody without a role": ((decided(_K.APPROVE, roles=frozenset()),), "pending"),
    "on another digest": ((decided(_K.APPROVE, digest="of before"),), "pending"),
    "on another claim": ((decided(_K.APPROVE, claim_id=UUID(int=9)),), "pending"),
    "approved": ((APPROVED,), "approved"),
    "held": (HELD, "held"),
    "approved, then held": ((APPROVED, decided(_K.HOLD, seq=2)), "held"),
    "held, then approved": ((*HELD, decided(_K.APPROVE, seq=2)), "held"),
    "approved, held and released": (RELEASED, "approved"),
    "denied": ((decided(_K.DENY),), "denied"),
    "approved, then denied": ((APPROVED, decided(_K.DENY, seq=2)), "denied"),
}
#: Legs of which no payment counts: never planned, never sent, refused.
UNCOUNTED: Final = {
    "no leg": (),
    "not planned": (leg(payout=None),),
    "not sent": (leg(),),
    "refused": (leg(payout=_P.REFUSED, sent=True),),
}
COUNTING: Final = {
    "sent": (leg(payout=_P.UNKNOWN, sent=True),),
    "paid": (leg(LegState.PAID, _P.SETTLED, sent=True),),
    "taken back": (leg(LegState.CLAWED_BACK, _P.SETTLED, sent=True),),
}
_NO_LONGER = Consequences(cancels="the approval no longer holds")
_ON_HOLD = Consequences(cancels="put on hold")
_WHY: Final = f"{label('status', _S.DENIED)}: {label('reason', Reason.DENIED_BY_DECISION)}"
_DENIAL = Consequences(cancels=_WHY)
_OPEN_DISPUTE = Raised(flag=Flag.DISPUTE_OPEN, about="order", sentence="It is disputed.")
#: A claim that nobody can approve while a dispute of its order is open.
DISPUTED: Final = CLAIM.model_copy(update={"flags": (_OPEN_DISPUTE,)})
_STORED: Final = {False: stored(CLAIM), True: stored(DISPUTED)}


def _expected(ruled: str, legs: tuple[ReservedLeg, ...], status: ReferralStatus, its: CaseFile) -> Verdict | IsApproved:
    nothing, left = Consequences(), status not in PAID
    match ruled:
        case "pending":
            return StaysOpen(_S.AWAITING_APPROVAL, CLAIM, _NO_LONGER if legs else nothing)
        case "held":
            return StaysOpen(_S.ON_HOLD, CLAIM, _ON_HOLD if legs else nothing, by_approvers=True)
        case "denied":
            return Closes(_S.DENIED, Reason.DENIED_BY_DECISION, CLAIM, _DENIAL if legs else nothing, by_approvers=True)
        case _ if legs:
            return StaysReserved(_S.APPROVED if left else status, CLAIM, its.whereabouts(), nothing, by_approvers=left)
        case _:
            return IsApproved(CLAIM, by_approvers=left)


@pytest.mark.parametrize("status", UNPAID)
@pytest.mark.parametrize("history", RULINGS)
@pytest.mark.parametrize("legs", UNCOUNTED)
def test_each_ruling_on_a_current_claim_leads_to_its_verdict(status: ReferralStatus, history: str, legs: str) -> None:
    made, ruled = RULINGS[history]
    its = file({"status": status}, decisions=made, legs=UNCOUNTED[legs])
    assert decide(its) == _expected(ruled, its.legs, status, its)


@pytest.mark.parametrize("status", [_S.PAYING, _S.REWARDED])
@pytest.mark.parametrize("history", RULINGS)
@pytest.mark.parametrize("legs", [name for name in UNCOUNTED if name != "no leg"])
def test_once_every_payment_was_refused_a_claim_is_judged_as_before_the_first(
    status: ReferralStatus, history: str, legs: str
) -> None:
    made, ruled = RULINGS[history]
    its = file({"status": status}, decisions=made, legs=UNCOUNTED[legs])
    assert its.lost_its_payments
    assert decide(its) == _expected(ruled, its.legs, status, its)


@pytest.mark.parametrize("status", sorted(PAID))
@pytest.mark.parametrize("history", RULINGS)
@pytest.mark.parametrize("legs", ["no leg", *COUNTING])
def test_while_a_payment_counts_nothing_that_is_decided_on_the_claim_changes_it(
    status: ReferralStatus, history: str, legs: str
) -> None:
    its = file({"status": status}, decisions=RULINGS[history][0], legs={**UNCOUNTED, **COUNTING}[legs])
    assert its.is_frozen
    assert decide(its) == FollowsPayment()


@pytest.mark.parametrize("status", sorted(_S))
def test_only_people_who_count_let_a_claim_be_reserved(status: ReferralStatus) -> None:
    """The full product of statuses, histories, who is barred or void, legs, and whether a dispute is open."""
    every = {**UNCOUNTED, **COUNTING}
    begun = file({"status": status})
    standing: tuple[dict[str, Any], ...] = ({}, {"barred": frozenset({"pat"})}, {"void": frozenset({APPROVED.id})})
    for legs, (made, ruled), kept, claim in product(every, RULINGS.values(), standing, (CLAIM, DISPUTED)):
        verdict = decide(replace(begun, legs=every[legs], decisions=made, claim=_STORED[claim.frozen], **kept))
        if isinstance(verdict, IsApproved | StaysReserved):
            assert (ruled, claim.frozen, "barred" in kept) == ("approved", False, False)
            assert not kept or APPROVED.id not in {each.id for each in made}
            assert status not in PAID or legs in UNCOUNTED
            assert isinstance(verdict, IsApproved) is (legs == "no leg")


def test_an_approval_of_which_people_cancelled_the_payment_is_not_reserved_again() -> None:
    verdict = decide(file(decisions=(APPROVED,), is_given_up=True))
    assert verdict == Closes(_S.DENIED, Reason.DENIED_BY_DECISION, CLAIM, by_approvers=True)


@pytest.mark.parametrize(
    ("changed", "noted"),
    [
        ({"forged": (UUID(int=7),)}, (Noted((UUID(int=7),), "forged", "no signature that we believe"),)),
        ({"barred": frozenset({"pat"})}, (Noted((APPROVED.id,), "void", "pat was barred since"),)),
        ({"barred": frozenset({"pat"}), "void": frozenset({APPROVED.id})}, ()),
        ({"void": frozenset({APPROVED.id})}, ()),
    ],
)
def test_an_approval_that_does_not_count_is_recorded_as_void_once(
    changed: dict[str, Any], noted: tuple[Noted, ...]
) -> None:
    made = () if "forged" in changed else (APPROVED,)
    verdict = decide(file(decisions=made, legs=(leg(),), **changed))
    assert verdict == StaysOpen(_S.AWAITING_APPROVAL, CLAIM, replace(_NO_LONGER, noted=noted))


def test_a_denial_counts_also_by_somebody_who_was_barred_since() -> None:
    verdict = decide(file(decisions=(decided(_K.DENY),), barred=frozenset({"pat"})))
    assert isinstance(verdict, Closes)


def test_an_adjustment_outweighs_an_approval() -> None:
    verdict = decide(file(decisions=(APPROVED, decided(_K.ADJUST, "ann", seq=2))))
    anew = Consequences(files=Filed(CLAIM_ID, NEVER_JUDGED, ROW.rivals_seen))
    assert verdict == StaysOpen(_S.IN_REVIEW, CLAIM, anew, by_approvers=True)


def test_a_claim_is_assembled_again_once_somebody_who_adjusted_it_was_barred() -> None:
    adjusted = assemble(dossier(adjustments=(adjustment("referrer", 1000),)))
    its = file(claim=stored(adjusted))
    assert isinstance(verdict := decide(its), StaysOpen)
    assert verdict.status is _S.AWAITING_APPROVAL
    barred = decide(replace(its, barred=frozenset({"ann"})))
    assert isinstance(barred, StaysOpen)
    assert (barred.status, barred.its.files) == (_S.IN_REVIEW, Filed(CLAIM_ID, NEVER_JUDGED, ROW.rivals_seen))


@pytest.mark.parametrize(
    ("row", "reminded"),
    [
        ({}, False),
        ({"waiting_since": NOW - 19 * DAY}, True),
        # It was told of when it was last judged.
        ({"waiting_since": NOW - 19 * DAY, "judged_at": NOW - HOUR}, False),
        # It stood before nobody then.
        ({"waiting_since": NOW - 19 * DAY, "judged_at": NOW - HOUR, "status": _S.IN_REVIEW}, True),
        ({"waiting_since": None, "status": _S.ON_HOLD}, False),
    ],
)
def test_approvers_are_reminded_of_a_claim_that_became_overdue(row: dict[str, Any], reminded: bool) -> None:
    its = file({"judged_at": NOW - 20 * DAY, **row}, decisions=(decided(_K.APPROVE, "kim", digest="of before"),))
    due = Reminder(patience(NOW - 19 * DAY, terms()), ("kim",)) if reminded else None
    assert decide(its) == StaysOpen(_S.AWAITING_APPROVAL, CLAIM, reminder=due)


def test_a_claim_that_nobody_assembles_is_due_at_once_so_that_the_sweep_finds_it() -> None:
    """Whoever was to assemble it may have been terminated, or run ahead of a register that was restored."""
    case = file().case
    assert case is not None
    assert judged(case, _S.IN_REVIEW).wake_at == NOW
    waits = judged(case, _S.AWAITING_APPROVAL).wake_at
    assert waits is None or waits > NOW


def test_nobody_is_reminded_of_a_claim_that_waits_for_another_referral() -> None:
    waits = CLAIM.model_copy(update={"waits_for": "r0"})
    its = file({"judged_at": NOW - 20 * DAY, "waiting_since": NOW - 19 * DAY}, claim=stored(waits))
    assert decide(its) == StaysOpen(_S.AWAITING_APPROVAL, waits)


@pytest.mark.parametrize("status", UNPAID)
def test_what_the_rivals_show_comes_before_every_decision(status: ReferralStatus) -> None:
    """Who won an attribution dispute was decided by an approval of the other claim; a change is looked at first."""
    its = file({"status": status}, decisions=(APPROVED,), legs=(leg(),))
    assert decide(replace(its, rivals=None)) is LookUp.RIVALS
    assert decide(replace(its, rivals=(rival(),))) == StaysOpen(_S.IN_REVIEW)
    assert decide(replace(its, rivals=(rival(rewarded=True, won=True),))) == Closes(
        _S.DENIED,
        Reason.ATTRIBUTION_LOST,
        its=Consequences(cancels=f"{label('status', _S.DENIED)}: {label('reason', Reason.ATTRIBUTION_LOST)}"),
    )


@pytest.mark.parametrize("status", UNPAID)
@pytest.mark.parametrize("history", RULINGS)
def test_a_claim_that_is_not_current_is_assembled_whatever_was_decided(status: ReferralStatus, history: str) -> None:
    its = file({"status": status, "claim_version": 2}, decisions=RULINGS[history][0])
    assert decide(its) == StaysOpen(_S.IN_REVIEW)
    first = file({"status": status, "claim_id": None}, claim=None)
    assert decide(first) == StaysOpen(_S.IN_REVIEW)


def test_a_claim_is_assembled_again_once_a_known_fact_takes_effect() -> None:
    verdict = decide(file({"judged_at": BOUGHT.occurred_at - HOUR}, decisions=(APPROVED,)))
    assert verdict == StaysOpen(_S.IN_REVIEW, its=Consequences(files=Filed(CLAIM_ID, NEVER_JUDGED, ROW.rivals_seen)))


#: Without the purchase the referral waits for one, or has waited too long.
_NOT_BOUGHT = (ENROLLED, SENT, CLAIMED)
_QUESTION = Question("r1", "shop", "o1")


def _by_time(row: dict[str, Any] | None = None, **changed: Any) -> CaseFile:
    return file(row, known=past(*_NOT_BOUGHT), **changed)


def test_time_alone_closes_a_referral_and_voids_the_claim_that_it_had() -> None:
    lost = Noted((APPROVED.id,), "void", "the conversion no longer holds")
    its = _by_time(decisions=(APPROVED,), legs=(leg(),))
    assert its.begun.course.is_closed
    assert decide(its) == Closes(
        its.begun.course.status,
        its.begun.course.reason,
        its=Consequences(
            noted=(lost,),
            cancels="the conversion no longer holds",
            takes_back_approval=True,
            files=Filed(None, ROW.claim_version, ROW.rivals_seen),
        ),
    )


def test_a_referral_that_still_has_time_stays_open_without_its_claim() -> None:
    its = _by_time({"claim_id": None}, claim=None, now=NOW)
    earlier = replace(its, case=replace(its.begun, course=replace(its.begun.course, status=_S.CLAIMED, reason=None)))
    without = Consequences(files=Filed(None, ROW.claim_version, ROW.rivals_seen))
    assert decide(earlier) == StaysOpen(_S.CLAIMED, its=without)


@pytest.mark.parametrize("question", [None, _QUESTION, Question("r1", "shop", "o2")])
def test_a_reported_conversion_is_asked_about_before_time_decides(question: Question | None) -> None:
    its = _by_time(report=(_QUESTION,))
    said = SourceAnswer(Answer.CONTRADICTED, "It knows no such order.", "shop")
    asked = replace(its, answers=None if question is None else Answers(question, said))
    assert decide(replace(its, report=None)) is LookUp.REPORT
    if question == _QUESTION:
        assert isinstance(decide(asked), Closes)
    else:
        assert decide(asked) == Asks(_QUESTION, Moment.REPORT)


def test_a_referral_that_has_not_begun_waits_for_its_first_fact_or_is_set_aside() -> None:
    later = replace(SENT, occurred_at=NOW + HOUR)
    assert decide(file({"judged_at": None}, known=past(later))) == AwaitsBeginning(NOW + HOUR)
    assert decide(file(known=past(ENROLLED))) == SetAside()


@pytest.mark.parametrize("status", [_S.EXPIRED, _S.DENIED, _S.WITHDRAWN, _S.REWARDED, _S.CLAWED_BACK])
def test_nothing_but_a_reopening_changes_a_closed_referral(status: ReferralStatus) -> None:
    """What came late is counted for the queue."""
    row = {"status": status, "closed_at": NOW - HOUR, "closed_version": len(FACTS)}
    for made, _ in RULINGS.values():
        assert decide(file(row, decisions=made)) == StaysClosed(0)
    late = file({**row, "closed_version": 2})
    assert decide(late) == StaysClosed(1)


def test_what_a_person_left_closed_is_not_counted_again() -> None:
    row = {"status": _S.DENIED, "closed_at": NOW - HOUR, "closed_version": 2}
    seen = closing_digest(replace(ROW, **row), len(FACTS))
    left = decided(DecisionKind.DENY, digest=seen, details={"facts_known": len(FACTS)})
    assert decide(file(row, decisions=(left,))) == StaysClosed(0, len(FACTS))
    assert decide(file(row, decisions=(left,), barred=frozenset({left.user}))) == StaysClosed(1)
    assert decide(file({**row, "round": 2}, decisions=(left,))) == StaysClosed(1)


def test_the_same_claim_assembled_again_keeps_its_decisions() -> None:
    new = assembled()
    verdict = judge_assembled(file({"claim_version": 2}, decisions=(APPROVED,)), new)
    files = Filed(CLAIM_ID, len(FACTS), fingerprint(()))
    assert verdict == IsApproved(CLAIM, Consequences(files=files), by_approvers=True)


def test_another_claim_takes_its_place_without_its_approvals_and_reservations() -> None:
    """Its rivals are judged again, since what they were judged by has changed."""
    rivals = (rival(), rival("r3", status=_S.CLAIMED), rival("r4", status=_S.IN_REVIEW))
    changed = assemble(dossier(adjustments=(adjustment("referrer", 1000),)))
    new = assembled(changed, rivals=rivals)
    adjusts = decided(_K.ADJUST, "ann", seq=3)
    adjusted = changed.model_copy(
        update={"adjustments": (changed.adjustments[0].model_copy(update={"decision": adjusts.id}),)}
    )
    its = file(decisions=(APPROVED, adjusts), legs=(leg(),), forged=(UUID(int=7),))
    verdict = judge_assembled(its, replace(new, claim=adjusted))
    assert verdict == StaysOpen(
        _S.AWAITING_APPROVAL,
        adjusted,
        Consequences(
            noted=(
                Noted((UUID(int=7),), "forged", "no signature that we believe"),
                Noted((APPROVED.id,), "void", "the claim changed after the decision"),
                Noted((adjusts.id,), "applied", "adjusted"),
            ),
            cancels="the claim changed after the decision",
            takes_back_approval=True,
            stores=NewClaim(NEW_ID, adjusted, "dexter", 0),
            wakes=("r2", "r4"),
            files=Filed(NEW_ID, len(FACTS), fingerprint(rivals)),
        ),
    )


@pytest.mark.parametrize("round_", [1, 2])
def test_the_rules_deny_a_claim_by_themselves_in_its_first_round_alone(round_: int) -> None:
    """Once people reopened it, people decide."""
    denied = CLAIM.model_copy(update={"denial": Reason.CAP_REACHED, "digest": "another"})
    verdict = judge_assembled(file({"round": round_, "claim_id": None}, claim=None), assembled(denied))
    if round_ == 1:
        assert isinstance(verdict, Closes)
        assert (verdict.status, verdict.reason, verdict.claim) == (_S.DENIED, Reason.CAP_REACHED, None)
    else:
        assert isinstance(verdict, StaysOpen)
        assert verdict.status is _S.AWAITING_APPROVAL
    assert verdict.its.stores == NewClaim(NEW_ID, denied, "dexter", 0)


def test_a_claim_whose_rival_won_is_not_even_put_forward() -> None:
    verdict = judge_assembled(file({"claim_id": None}, claim=None), assembled(rivals=(rival(rewarded=True, won=True),)))
    assert verdict == Closes(_S.DENIED, Reason.ATTRIBUTION_LOST)
