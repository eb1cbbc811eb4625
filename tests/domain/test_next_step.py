"""How a judgement goes on: every status, with and without a claim on the newest facts."""

from datetime import UTC, datetime

import pytest

from referral_rewards.domain.referrals.course import Course, Step, next_step
from referral_rewards.domain.referrals.lifecycle import PAID, ReferralStatus

_S = ReferralStatus
#: Every status that time alone gives a referral, and every status that it may have had before.
BY_TIME = (_S.INVITED, _S.PURCHASED_UNCLAIMED, _S.CLAIMED, _S.IN_RETURN_PERIOD, _S.EXPIRED, _S.DENIED, _S.WITHDRAWN)
BEFORE = (None, *_S)


def course(status: ReferralStatus) -> Course:
    return Course(status=status, began_at=datetime(2026, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize("before", sorted(PAID))
@pytest.mark.parametrize("status", [*BY_TIME, _S.IN_REVIEW])
@pytest.mark.parametrize("claim_current", [False, True])
def test_once_money_was_sent_neither_time_nor_a_claim_decides(
    before: ReferralStatus, status: ReferralStatus, claim_current: bool
) -> None:
    found = next_step(course(status), before, claim_current=claim_current, took_effect=True)
    assert found is Step.AFTER_PAYMENT


@pytest.mark.parametrize("before", [each for each in BEFORE if each not in PAID])
@pytest.mark.parametrize("status", BY_TIME)
@pytest.mark.parametrize("claim_current", [False, True])
def test_before_its_review_the_periods_decide_whatever_claim_it_had(
    before: ReferralStatus | None, status: ReferralStatus, claim_current: bool
) -> None:
    found = next_step(course(status), before, claim_current=claim_current, took_effect=False)
    assert found is Step.BY_THE_PERIODS


@pytest.mark.parametrize("before", [each for each in BEFORE if each not in PAID])
@pytest.mark.parametrize(
    ("claim_current", "took_effect", "step"),
    [
        (False, False, Step.ASSEMBLE),
        (False, True, Step.ASSEMBLE),
        (True, True, Step.ASSEMBLE_ANEW),
        (True, False, Step.BY_DECISION),
    ],
)
def test_in_review_people_decide_only_on_a_claim_of_all_facts(
    before: ReferralStatus | None, claim_current: bool, took_effect: bool, step: Step
) -> None:
    found = next_step(course(_S.IN_REVIEW), before, claim_current=claim_current, took_effect=took_effect)
    assert found is step
