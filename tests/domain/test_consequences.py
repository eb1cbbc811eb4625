"""What a person reads of what would follow from a decision."""

from typing import Any

import pytest

from referral_rewards.domain.claims.approval import Approver, DecisionKind, Requirement, Signoff
from referral_rewards.domain.claims.rewards import Leg, Side
from referral_rewards.domain.decisions.consequences import Prospect, consequence, lacking
from referral_rewards.domain.programs.terms import RewardKind, Role

K = DecisionKind
FINANCE, OPERATIONS, OWNER = Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER
LEGS = (
    Leg(role=Side.REFERRER, beneficiary="dexter", kind=RewardKind.CREDIT, amount_minor=2500, currency="USD", rail="x"),
    Leg(role=Side.REFEREE, beneficiary="c-1", kind=RewardKind.GIFT_CARD, amount_minor=800, currency="USD", rail="x"),
)
PAID = "25.00 USD account credit to dexter and 8.00 USD gift card to c-1"


def signed(user: str, *roles: Role, kind: DecisionKind = K.APPROVE, digest: str = "d") -> Signoff:
    return Signoff(user=user, roles=frozenset(roles), kind=kind, digest=digest)


def needs(*routes: Role, people: int = 1) -> Requirement:
    return Requirement(routes=tuple(sorted(routes)), people=people)


@pytest.mark.parametrize(
    ("required", "signoffs", "lacks"),
    [
        (needs(OWNER), [], "program owner"),
        (needs(OWNER), [signed("a", OWNER)], None),
        (needs(OWNER), [signed("a", OWNER, digest="another")], "program owner"),
        (needs(OWNER), [signed("a", OWNER, kind=K.HOLD)], "program owner"),
        (needs(OWNER), [signed("a", FINANCE)], "program owner"),
        (needs(OWNER, people=2), [signed("a", OWNER)], "one more person"),
        (needs(OWNER, people=2), [signed("a", OWNER), signed("a", OWNER)], "one more person"),
        (needs(OWNER, people=3), [signed("a", OWNER)], "2 more people"),
        (needs(OWNER, people=3), [], "program owner (3 more people in total)"),
        (needs(OWNER, FINANCE), [signed("a", OWNER, FINANCE)], None),
        (needs(OWNER, FINANCE, people=2), [signed("a", OWNER, FINANCE)], "one more person"),
        (needs(OWNER, FINANCE), [signed("a", OWNER)], "finance"),
        (needs(OWNER, FINANCE, OPERATIONS, people=2), [signed("a", OWNER)], "finance and operations"),
    ],
)
def test_what_an_approval_lacks_is_named(required: Requirement, signoffs: list[Signoff], lacks: str | None) -> None:
    found = lacking(required, signoffs, "d")
    assert (None if found is None else str(found)) == lacks


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (K.APPROVE, {}, f"{PAID} will be reserved and paid at once."),
        (K.APPROVE, {"at_once": False}, "paid with the program's next payout cycle"),
        (K.APPROVE, {"legs": ()}, "Nothing can be paid: the claim has no reward."),
        (
            K.APPROVE,
            {"required": needs(OWNER, people=2)},
            "Nothing is paid before the missing signatures are there: one more person.",
        ),
        (K.APPROVE, {"required": needs(OWNER, FINANCE)}, "before the missing signatures are there: finance."),
        (K.APPROVE, {"signoffs": [signed("b", OWNER, kind=K.HOLD)]}, "Nothing is paid while the claim is on hold"),
        (K.APPROVE, {"against": ("r2",)}, "This settles the attribution: referral r2 will be denied."),
        (K.APPROVE, {"against": ("r2", "r3")}, "This settles the attribution: referrals r2 and r3 will be denied."),
        (K.DENY, {}, "Nothing is paid, and the referral is closed as denied."),
        (K.HOLD, {}, "Nothing is paid until somebody releases the hold."),
        (K.RELEASE, {}, "The claim waits for approval again"),
        (K.RELEASE, {"signoffs": [signed("b", OWNER)]}, f"All signatures are there: {PAID} will be paid."),
        (K.REQUEST_EVIDENCE, {}, "The claim stays in the queue"),
        (K.REOPEN, {}, "comes back to the queue as a new claim"),
        (K.REASSIGN, {"to": "ann"}, "Nothing is moved before the missing signatures are there: operations."),
        (
            K.REASSIGN,
            {"to": "ann", "signoffs": [signed("b", OPERATIONS, kind=K.REASSIGN)]},
            "The claim moves to ann",
        ),
    ],
)
def test_what_follows_is_said_before_it_is_recorded(kind: DecisionKind, given: dict[str, Any], said: str) -> None:
    prospect = Prospect(**{"required": needs(OWNER), "legs": LEGS, "signoffs": (), "digest": "d", **given})
    assert said in consequence(kind, Approver("paula", frozenset({OWNER})), prospect)


@pytest.mark.parametrize("kind", DecisionKind)
def test_every_kind_of_decision_has_its_consequence(kind: DecisionKind) -> None:
    prospect = Prospect(required=needs(OWNER), legs=LEGS, signoffs=(), digest="d")
    assert consequence(kind, Approver("paula", frozenset({OWNER})), prospect).endswith(".")
