"""Whatever differs from the script is named, and makes the demo fail."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from referral_rewards.local.demo.comparing import Difference, Found, differences, lasting
from referral_rewards.local.demo.output import Row, show
from referral_rewards.local.demo.script import Expectation, Script
from referral_rewards.local.demo.story import Outcome


def leg(role: str, amount_minor: int) -> dict[str, Any]:
    return {
        "role": role,
        "beneficiary": f"the {role}",
        "kind": "credit",
        "amount_minor": amount_minor,
        "currency": "USD",
    }


def payout(role: str, amount_minor: int, state: str = "settled") -> dict[str, Any]:
    return {"role": role, "state": state, "amount_minor": amount_minor, "currency": "USD"}


WHY = "Bought in time."
EXPECTED: dict[str, Any] = {
    "status": "awaiting_approval",
    "order": "o1",
    "net": "80.00",
    "legs": [["referrer", "credit", "25.00"], ["referee", "credit", "8.00"]],
    "flags": ["partial_refund", "consent_unclear"],
    "recommends": "review",
    "decision": "approve",
    "after": "rewarded",
    "exception": "clawback",
    "passes": ["invited", "awaiting_approval", "rewarded"],
    "why": WHY,
}
BEFORE: dict[str, Any] = {
    "status": "awaiting_approval",
    "reason": None,
    "conversion": {"order": "o1", "net_minor": 8000, "currency": "USD"},
    "claim": {
        "recommendation": "review",
        "flags": ["consent_unclear", "partial_refund"],
        "legs": [leg("referrer", 2500), leg("referee", 800)],
    },
    "payouts": [],
}
AFTER = {**BEFORE, "status": "rewarded", "payouts": [payout("referrer", 2500), payout("referee", 800)]}
FOUND = Found(
    before=BEFORE,
    after=AFTER,
    decided="approve",
    queued=("clawback",),
    history=("invited", "in_review", "awaiting_approval", "approved", "paying", "rewarded"),
)


def compared(found: Found = FOUND, **doctored: Any) -> list[Difference]:
    return differences(Expectation.model_validate({**EXPECTED, **doctored}), found, "USD")


def test_what_came_as_expected_has_no_difference() -> None:
    assert compared() == []


@pytest.mark.parametrize(
    ("doctored", "field", "expected", "found"),
    [
        ({"status": "on_hold"}, "status", "on_hold", "awaiting_approval"),
        ({"reason": "no_conversion"}, "reason", "no_conversion", "none"),
        ({"order": "o2"}, "order", "o2", "o1"),
        ({"order": None}, "order", "none", "o1"),
        ({"net": "80.01"}, "net", "80.01 USD", "80.00 USD"),
        ({"net": None}, "net", "none", "80.00 USD"),
        ({"flags": ["partial_refund"]}, "flags", "partial_refund", "consent_unclear, partial_refund"),
        ({"flags": []}, "flags", "none", "consent_unclear, partial_refund"),
        ({"recommends": "approve"}, "recommends", "approve", "review"),
        ({"decision": "deny"}, "decision", "deny", "approve"),
        ({"reason_after": "cap_reached"}, "reason after", "cap_reached", "none"),
        ({"exception": None}, "in the queue as", "none", "clawback"),
        (
            {"passes": ["invited", "rewarded"]},
            "passes",
            "invited, rewarded",
            "invited, awaiting_approval, rewarded",
        ),
    ],
)
def test_a_doctored_expectation_is_caught(doctored: dict[str, Any], field: str, expected: str, found: str) -> None:
    assert compared(**doctored) == [Difference(field, expected, found)]


@pytest.mark.parametrize(
    ("doctored", "fields"),
    [
        ({"after": "denied"}, ["after", "paid"]),
        ({"after": "on_hold"}, ["after", "paid", "in the queue as"]),
        ({"legs": [["referrer", "credit", "25.00"]]}, ["legs", "paid"]),
        ({"legs": [["referrer", "cash", "25.00"], ["referee", "credit", "8.00"]]}, ["legs"]),
        ({"legs": []}, ["legs", "paid"]),
        ({"currency": "EUR"}, ["net"]),  # a reward is in its program's currency, whatever the order is in
    ],
)
def test_what_follows_from_a_doctored_expectation_is_caught_too(doctored: dict[str, Any], fields: list[str]) -> None:
    assert [each.field for each in compared(**doctored)] == fields


@pytest.mark.parametrize(
    ("payouts", "told"),
    [
        ([], "none"),
        ([payout("referrer", 2500)], "referrer settled 25.00 USD"),
        ([payout("referrer", 2500, "refused"), payout("referee", 800)], "referrer refused 25.00 USD, referee settled"),
        (
            [payout("referrer", 2500), payout("referrer", 2500), payout("referee", 800)],
            "referrer settled 25.00 USD, ref",
        ),
    ],
    ids=["nothing", "one leg", "refused", "twice"],
)
def test_any_other_payment_is_caught(payouts: list[dict[str, Any]], told: str) -> None:
    (difference,) = compared(replace(FOUND, after={**AFTER, "payouts": payouts}))
    assert difference.field == "paid"
    assert difference.found.startswith(told)


def test_what_was_left_out_is_expected_to_be_absent_only_where_nothing_can_be_there() -> None:
    closed = replace(
        FOUND, before={**BEFORE, "status": "expired", "claim": None}, after={**BEFORE, "status": "expired"}
    )
    bare = Expectation.model_validate({"status": "expired", "decision": "approve", "after": "expired", "why": WHY})
    assert [each.field for each in differences(bare, closed, "USD")] == ["order", "in the queue as"]


def test_statuses_of_a_moment_are_passed_over() -> None:
    assert lasting(["invited", "invited", "in_review", "on_hold", "in_review", "on_hold", "paying"]) == [
        "invited",
        "on_hold",
    ]


ROW = Row("db1", Expectation.model_validate(EXPECTED), FOUND, ())


@pytest.mark.parametrize(
    ("rows", "problems", "code"),
    [
        ([ROW], [], 0),
        ([ROW, replace(ROW, differences=[Difference("status", "a", "b")])], [], 1),
        ([replace(ROW, found=None)], [], 1),
        ([ROW], ["ledger transaction x does not balance"], 1),
    ],
    ids=["as expected", "differs", "is missing", "the books are wrong"],
)
def test_any_difference_makes_the_demo_fail(rows: list[Row], problems: list[str], code: int) -> None:
    assert Outcome(rows, problems, "").exit_code == code


@pytest.mark.parametrize("terminal", [True, False])
def test_differing_rows_come_first_with_the_fields_that_differ(terminal: bool) -> None:
    written = io.StringIO()
    wrong = Row("db2", ROW.expected, FOUND, [Difference("net", "1.00 USD", "80.00 USD")])
    show(Console(file=written, force_terminal=terminal, width=200, color_system=None), [ROW, wrong])
    said = written.getvalue()
    assert said.index("db2") < said.index("db1")
    assert said.count(WHY) == 2
    assert "✗ db2: net: expected 1.00 USD, found 80.00 USD" in said


def test_who_decides_first_is_decided_on() -> None:
    everybody = Script.load().everybody
    for expected in everybody.values():
        assert expected.decided_after is None or everybody[expected.decided_after].decision != "none"
