"""What a referrer or referee is told of their own reward, and nothing about the other side's."""

from typing import Any

import pytest

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.reporting.referrals.own_status import own_status


def shown(**changed: Any) -> dict[str, Any]:
    """A referral that is rewarded on both sides, as it is shown to those who work here."""
    legs = [
        {"role": role, "state": "paid", "kind": "cash", "amount_minor": amount_minor, "currency": "USD"}
        for role, amount_minor in (("referrer", 2500), ("referee", 800))
    ]
    told = {"why": "The reward was paid.", "next": None, "appeal": None}
    whole = {"status": "rewarded", "told": told, "appeals": [], "legs": legs, "payouts": [], "clawbacks": []}
    return {**whole, "communication": [], **changed}


def case(role: str, *recoveries: tuple[str, int]) -> dict[str, Any]:
    return {"role": role, "clawbacks": [{"kind": kind, "recovered_minor": minor} for kind, minor in recoveries]}


@pytest.mark.parametrize(
    ("clawbacks", "state", "why"),
    [
        ([], "paid", "The reward was paid."),
        (
            [case("referrer", ("reverse", 1000))],
            "paid; 10.00 USD taken back, 15.00 USD remain yours",
            "The reward was paid. 10.00 USD of it was taken back.",
        ),
        (
            [case("referrer", ("reverse", 400), ("offset", 600)), case("referee", ("reverse", 800))],
            "paid; 10.00 USD taken back, 15.00 USD remain yours",
            "The reward was paid. 10.00 USD of it was taken back.",
        ),
        ([case("referee", ("reverse", 800))], "paid", "The reward was paid."),
        ([case("referrer", ("write_off", 0))], "paid", "The reward was paid."),
    ],
)
def test_of_what_was_taken_back_in_part_it_is_said_what_remains(
    clawbacks: list[dict[str, Any]], state: str, why: str
) -> None:
    own = own_status(shown(clawbacks=clawbacks), Side.REFERRER)
    assert [each["state"] for each in own["rewards"]] == [state]
    assert own["why"] == why


@pytest.mark.parametrize("state", PayoutState)
@pytest.mark.parametrize("rail", ["manual", "stripe_transfer"])
def test_where_a_payment_is_on_its_way_no_code_is_told(state: PayoutState, rail: str) -> None:
    legs = [{**leg, "state": "reserved"} for leg in shown()["legs"]]
    payouts = [{"role": "referrer", "state": state, "rail": rail}]
    (own,) = own_status(shown(legs=legs, payouts=payouts), Side.REFERRER)["rewards"]
    assert "_" not in own["state"]
    assert ("our bank" in own["state"]) == ((state, rail) == (PayoutState.ACCEPTED, "manual"))
    assert "review" not in own["state"]
