"""Adjustments: amounts that a person set hold for what was calculated then, within what the terms allow."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.claims.adjustments import Adjustment
from referral_rewards.domain.claims.advice import advice
from referral_rewards.domain.claims.claim import RewardClaim, assemble
from referral_rewards.domain.claims.decision_kinds import DecisionKind
from referral_rewards.domain.claims.dossier import Dossier, Usage
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.decisions.adjusting import adjustments_of
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.people.authority import Role
from tests.domain.build import bought, rated, reversed_
from tests.domain.dossiers import BOUGHT, NOW, adjustment, dossier, linked, reassigned, terms, told

CALCULATED = {"referrer": 2500, "referee": 800}
EURO = dossier(bought("2026-07-10", currency="EUR", amount="90.00"), without=[BOUGHT])
BUDGET = terms(limits={"budget": "100.00"})
FIVE_LEFT = dossier(under=BUDGET, usage=Usage(budget_minor=7000))


def amounts(claim: RewardClaim) -> dict[str, int]:
    return {str(leg.role): leg.amount_minor for leg in claim.legs}


def adjusted(on: Dossier, *made: tuple[str, int, str]) -> RewardClaim:
    """The claim of a dossier with these adjustments, each made on what is calculated for it."""
    its = [adjustment(role, minor, by, number, on) for number, (role, minor, by) in enumerate(made, 1)]
    return assemble(replace(on, adjustments=tuple(its)))


@pytest.mark.parametrize(
    ("on", "made", "paid", "raised"),
    [
        (dossier(), [("referrer", 1500, "ann")], {"referrer": 1500, "referee": 800}, False),
        (dossier(), [("referrer", 0, "ann")], {"referee": 800}, False),
        (dossier(), [("referrer", 2501, "ann")], {"referrer": 2501, "referee": 800}, True),
        (dossier(), [("referrer", 2500, "ann")], CALCULATED, False),
        (dossier(), [("referrer", 0, "ann"), ("referee", 400, "ben")], {"referee": 400}, False),
        (dossier(), [("referee", 1, "ann"), ("referee", 900, "ben")], {"referrer": 2500, "referee": 900}, True),
        (dossier(), [("referrer", 9000, "ann"), ("referrer", 2500, "ben")], CALCULATED, False),
        (dossier(), [("referee", 4001, "ann")], {"referrer": 2500, "referee": 4000}, True),
        (EURO, [("referee", 950, "ann")], {"referrer": 2500, "referee": 950}, True),
        (EURO, [("referee", 4001, "ann")], {"referrer": 2500, "referee": 4000}, True),
        (FIVE_LEFT, [("referrer", 0, "ann")], {"referee": 500}, False),
        (FIVE_LEFT, [("referrer", 9000, "ann")], {"referrer": 3000}, True),
    ],
    ids=[
        *("lower", "left out", "higher", "as calculated", "both legs", "the later of two", "raised and lowered"),
        *(
            "above its cap",
            "other currency",
            "other currency, above its cap",
            "the other leg stays",
            "above the budget",
        ),
    ],
)
def test_a_leg_is_what_was_set_within_its_limits(
    on: Dossier, made: list[tuple[str, int, str]], paid: dict[str, int], raised: bool
) -> None:
    claim = adjusted(on, *made)
    assert amounts(claim) == paid
    assert claim.override is raised
    assert (claim.requirement.people == 2) is raised
    assert Flag.ADJUSTED in claim.flag_names
    for leg in claim.legs:
        assert sum(line.amount_minor for line in claim.lines if line.role is leg.role) == leg.amount_minor


def test_everybody_who_adjusted_is_excluded_even_where_another_adjusted_after_them() -> None:
    claim = adjusted(dossier(), ("referee", 500, "zoe"), ("referee", 600, "ann"))
    assert claim.requirement.excluded == ("ann", "zoe")
    assert assemble(dossier()).requirement.excluded == ()


def test_both_amounts_and_who_set_it_are_said() -> None:
    claim = adjusted(EURO, ("referee", 950, "fiona"))
    (flag,) = [each for each in claim.flags if each.flag is Flag.ADJUSTED]
    assert flag.sentence == "The referee's reward was set to 9.50 USD by fiona (goodwill); 0.00 USD were calculated."
    left_out = adjusted(dossier(), ("referrer", 0, "ann")).flags[-1].sentence
    assert left_out == "The referrer's reward was left out by ann (goodwill); 25.00 USD were calculated."


def test_each_adjustment_has_a_digest_of_its_own_on_the_same_calculation() -> None:
    plain = assemble(dossier())
    claims = [plain, adjusted(dossier(), ("referee", 700, "ann")), adjusted(dossier(), ("referee", 701, "ann"))]
    claims.append(adjusted(dossier(), ("referee", 700, "ben")))
    assert len({claim.digest for claim in claims}) == 4
    assert {claim.calculated_digest for claim in claims} == {plain.core_digest}


CHANGES: dict[str, dict[str, Any]] = {
    "part refunded": {"more": [reversed_("2026-07-12", amount="20.00")]},
    "another amount": {"more": [bought("2026-07-10", amount="81.00")], "without": [BOUGHT]},
    "a flag": {"more": [told("conversion.dispute_opened", "2026-07-20", order="o1")]},
    "other terms": {"version": 2},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_adjustment_falls_away_when_what_is_calculated_changes_and_the_claim_says_so(change: dict[str, Any]) -> None:
    change = dict(change)
    made = adjustment("referee", 700)
    claim = assemble(dossier(*change.pop("more", ()), adjustments=(made,), **change))
    assert (claim.adjustments, claim.fallen) == ((), (made,))
    assert Flag.ADJUSTED not in claim.flag_names
    assert claim.requirement.excluded == ()
    assert "ann had adjusted the referee's reward to 7.00 USD: this fell away" in advice(claim)


def test_what_changes_nothing_that_is_calculated_leaves_an_adjustment_in_force() -> None:
    made = adjustment("referee", 700)
    claim = assemble(dossier(rated("2026-07-20"), adjustments=(made,)))
    assert (claim.adjustments, claim.fallen) == ((made,), ())


def test_a_leg_left_out_needs_no_approval_of_its_own_route() -> None:
    under = terms(rewards={"referrer": {"kind": "cash", "amount": "25.00"}})
    plain, claim = dossier(under=under), adjusted(dossier(under=under), ("referrer", 0, "ann"))
    assert assemble(plain).requirement.routes == (Role.FINANCE, Role.PROGRAM_OWNER)
    assert claim.requirement.routes == (Role.PROGRAM_OWNER,)


@pytest.mark.parametrize(
    ("limits", "usage", "most"),
    [
        ({}, Usage(), {"referrer": None, "referee": 4000}),
        ({"per_reward": "30.00"}, Usage(), {"referrer": 3000, "referee": 3000}),
        ({"budget": "100.00"}, Usage(budget_minor=6000), {"referrer": 3200, "referee": 1500}),
        ({"per_referrer": {"amount": "60.00", "period": "P1Y"}}, Usage(1, 2000), {"referrer": 4000, "referee": 4000}),
        ({"per_referrer": {"rewards": 2, "period": "P1Y"}}, Usage(1, 2500), {"referrer": None, "referee": 4000}),
        ({"per_referrer": {"rewards": 1, "period": "P1Y"}}, Usage(1, 2500), {"referrer": 0, "referee": 4000}),
    ],
)
def test_how_far_a_leg_may_be_set_is_what_its_caps_and_the_budget_leave(
    limits: dict[str, Any], usage: Usage, most: dict[str, int | None]
) -> None:
    claim = assemble(dossier(under=terms(limits=limits), usage=usage))
    assert {str(each.role): each.most_minor for each in claim.promises} == most


@given(st.lists(st.tuples(st.sampled_from(["referrer", "referee"]), st.integers(0, 6000)), max_size=4))
def test_whatever_is_set_no_leg_passes_its_cap_and_no_claim_the_budget(made: list[tuple[str, int]]) -> None:
    claim = adjusted(FIVE_LEFT, *((role, minor, "ann") for role, minor in made))
    paid = amounts(claim)
    assert paid.get("referee", 0) <= 4000
    assert sum(paid.values()) <= 3000


def _decided(number: int, on: int = 1, user: str = "ann", kind: DecisionKind = DecisionKind.ADJUST) -> Decision:
    said = {"leg": "referee", "amount_minor": 700, "calculated": "c"}
    roles = frozenset({Role.FINANCE})
    return Decision(number, UUID(int=number), "r1", UUID(int=on), "d", kind, user, roles, "goodwill", NOW, said)


def _numbers(made: tuple[Adjustment, ...]) -> list[int]:
    return [each.decision.int for each in made]


def test_a_claim_is_judged_by_the_adjustments_that_it_names_and_those_made_on_it() -> None:
    claim = adjusted(dossier(), ("referee", 700, "ann"))  # by decision 1
    made = [_decided(1, on=8), _decided(2, on=7), _decided(3, on=9), _decided(4, on=9, kind=DecisionKind.APPROVE)]
    assert _numbers(adjustments_of(claim, UUID(int=9), made)) == [1, 3]
    assert _numbers(adjustments_of(assemble(dossier()), UUID(int=9), made)) == [3]  # what fell away stays away
    assert _numbers(adjustments_of(claim, UUID(int=9), made[1:])) == [3]  # what no decision stands behind counts not
    assert _numbers(adjustments_of(claim, UUID(int=9), made, {"ann"})) == []
    assert adjustments_of(None, None, made) == ()


def test_a_linked_order_is_flagged_with_who_linked_it_and_why() -> None:
    claim = assemble(linked())
    (flag,) = claim.flags
    assert flag.sentence == "Order o9 was linked by hand by oscar and paula (a colleague bought)."


def test_an_order_of_the_referee_s_own_needs_no_link() -> None:
    own = linked(order="o1").acts
    assert assemble(dossier(acts=own)).flag_names == ()


def test_a_link_to_what_the_referrer_bought_is_a_self_referral() -> None:
    of_dexter = bought("2026-07-10", order="o9", customer={"customer": "c-dexter", "email": "dexter@example.org"})
    case = dossier(of_dexter, without=[BOUGHT], acts=linked().acts)
    case = replace(case, referrer_marks=case.referrer_marks | of_dexter.marks)
    assert Flag.SELF_REFERRAL in assemble(case).flag_names


def test_a_dispute_through_a_link_is_part_of_the_digest() -> None:
    apart, disputed = assemble(linked()), assemble(linked(matched_elsewhere=("r9",)))
    assert apart.core_digest != disputed.core_digest
    assert {Role.OPERATIONS, Role.PROGRAM_OWNER} <= set(disputed.requirement.routes)


def _asks(to: str, when: str = "2026-07-20", number: int = 0) -> Any:
    said = {"referral": "r1", "from_referrer": "dexter", "to_referrer": to, "reason": "x", "note": str(number)}
    return told("attribution.changed", when, **said)


@pytest.mark.parametrize(
    ("asks", "acts", "flagged"),
    [
        ([_asks("mia")], None, True),
        ([_asks("dexter")], None, False),
        ([_asks("mia")], "mia", False),
        ([_asks("mia")], "zoe", False),
        ([_asks("mia"), _asks("zoe", "2026-07-31")], "mia", True),
        ([_asks("mia"), _asks("mia", "2026-07-31")], "mia", False),
        ([_asks("mia"), _asks("zoe", "2026-07-10")], "mia", False),
    ],
    ids=[
        *("asked", "asked back", "moved as asked", "moved to another", "asked anew since", "asked the same since"),
        "an earlier request",
    ],
)
def test_a_reassignment_answers_what_asked_for_it_and_nothing_later(
    asks: list[Any], acts: str | None, flagged: bool
) -> None:
    case = dossier(*asks)
    if acts is not None:
        case = replace(case, acts=reassigned(acts), origin=replace(case.origin, referrer=acts))
    assert (Flag.ATTRIBUTION_CHANGED in assemble(case).flag_names) is flagged
