"""Where is my reward? Every status and every refusal has an answer that the person concerned can understand."""

from dataclasses import replace
from itertools import product

import pytest

from referral_rewards.domain.claims.approval import REASON_CODES, DecisionKind
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
    assert (code == "other") == ("when it is asked" in told.why)
    assert "fraud" not in told.why


def test_a_cap_is_told_with_its_numbers() -> None:
    told = explain(PLAIN).why
    assert "at most 20 rewards and 1000.00 USD within one year" in told


def test_a_deadline_is_told_in_the_programs_zone() -> None:
    told = explain(replace(PLAIN, status=S.EXPIRED, reason=R.INVITATION_NOT_CLAIMED)).why
    assert "1 July 2026, 10:00 (America/Toronto)" in told


def test_what_did_not_qualify_is_told_with_the_minimum_and_the_date() -> None:
    told = explain(replace(PLAIN, status=S.EXPIRED, reason=R.NO_CONVERSION)).why
    assert "purchase or subscription or account opened of at least 50.00 USD" in told
    assert "20 July 2026" in told
