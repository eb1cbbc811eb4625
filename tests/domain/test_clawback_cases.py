"""Which cases facts after a payment open, change and dismiss."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from referral_rewards.domain.claims.rewards import Side, reckon
from referral_rewards.domain.clawbacks.cases import Happened, LegCase, PaidLeg, cases_of, happened
from referral_rewards.domain.clawbacks.causes import causes_of
from referral_rewards.domain.clawbacks.proposals import conversion_of, earned
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import Order, OrderName, order_named
from referral_rewards.domain.referrals.disputes import disputes
from tests.domain.dossiers import FACTS, dossier, terms, told

UNDER = terms(rewards={"referrer": None, "referee": {"kind": "credit", "percent": "10"}})
(PAID,) = reckon(dossier(under=UNDER)).legs
LEG = PaidLeg(UUID(int=1), Side.REFEREE, PAID.amount_minor, 1, may_be_paid=True)
OPENED = told("conversion.dispute_opened", "2026-07-20", order="o1")
CHARGEBACK = told("conversion.reversed", "2026-07-28", order="o1", kind="chargeback_lost")
REFUND = told("conversion.reversed", "2026-07-21", order="o1", kind="refund", amount="20.00")


def closed(outcome: str, time: str = "2026-07-27", **data: Any) -> Fact:
    return told("conversion.dispute_closed", time, order="o1", outcome=outcome, **data)


Act = Callable[[LegCase], LegCase]
NAME = OrderName("o1")


def about(*known: Fact) -> Order | None:
    """The order that was paid for, with these facts."""
    return order_named((*FACTS, *known), NAME)


def lived(told_in_turn: Sequence[Sequence[Fact] | Act], leg: PaidLeg = LEG) -> list[LegCase]:
    """The cases of the leg after so many judgements, each with some more facts, or with a person's act on the newest
    case."""
    known: list[Fact] = []
    cases: list[LegCase] = []
    for news in told_in_turn:
        if callable(news):
            cases[-1] = news(cases[-1])
            continue
        known += news
        case = dossier(*known, under=UNDER)
        order, paid_for = order_named(case.seen, OrderName("o1")), conversion_of(case, OrderName("o1"))
        its = disputes(known) if paid_for is None else paid_for.disputes
        news_in_turn = sorted(news, key=lambda f: f.precedence)
        causes = causes_of(news_in_turn, its, order=order, referrer="dexter", paid_for=paid_for)
        so_far = happened(order, causes, its, earned(case, paid_for), paid_for=paid_for)
        cases = cases_of(leg, cases, so_far)
    return cases


def states(cases: Sequence[LegCase]) -> list[tuple[str, int | None]]:
    return [(each.state.value, each.proposed_minor) for each in cases]


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([], []),
        ([[REFUND]], [("open", 200)]),
        ([[OPENED]], [("frozen", None)]),
        ([[OPENED], []], [("frozen", None)]),
        ([[OPENED], [closed("won")]], [("dismissed", None)]),
        ([[OPENED], [closed("inquiry_closed")]], [("dismissed", None)]),
        ([[OPENED], [closed("lost")]], [("open", 800)]),
        ([[OPENED], [closed("refunded")]], [("open", 800)]),
        ([[OPENED], [closed("prevented", amount="20.00")]], [("open", 200)]),
        ([[OPENED], [closed("lost")], [CHARGEBACK]], [("open", 800)]),
        ([[OPENED], [closed("lost"), CHARGEBACK]], [("open", 800)]),
        ([[OPENED], [CHARGEBACK], [closed("lost")]], [("open", 800)]),
        ([[CHARGEBACK], [OPENED], [closed("lost")]], [("open", 800)]),
        ([[closed("lost")], [OPENED], [CHARGEBACK]], [("open", 800)]),
        ([[OPENED, closed("lost"), CHARGEBACK]], [("open", 800)]),
        ([[OPENED, closed("won")]], []),
        ([[OPENED], [REFUND], [closed("refunded")]], [("dismissed", 0), ("open", 200)]),
        ([[OPENED], [closed("won")], [closed("lost", "2026-07-28")]], [("dismissed", None), ("open", 800)]),
        ([[closed("lost", amount="20.00")], [closed("lost", "2026-07-28", amount="30.00")]],
         [("open", 200), ("open", 100)]),
        ([[closed("lost")], [told("conversion.dispute_opened", "2026-07-20", order="o1", amount="20.00")]],
         [("open", 200)]),
    ],
)  # fmt: skip
def test_a_dispute_has_one_case_and_its_outcome_decides_it(
    turns: list[list[Fact]], expected: list[tuple[str, int | None]]
) -> None:
    assert states(lived(turns)) == expected


HISTORY = (OPENED, REFUND, closed("lost", amount="40.00"), told("conversion.reversed", "2026-07-29", order="o1",
           kind="chargeback_lost", amount="45.00"))  # fmt: skip


def back(amount: str, name: str | None = None, **data: Any) -> Fact:
    named = {"reversal": name} if name else {}
    return told("conversion.reversed", "2026-07-21", order="o1", kind="refund", amount=amount, **named, **data)


def amended(amount: str, time: str = "2026-07-22") -> Fact:
    return told("conversion.amended", time, order="o1", amount=amount)


FAILED = told("conversion.reversal_failed", "2026-07-25", order="o1", reversal="x")
AGAIN = replace(back("20.00", "x"), id=UUID(int=9), event_id="again", source="bank")
COPY = replace(back("20.00"), id=UUID(int=8), event_id="copy", source="bank")


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([[amended("60.00")]], [("open", 200)]),
        ([[amended("140.00")]], []),
        ([[amended("60.00")], [amended("80.00", "2026-07-23")]], [("dismissed", 0)]),
        ([[amended("60.00")], [back("10.00")]], [("open", 200), ("open", 100)]),
        ([[back("20.00", "x")], [FAILED]], [("dismissed", 0)]),
        ([[FAILED], [back("20.00", "x")]], []),
        ([[back("20.00", "x")], [AGAIN]], [("open", 200)]),
        ([[back("20.00", "x")], [COPY]], [("open", 200)]),
        ([[back("10.00", "x"), back("10.00", "y")]], [("open", 200), ("dismissed", 0)]),
        ([[back("1500", currency="JPY")]], [("open", None)]),
        ([[back("10.005")]], [("open", None)]),
        ([[OPENED], [closed("lost", amount="1500", currency="JPY")]], [("open", None)]),
        ([[closed("lost", amount="1500", currency="JPY")], []], [("open", None)]),
        ([[told("conversion.reversed", "2026-07-21", order="o1", kind="cancellation")]], []),
    ],
)
def test_cases_follow_from_the_reading_of_the_order(
    turns: list[list[Fact]], expected: list[tuple[str, int | None]]
) -> None:
    assert states(lived(turns)) == expected


def dismissed(case: LegCase) -> LegCase:
    return replace(case, state=CaseState.DISMISSED)


def taken(case: LegCase) -> LegCase:
    return replace(case, state=CaseState.DECIDED, taken_minor=case.proposed_minor or 0)


def returned(case: LegCase) -> LegCase:
    """All that was taken in it went back."""
    return replace(case, taken_minor=0)


X, Y = back("20.00", "x"), back("10.00", "y")
Y_FAILED = told("conversion.reversal_failed", "2026-07-25", order="o1", reversal="y")


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        # It lasts: what was left to the payee is not asked for again, and another loss is asked for by itself.
        ([[X], taken, returned, [Y]], [("decided", 200), ("open", 100)]),
        ([[X], dismissed, [Y]], [("dismissed", 200), ("open", 100)]),
        ([[X], dismissed, [Y], [Y_FAILED]], [("dismissed", 200), ("dismissed", 0)]),
        # It did not last: what was left to the payee covers no other loss, whichever is heard first.
        ([[X], taken, returned, [FAILED], [Y]], [("decided", 0), ("open", 100)]),
        ([[X], taken, returned, [Y], [FAILED]], [("decided", 0), ("open", 100)]),
        ([[X], taken, returned, [FAILED, Y]], [("decided", 0), ("open", 100)]),
        ([[X], dismissed, [FAILED], [Y]], [("dismissed", 0), ("open", 100)]),
        ([[X], dismissed, [Y], [FAILED]], [("dismissed", 0), ("open", 100)]),
        # What is still held covers another loss.
        ([[X], taken, [FAILED], [Y]], [("decided", 200), ("dismissed", 0)]),
        # A part of a loss lasts.
        ([[amended("60.00")], dismissed, [amended("70.00", "2026-07-23")], [Y]], [("dismissed", 100), ("open", 100)]),
        ([[amended("60.00")], dismissed, [Y], [amended("70.00", "2026-07-23")]], [("dismissed", 100), ("open", 100)]),
        ([[closed("lost")], dismissed, [told("conversion.dispute_opened", "2026-07-20", order="o1", amount="20.00")],
          [Y]], [("dismissed", 200), ("open", 100), ("dismissed", 0)]),
    ],
)  # fmt: skip
def test_what_people_left_to_the_payee_covers_only_its_own_loss(
    turns: list[list[Fact] | Act], expected: list[tuple[str, int | None]]
) -> None:
    assert states(lived(turns)) == expected


def test_what_people_left_to_the_payee_of_another_kind_covers_nothing() -> None:
    leg = PaidLeg(UUID(int=2), Side.REFERRER, 2500, 1, may_be_paid=True)
    moved, lost = UUID(int=21), told("conversion.reversed", "2026-07-28", order="o1", kind="return")
    given_up = LegCase(UUID(int=3), leg.id, moved, CaseState.DISMISSED, "it was asked to be moved", 2500)
    causes = causes_of([lost], (), order=about(lost), referrer="dexter", paid_for=None)
    its = Happened(causes, (), {}, {lost.id}, NAME)
    assert states(cases_of(leg, [given_up], its)) == [("dismissed", 2500), ("open", 2500)]
    # And the other way round: the order's loss was left to the payee, then the reward was asked to be moved.
    given_up = replace(given_up, cause=lost.id)
    again = told("attribution.changed", "2026-07-29", referral="r1", to_referrer="mia")
    causes = causes_of([again], (), order=about(again), referrer="dexter", paid_for=None)
    assert states(cases_of(leg, [given_up], replace(its, causes=causes))) == [("dismissed", 2500), ("open", 2500)]


def test_the_same_is_proposed_in_whatever_order_it_is_heard() -> None:
    chance = random.Random(1)
    for arrived in permutations(HISTORY):
        cut = chance.randint(0, len(arrived))
        for turns in ([[each] for each in arrived], [list(arrived[:cut]), list(arrived[cut:])]):
            found = lived(turns)
            assert sum(each.proposed_minor or 0 for each in found) == 800
            assert all(each.state is not CaseState.FROZEN for each in found)


def test_a_case_that_a_person_began_to_decide_is_not_lowered() -> None:
    (case,) = lived([[closed("lost")]])
    begun = replace(case, taken_minor=100)
    its = disputes([told("conversion.dispute_opened", "2026-07-20", order="o1", amount="20.00"), closed("lost")])
    so_far = Happened((), its, {Side.REFEREE: 600}, {case.cause}, NAME)
    assert cases_of(LEG, [begun], so_far) == [begun]


def test_a_leg_that_was_never_paid_has_no_case() -> None:
    (case,) = lived([[REFUND]])
    (after,) = cases_of(replace(LEG, may_be_paid=False), [case], Happened((), (), {}, (), NAME))
    assert (after.state, after.why) == (CaseState.DISMISSED, f"{case.why}: nothing of it is paid")


def test_a_change_of_attribution_proposes_all_of_the_referrers_reward() -> None:
    moved = told("attribution.changed", "2026-07-20", referral="r1", to_referrer="mia")
    assert states(lived([[moved]])) == []
    referrers = PaidLeg(UUID(int=2), Side.REFERRER, 2500, 1, may_be_paid=True)
    causes = causes_of([moved], (), order=about(moved), referrer="dexter", paid_for=None)
    assert states(cases_of(referrers, [], Happened(causes, (), {Side.REFERRER: 2500}, (), NAME))) == [("open", 2500)]
    assert causes_of([moved], (), order=about(moved), referrer="mia", paid_for=None) == ()


def test_what_the_rules_can_not_tell_is_told_once() -> None:
    unknown = Happened((), disputes([OPENED, closed("lost")]), None, (), OrderName("o1"))
    once = cases_of(LEG, [], unknown)
    assert states(once) == [("open", None)]
    assert cases_of(LEG, once, unknown) == once
