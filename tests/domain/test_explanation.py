"""Where is my reward? Every status and every refusal has an answer that the person concerned can understand."""

from dataclasses import replace
from itertools import product

import pytest

from referral_rewards.domain.claims.approval import REASON_CODES, DecisionKind
from referral_rewards.domain.decisions.money_acts import REASONS, MoneyAct
from referral_rewards.domain.referrals.explanation import Situation, explain
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from tests.domain.build import acme, at

S, R = ReferralStatus, Reason

PLAIN = Situation(
    status=S.DENIED,
    reason=R.CAP_REACHED,
    terms=acme(timezone="America/Toronto"),
    began_at=at("2026-06-01"),
    claim_by=at("2026-07-01T14:00:00Z"),
    offer_ends=at("2026-07-20T14:00:00Z"),
    converted_at=at("2026-07-10T14:00:00Z"),
)


@pytest.mark.parametrize("status", S)
def test_every_status_is_told(status: ReferralStatus) -> None:
    told = explain(replace(PLAIN, status=status, reason=None))
    assert told.why.endswith(".")
    assert told.next is None or told.next.endswith(".")


@pytest.mark.parametrize(("status", "reason"), list(product((S.EXPIRED, S.DENIED), R)))
def test_every_refusal_says_why_and_how_to_appeal(status: ReferralStatus, reason: Reason) -> None:
    told = explain(replace(PLAIN, status=status, reason=reason))
    assert told.why.endswith(".")
    assert told.appeal
    assert "None" not in told.why
    assert "_" not in told.why.replace("America/New_York", "")


def test_no_two_refusals_are_told_alike() -> None:
    assert len({explain(replace(PLAIN, reason=reason)).why for reason in R}) == len(R)


@pytest.mark.parametrize("code", REASON_CODES[DecisionKind.DENY])
def test_every_reason_code_of_a_denial_is_told_in_words(code: str) -> None:
    told = explain(replace(PLAIN, reason=R.DENIED_BY_DECISION, decided_for=code, decided_at=at("2026-08-01")))
    assert "denied it: " in told.why
    assert (code == "other") == ("please ask the company" in told.why)
    assert "fraud" not in told.why


def test_a_cap_is_told_with_its_numbers() -> None:
    told = explain(PLAIN).why
    assert "at most 20 rewards and 1000.00 USD within 1 year" in told


def test_a_deadline_is_told_in_the_programs_zone() -> None:
    told = explain(replace(PLAIN, status=S.EXPIRED, reason=R.INVITATION_NOT_CLAIMED)).why
    assert "1 July 2026, 10:00 (America/Toronto)" in told


def test_what_did_not_qualify_is_told_with_the_minimum_and_the_date() -> None:
    told = explain(replace(PLAIN, status=S.EXPIRED, reason=R.NO_CONVERSION)).why
    assert "no qualifying purchase, subscription or account opening of at least 50.00 USD" in told
    assert "20 July 2026" in told


def test_what_was_paid_and_taken_back_is_told_with_its_days_and_why() -> None:
    paid = replace(PLAIN, status=S.REWARDED, reason=None, paid_at=at("2026-08-01T12:00:00Z"))
    assert explain(paid).why == "The reward was paid on 1 August 2026, 08:00 (America/Toronto)."
    back = replace(paid, status=S.CLAWED_BACK, taken_back_at=at("2026-09-01T12:00:00Z"), taken_back_for="refund")
    assert explain(back).why == (
        "The reward was paid on 1 August 2026, 08:00 (America/Toronto) and taken back on 1 September 2026, 08:00"
        " (America/Toronto), because the purchase was refunded."
    )
    assert explain(replace(back, taken_back_for=None)).why.endswith("because the purchase does not qualify any more.")


@pytest.mark.parametrize("code", REASONS[MoneyAct.REVERSE_CLAWBACK])
def test_every_reason_for_taking_a_reward_back_is_told_in_words(code: str) -> None:
    told = explain(replace(PLAIN, status=S.CLAWED_BACK, reason=None, taken_back_for=code)).why
    assert "because " in told
    assert "_" not in told
