"""What people decided about a referral as a whole: reopening it, moving its reward, linking an order."""

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import pytest

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.judging.acts import CarriesOut, Disbelieves, Reopens, act_of
from referral_rewards.domain.judging.verdict import Consequences, Noted
from referral_rewards.domain.payouts.payout import ReservedLeg
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.referrals.case import acts_document
from referral_rewards.domain.referrals.closing import closing_digest
from referral_rewards.domain.referrals.lifecycle import CLOSED, PAID, ReferralStatus
from tests.domain.build import bought, reversed_
from tests.domain.case_files import APPROVED, EVERY_ROLE, HOUR, ROW, decided, file, leg, past
from tests.domain.dossiers import FACTS, NOW, reassigned

_S, _K = ReferralStatus, DecisionKind
#: Two people move the reward to Ann.
MOVED: Final = tuple(
    decided(_K.REASSIGN, user, seq=seq, roles=EVERY_ROLE, details={"referrer": "ann"})
    for seq, user in enumerate(("olga", "oscar"), 2)
)
RECOVERED: Final = leg(LegState.CLAWED_BACK, PayoutState.SETTLED, sent=True)
PAID_LEG: Final = leg(LegState.PAID, PayoutState.SETTLED, sent=True)
#: The order that was paid for was returned, and she bought again within the offer.
EXCHANGED: Final = past(
    *FACTS,
    reversed_("2026-07-12"),
    bought("2026-07-11", order="o2", customer={"customer": "c-brie", "email": "brie@example.com"}),
)


def closed(status: ReferralStatus, **changed: Any) -> dict[str, Any]:
    return {"status": status, "closed_at": NOW - HOUR, "closed_version": len(FACTS), **changed}


def reopening(row: dict[str, Any], **changed: Any) -> Decision:
    """A decision to reopen the referral as this row says that it ended."""
    return decided(_K.REOPEN, **{"digest": closing_digest(replace(ROW, **row)), **changed})


@pytest.mark.parametrize("status", sorted(_S))
def test_nothing_is_carried_out_that_nobody_decided(status: ReferralStatus) -> None:
    for row in ({"status": status}, closed(status)):
        assert act_of(file(row, decisions=(APPROVED,))) is None


@pytest.mark.parametrize("status", sorted(CLOSED - PAID))
def test_a_decision_on_this_closing_begins_the_next_round(status: ReferralStatus) -> None:
    row = closed(status)
    act = act_of(file(row, decisions=(made := reopening(row),)))
    begun = replace(ROW, status=status, round=2, claim_id=None, rivals_seen=None, answered_version=len(FACTS))
    assert act == Reopens(begun, Noted((made.id,), "applied", "reopened"), exchanges=False)


def test_a_decision_counts_although_a_fact_came_after_it() -> None:
    row = closed(_S.DENIED, facts_version=len(FACTS) + 1)
    seen = closing_digest(replace(ROW, **row), len(FACTS))
    known = {"facts_known": len(FACTS)}
    assert isinstance(act_of(file(row, decisions=(decided(_K.REOPEN, digest=seen, details=known),))), Reopens)
    assert act_of(file(row, decisions=(decided(_K.REOPEN, digest=seen, details={"facts_known": 1}),))) is None
    assert act_of(file(row, decisions=(decided(_K.REOPEN, digest=seen),))) is None


@pytest.mark.parametrize(
    "other",
    [{"round": 2}, {"reason": "cap_reached"}, {"closed_version": 2}, {"status": _S.WITHDRAWN}, {"id": "r2"}],
    ids=lambda each: next(iter(each)),
)
def test_a_decision_on_another_closing_reopens_nothing(other: dict[str, Any]) -> None:
    row = closed(_S.DENIED)
    assert act_of(file(row, decisions=(reopening({**row, **other}),))) is None


def test_what_was_paid_for_stays_when_a_watched_referral_is_reopened() -> None:
    row = closed(_S.REWARDED, late_facts=2)
    act = act_of(file(row, decisions=(reopening(row),), legs=(PAID_LEG,)))
    assert isinstance(act, Reopens)
    assert act.row == replace(ROW, status=_S.REWARDED, round=2, answered_version=len(FACTS))
    assert not act.exchanges


@pytest.mark.parametrize("legs", [(RECOVERED,), (PAID_LEG,)], ids=["recovered", "kept"])
@pytest.mark.parametrize("is_closed", [False, True])
def test_another_conversion_takes_the_place_of_one_whose_reward_was_taken_back(
    legs: tuple[ReservedLeg, ...], is_closed: bool
) -> None:
    """While it is open, only for an exchange is it reopened."""
    row = closed(_S.CLAWED_BACK) if is_closed else {"status": _S.CLAWED_BACK}
    its = file({**row, "rewarded_at": NOW - HOUR}, known=EXCHANGED, decisions=(reopening(row),), legs=legs)
    act = act_of(its)
    if legs == (PAID_LEG,):
        assert act is None or (is_closed and isinstance(act, Reopens) and not act.exchanges)
        return
    assert isinstance(act, Reopens)
    assert act.exchanges
    assert (act.row.status, act.row.claim_id, act.row.rewarded_at) == (_S.IN_REVIEW, None, None)


def test_what_the_row_says_without_signatures_behind_it_is_not_believed() -> None:
    acts = acts_document(reassigned("mallory"))
    for row in ({"moved_to": "mallory"}, {"acts": acts}, {"moved_to": "mallory", "acts": acts}):
        assert act_of(file(row)) == Disbelieves()
        assert act_of(file({**closed(_S.DENIED), **row})) == Disbelieves()


def test_two_people_move_a_reward_and_void_what_was_decided_on_the_claim() -> None:
    act = act_of(file(decisions=(APPROVED, *MOVED), legs=(leg(),)))
    assert isinstance(act, CarriesOut)
    assert act.pending.acts.reassigned is not None
    assert act.pending.acts.reassigned.referrer == "ann"
    why = "its attribution was decided anew"
    assert act.its == Consequences(noted=(Noted((APPROVED.id,), "void", why),), cancels=why, takes_back_approval=True)


@pytest.mark.parametrize(
    "kept",
    [
        {"decisions": MOVED[:1]},
        {"decisions": (*MOVED, decided(_K.HOLD, seq=4))},
        {"decisions": (*MOVED, decided(_K.DENY, seq=4))},
        {"decisions": MOVED, "legs": (PAID_LEG,), "row": {"status": _S.REWARDED}},
        {"decisions": MOVED, "row": closed(_S.DENIED)},
        {"decisions": MOVED, "case": None},
    ],
    ids=["one person", "held", "denied", "paid", "closed", "not begun"],
)
def test_a_reward_does_not_move(kept: dict[str, Any]) -> None:
    kept = dict(kept)
    assert act_of(file(kept.pop("row", {}), **kept)) is None


def test_a_move_that_was_carried_out_is_not_carried_out_again() -> None:
    act = act_of(file(decisions=MOVED))
    assert isinstance(act, CarriesOut)
    done = {"moved_to": "ann", "acts": acts_document(act.pending.acts), "claim_id": None}
    assert act_of(file(done, decisions=MOVED, claim=None)) is None


def test_nothing_is_voided_of_a_referral_without_a_claim() -> None:
    act = act_of(file({"claim_id": None}, claim=None, decisions=MOVED, forged=(UUID(int=7),)))
    assert isinstance(act, CarriesOut)
    assert act.its == Consequences()
