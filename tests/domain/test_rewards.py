"""Amounts: flat, percent, tiers, partners and limits, line by line, never above a cap and never negative."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_rewards.domain.claims.dossier import Usage
from referral_rewards.domain.claims.findings import InputMissing
from referral_rewards.domain.claims.rewards import Reckoning, Room, Side, reckon
from tests.domain.build import at, bought, claimed, reversed_, sent
from tests.domain.dossiers import BOUGHT, CLAIMED, ENROLLED, SENT, dossier, terms, told

CREDIT = {"kind": "credit"}
GOLD = {"partner": "gold-7", "percent": "15", "cap": "300.00", "valid_from": "2026-07-10", "valid_until": "2026-08-01"}


def amounts(found: Reckoning) -> dict[str, int]:
    return {leg.role: leg.amount_minor for leg in found.legs}


def order(amount: str | None, time: str = "2026-07-10", **more: Any) -> Any:
    return bought(time, amount=amount, kind="purchase" if amount else "account_opened", **more)


def told_partner(time: str, partner: str | None) -> Any:
    data = {"referrer": "dexter", "program": "acme-friends", "customer": "c-dexter"}
    return told("referrer.enrolled", time, **data, **({"partner": partner} if partner else {}))


@pytest.mark.parametrize(
    ("rule", "amount", "expected"),
    [
        ({"amount": "25.00"}, "80.00", 2500),
        ({"amount": "25.00"}, None, 2500),
        ({"percent": "10"}, "80.00", 800),
        ({"percent": "10"}, None, None),
        ({"percent": "10"}, "80.04", 800),
        ({"percent": "10"}, "80.05", 801),
        ({"percent": "0.001"}, "80.00", None),
        ({"percent": "10", "cap": "8.00"}, "80.00", 800),
        ({"percent": "10", "cap": "7.99"}, "80.00", 799),
        ({"percent": "10", "cap": "40.00"}, "400.05", 4000),
    ],
)
def test_leg_is_flat_or_a_percent_of_the_net_amount_then_capped(
    rule: dict[str, str], amount: str | None, expected: int | None
) -> None:
    under = terms(rewards={"referrer": {**CREDIT, **rule}, "referee": None})
    found = reckon(dossier(order(amount), without=[BOUGHT], under=under))
    assert amounts(found) == ({} if expected is None else {"referrer": expected})


def test_percent_is_of_what_reversals_left() -> None:
    found = reckon(dossier(reversed_("2026-07-12", amount="20.00")))
    assert amounts(found) == {"referrer": 2500, "referee": 600}


@pytest.mark.parametrize(("rewarded", "expected"), [(0, 2500), (4, 2500), (5, 4000), (6, 4000)])
def test_tier_is_chosen_by_the_rewards_approved_so_far(rewarded: int, expected: int) -> None:
    tiers = [{"from_rewarded": 0, "amount": "25.00"}, {"from_rewarded": 5, "amount": "40.00"}]
    under = terms(rewards={"referrer": {**CREDIT, "tiers": tiers}})
    assert amounts(reckon(dossier(under=under, approved_rewards=rewarded)))["referrer"] == expected


@pytest.mark.parametrize(
    ("amount", "expected"), [("50.00", 500), ("99.99", 1000), ("100.00", 2000), ("100.01", 2000), (None, 500)]
)
def test_tier_is_chosen_by_the_amount(amount: str | None, expected: int) -> None:
    tiers = [
        {"from_amount": "0.00", "amount": "5.00"},
        {"from_amount": "99.99", "percent": "10"},
        {"from_amount": "100.00", "amount": "20.00"},
    ]
    under = terms(rewards={"referrer": {**CREDIT, "tiers": tiers}})
    found = reckon(dossier(order(amount), without=[BOUGHT], under=under))
    assert amounts(found)["referrer"] == expected


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-07-10T03:59:59.999999", 2500),  # still the 9th in Toronto
        ("2026-07-10T04:00:00", 1200),
        ("2026-08-01T03:59:59.999999", 1200),
        ("2026-08-01T04:00:00", 2500),  # the last date is exclusive
    ],
)
def test_partner_s_rate_is_valid_by_the_days_of_the_program_s_zone(time: str, expected: int) -> None:
    under = terms(partners=[GOLD], periods={"offer": "P90D"})
    joined = told_partner("2026-01-05", "gold-7")
    case = dossier(joined, order("80.00", time), without=[ENROLLED, BOUGHT], under=under, now=at("2026-09-01"))
    assert amounts(reckon(case))["referrer"] == expected


@pytest.mark.parametrize(
    ("enrolments", "partner"),
    [
        ([("2026-01-05", "gold-7")], "gold-7"),
        ([("2026-01-05", "tin-1")], None),
        ([("2026-01-05", None)], None),
        ([("2026-01-05", "gold-7"), ("2026-02-05", None)], None),
        ([("2026-01-05", None), ("2026-07-10", "gold-7")], "gold-7"),
        ([("2026-01-05", None), ("2026-07-11", "gold-7")], None),
    ],
)
def test_partner_is_the_one_named_by_the_enrolment_at_the_conversion(
    enrolments: list[tuple[str, str | None]], partner: str | None
) -> None:
    joined = [told_partner(*each) for each in enrolments]
    assert reckon(dossier(*joined, without=[ENROLLED], under=terms(partners=[GOLD]))).partner == partner


def test_partner_s_rate_has_its_own_cap_and_leaves_the_referee_alone() -> None:
    joined = told_partner("2026-01-05", "gold-7")
    case = dossier(joined, order("9000.00"), without=[ENROLLED, BOUGHT], under=terms(partners=[GOLD]))
    assert amounts(reckon(case)) == {"referrer": 30_000, "referee": 4000}


@pytest.mark.parametrize(("cap", "expected"), [("8.01", (801, 800)), ("8.00", (800, 800)), ("7.99", (799, 799))])
def test_no_leg_is_above_the_cap_per_reward_which_is_no_reason_to_look(cap: str, expected: tuple[int, int]) -> None:
    found = reckon(dossier(under=terms(limits={"per_reward": cap})))
    assert tuple(amounts(found).values()) == expected
    assert found.cap is found.budget is Room.ALL


PER_YEAR = {"rewards": 3, "amount": "100.00", "period": "P1Y"}


@pytest.mark.parametrize(
    ("usage", "referrer", "room"),
    [
        (Usage(rewards=2, amount_minor=7500), 2500, Room.ALL),
        (Usage(rewards=2, amount_minor=7501), 2499, Room.PART),
        (Usage(rewards=2, amount_minor=9999), 1, Room.PART),
        (Usage(rewards=2, amount_minor=10_000), None, Room.PART),  # the referee's leg is left
        (Usage(rewards=2, amount_minor=10_001), None, Room.PART),
        (Usage(rewards=3, amount_minor=0), None, Room.PART),
    ],
)
def test_referrer_s_cap_cuts_the_referrer_s_leg_alone(usage: Usage, referrer: int | None, room: Room) -> None:
    found = reckon(dossier(under=terms(limits={"per_referrer": PER_YEAR}), usage=usage))
    assert amounts(found).get("referrer") == referrer
    assert amounts(found)["referee"] == 800
    assert (found.cap, found.budget) == (room, Room.ALL)


def test_cap_that_leaves_no_leg_at_all_leaves_nothing() -> None:
    under = terms(limits={"per_referrer": PER_YEAR}, rewards={"referee": None})
    found = reckon(dossier(under=under, usage=Usage(rewards=3)))
    assert (found.legs, found.cap) == ((), Room.NONE)


@pytest.mark.parametrize(
    ("used", "expected", "room"),
    [
        (6700, {"referrer": 2500, "referee": 800}, Room.ALL),
        (6701, {"referrer": 2500, "referee": 799}, Room.PART),
        (7500, {"referrer": 2500}, Room.PART),
        (7501, {"referrer": 2499}, Room.PART),
        (9999, {"referrer": 1}, Room.PART),
        (10_000, {}, Room.NONE),
        (10_001, {}, Room.NONE),
    ],
)
def test_budget_cuts_the_referee_s_leg_before_the_referrer_s(used: int, expected: dict[str, int], room: Room) -> None:
    found = reckon(dossier(under=terms(limits={"budget": "100.00"}), usage=Usage(budget_minor=used)))
    assert (amounts(found), found.budget) == (expected, room)


FLAT = {"kind": "credit", "amount": "25.00"}
PERCENT = {"kind": "credit", "percent": "10", "cap": "40.00"}
BY_AMOUNT = {"kind": "credit", "tiers": [{"from_amount": "0", "amount": "5.00"}]}
BY_COUNT = {"kind": "credit", "tiers": [{"from_rewarded": 0, "amount": "5.00"}]}


@pytest.mark.parametrize(
    ("rule", "calculated", "most"),
    [(FLAT, 2500, None), (PERCENT, 0, 4000), (BY_AMOUNT, 0, None), (BY_COUNT, 500, None)],
    ids=["flat", "percent", "tier by amount", "tier by count"],
)
def test_in_another_currency_flat_amounts_stay_and_what_hangs_on_the_order_s_amount_is_left_out(
    rule: dict[str, Any], calculated: int, most: int | None
) -> None:
    under = terms(rewards={"referrer": FLAT, "referee": rule})
    found = reckon(dossier(bought("2026-07-10", currency="CAD"), without=[BOUGHT], under=under))
    assert amounts(found) == {"referrer": 2500, **({"referee": calculated} if calculated else {})}
    promise = found.promises[1]
    assert (promise.role, promise.calculated_minor, promise.most_minor) == ("referee", calculated, most)


def test_unknown_usage_is_not_guessed() -> None:
    with pytest.raises(InputMissing):
        reckon(dossier(under=terms(limits={"budget": "100.00"}), usage=None))
    assert reckon(dossier(usage=None)).legs


def test_yen_has_no_minor_unit() -> None:
    under = terms(
        currency="JPY",
        qualifying={"minimum": "50"},
        rewards={"referrer": {**CREDIT, "amount": "2500"}, "referee": {**CREDIT, "percent": "10", "cap": None}},
        approval={"four_eyes_from": "500"},
    )
    found = reckon(dossier(bought("2026-07-10", amount="8005", currency="JPY"), without=[BOUGHT], under=under))
    assert amounts(found) == {"referrer": 2500, "referee": 801}


@pytest.mark.parametrize(
    ("limits", "usage", "expected", "room"),
    [
        ({"budget": "1500.50"}, Usage(budget_minor=100_00), {"referrer": 1000_00}, Room.ALL),
        ({"budget": "1500.50"}, Usage(budget_minor=1000_00), {"referrer": 500_00}, Room.PART),
        ({"budget": "1500.50"}, Usage(budget_minor=1500_00), {}, Room.NONE),
        ({"per_reward": "999.99"}, Usage(), {"referrer": 999_00}, Room.ALL),
    ],
)
def test_limits_leave_no_forints_that_reach_no_bank_account(
    limits: dict[str, str], usage: Usage, expected: dict[str, int], room: Room
) -> None:
    """Stripe pays them out whole: a leg of 500.50 would be approved, and refused for ever."""
    under = terms(
        currency="HUF",
        rewards={"referrer": {"kind": "cash", "amount": "1000.00"}, "referee": None},
        payouts={"rails": {"cash": "stripe_transfer"}},
        limits=limits,
    )
    found = reckon(dossier(bought("2026-07-10", currency="HUF"), without=[BOUGHT], under=under, usage=usage))
    assert (amounts(found), found.budget) == (expected, room)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([("2026-06-20", "c-one")], "c-one"),
        ([("2026-06-20", "c-one"), ("2026-06-21", "c-two")], "c-one"),
        ([("2026-06-20", None), ("2026-06-21", "c-two")], "c-two"),
        ([("2026-06-20", None)], "c-sent"),
    ],
)
def test_referee_is_paid_by_the_customer_id_of_the_earliest_claim(
    claims: list[tuple[str, str | None]], expected: str
) -> None:
    email = {"email": "brie@example.com"}
    said = [claimed(day, referee={**email, **({"customer": id_} if id_ else {})}) for day, id_ in claims]
    invited = sent("2026-06-01", referee={**email, "customer": "c-sent"})
    found = reckon(dossier(invited, *said, without=[SENT, CLAIMED]))
    assert {leg.role: leg.beneficiary for leg in found.legs} == {"referrer": "dexter", "referee": expected}


def test_customer_id_of_the_order_pays_a_referee_whom_nobody_else_names() -> None:
    said = claimed("2026-06-20", referee={"email": "brie@example.com"})
    assert reckon(dossier(said, without=[CLAIMED])).legs[1].beneficiary == "c-brie"
    nameless = bought("2026-07-10", customer={"email": "brie@example.com"})
    assert reckon(dossier(said, nameless, without=[CLAIMED, BOUGHT])).legs[1].beneficiary is None


CASH = terms(rewards={"referrer": {"kind": "cash", "amount": "25.00"}})
METHOD = {"payee": "dexter", "rail": "stripe_transfer"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], None),
        ([("set", "acct_1")], "acct_1"),
        ([("set", "acct_1"), ("set", "acct_2")], "acct_2"),
        ([("set", "acct_1"), ("removed", None)], None),
        ([("removed", None), ("set", "acct_2")], "acct_2"),
    ],
)
def test_destination_is_the_method_set_last(said: list[tuple[str, str | None]], expected: str | None) -> None:
    facts = [
        told(f"payee.method_{what}", f"2026-07-{11 + day}", **METHOD, **({"reference": ref} if ref else {}))
        for day, (what, ref) in enumerate(said)
    ]
    assert reckon(dossier(*facts, under=CASH)).legs[0].destination == expected


def test_destination_that_looks_personal_is_named_by_its_fact() -> None:
    method = told("payee.method_set", "2026-07-11", **METHOD, reference="dexter@example.com")
    assert reckon(dossier(method, under=CASH)).legs[0].destination == f"method:{method.id}"


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    net_minor=st.integers(5000, 10**9),
    percent=st.decimals("0.01", "100", places=2),
    cap_minor=st.none() | st.integers(1, 10**6),
    per_reward=st.none() | st.integers(1, 10**6),
    own_cap=st.integers(1, 10**6),
    budget=st.integers(1, 10**6),
    usage=st.builds(Usage, st.integers(0, 4), st.integers(0, 10**6), st.integers(0, 10**6)),
)
def test_lines_add_up_to_the_legs_and_no_limit_is_passed(
    net_minor: int, percent: Decimal, cap_minor: int | None, per_reward: int | None, own_cap: int, budget: int,
    usage: Usage,
) -> None:  # fmt: skip
    def spelled(minor: int) -> str:
        return str(Decimal(minor).scaleb(-2))

    rule = {**CREDIT, "percent": str(percent), "cap": spelled(cap_minor) if cap_minor else None}
    limits = {
        "per_referrer": {"rewards": 4, "amount": spelled(own_cap), "period": "P1Y"},
        "per_reward": spelled(per_reward) if per_reward else None,
        "budget": spelled(budget),
    }
    under = terms(rewards={"referrer": rule, "referee": rule}, limits=limits)
    base = dossier()
    assert base.course.conversion is not None
    q = replace(base.course.conversion, gross_minor=net_minor, net_minor=net_minor)
    found = reckon(replace(base, terms=under, usage=usage, course=replace(base.course, conversion=q)))

    paid = {side: sum(leg.amount_minor for leg in found.legs if leg.role is side) for side in Side}
    assert paid == {side: sum(line.amount_minor for line in found.lines if line.role is side) for side in Side}
    assert all(leg.amount_minor > 0 for leg in found.legs)
    assert max(paid.values()) <= min(cap_minor or 10**12, per_reward or 10**12)
    assert paid[Side.REFERRER] <= (0 if usage.rewards >= 4 else max(own_cap - usage.amount_minor, 0))
    assert sum(paid.values()) <= max(budget - usage.budget_minor, 0)
