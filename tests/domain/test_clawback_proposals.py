"""What is proposed to be taken back of a paid reward, one row for each way in which its ground can fall away."""

from typing import Any

import pytest

from referral_rewards.domain.claims.rewards import Side, reckon
from referral_rewards.domain.clawbacks.proposals import conversion_of, due_back, earned, proposal
from referral_rewards.domain.clawbacks.states import TRANSITIONS, ClawbackState
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import OrderName
from tests.domain.dossiers import dossier, terms, told


def refund(amount: str | None = None, time: str = "2026-07-30", kind: str = "refund") -> Fact:
    return told("conversion.reversed", time, order="o1", kind=kind, **({"amount": amount} if amount else {}))


PERCENT = {"kind": "credit", "percent": "10"}
FLAT = {"kind": "credit", "amount": "25.00"}
BY_AMOUNT = {
    "kind": "credit",
    "tiers": [{"from_amount": "0", "amount": "5.00"}, {"from_amount": "70", "amount": "9.00"}],
}
CAPPED = {"kind": "credit", "percent": "10", "cap": "6.50"}


@pytest.mark.parametrize(
    ("rule", "reversals", "back_minor"),
    [
        pytest.param(PERCENT, [], 0, id="nothing was taken back"),
        pytest.param(PERCENT, [refund()], 800, id="all of it"),
        pytest.param(PERCENT, [refund("80.00")], 800, id="all of it, in words of money"),
        pytest.param(PERCENT, [refund("20.00")], 200, id="a quarter of a percentage"),
        pytest.param(PERCENT, [refund("20.00"), refund("5.00", "2026-07-31")], 250, id="two parts add up"),
        pytest.param(PERCENT, [refund("30.00")], 300, id="the minimum is just met"),
        pytest.param(PERCENT, [refund("30.01")], 800, id="the minimum is missed by a cent"),
        pytest.param(PERCENT, [refund("0.05")], 0, id="half a cent of the reward is rounded up"),
        pytest.param(FLAT, [refund("20.00")], 0, id="a flat amount was earned by what is left"),
        pytest.param(FLAT, [refund("30.01")], 2500, id="and is not where the minimum is missed"),
        pytest.param(FLAT, [refund()], 2500, id="nor where all was taken back"),
        pytest.param(BY_AMOUNT, [refund("20.00")], 400, id="a lower tier"),
        pytest.param(CAPPED, [refund("10.00")], 0, id="the cap cut more than was taken back"),
        pytest.param(CAPPED, [refund("20.00")], 50, id="the cap cut less"),
        pytest.param(PERCENT, [refund("20.00", "2026-08-02")], 0, id="what has not happened yet"),
    ],
)
def test_what_was_not_earned_after_all_is_due_back(
    rule: dict[str, Any], reversals: list[Fact], back_minor: int
) -> None:
    under = terms(rewards={"referrer": None, "referee": rule})
    (leg,) = reckon(dossier(under=under)).legs
    its = dossier(*reversals, under=under)
    left = earned(its, conversion_of(its, OrderName("o1")))
    assert left is not None
    assert due_back(left.get(Side.REFEREE, 0), leg.amount_minor) == back_minor


def test_who_got_less_than_was_promised_keeps_it_while_what_is_left_promises_as_much() -> None:
    assert due_back(600, 500) == 0
    assert due_back(400, 500) == 100


@pytest.mark.parametrize(("order", "under"), [("o2", terms()), (None, terms()), ("o1", terms(currency="EUR"))])
def test_what_nobody_recorded_or_in_another_currency_can_not_be_told(order: str | None, under: Any) -> None:
    its = dossier(refund("20.00"), under=under)
    assert earned(its, conversion_of(its, OrderName(order))) is None


@pytest.mark.parametrize(
    ("due", "paid", "taken", "covered", "waiting", "expected"),
    [
        (None, 800, 0, 0, 0, None),
        (200, 800, 0, 0, 0, 200),
        (400, 800, 0, 200, 200, 200),  # the first part was proposed and waits
        (400, 800, 200, 200, 0, 200),  # it was taken
        (400, 800, 500, 500, 0, 0),  # more than proposed was taken
        (800, 800, 500, 500, 0, 300),
        (800, 800, 0, 200, 0, 600),  # the first part was dismissed: it is not proposed again
        (800, 800, 0, 800, 800, 0),
        (800, 800, 800, 200, 0, 0),  # nothing is left, whatever was proposed
    ],
)
def test_nothing_is_proposed_twice_nor_more_than_is_left(
    due: int | None, paid: int, taken: int, covered: int, waiting: int, expected: int | None
) -> None:
    told_so = proposal(due, paid_minor=paid, taken_minor=taken, covered_minor=covered, open_minor=waiting)
    assert told_so == expected


@pytest.mark.parametrize(
    ("due", "paid", "taken", "proposed"),
    [(499_950, 900_000, 0, 499_900), (900_000, 900_000, 400_050, 499_900), (99, 900_000, 0, 0), (100, 100, 0, 100)],
)
def test_only_what_its_rail_can_write_is_proposed(due: int, paid: int, taken: int, proposed: int) -> None:
    told_so = proposal(due, paid_minor=paid, taken_minor=taken, covered_minor=0, step_minor=100)
    assert told_so == proposed


def test_no_reversal_goes_back_to_before_it_was_sent_and_every_state_has_its_ways() -> None:
    assert TRANSITIONS.keys() == set(ClawbackState)
    assert not any(ClawbackState.APPROVED in after or ClawbackState.REVERSING in after
                   for state, after in TRANSITIONS.items() if state is not ClawbackState.APPROVED)  # fmt: skip
