"""What a person reads of rewards that wait for a payment method: one row for each thing that may be missing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from referral_rewards.domain.decisions.redirect_advice import instead, to_do
from referral_rewards.domain.decisions.redirects import PayeeSubject, WaitingLeg
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payees.methods import Methods
from referral_rewards.domain.payouts.states import PayoutState

NOW = datetime(2026, 7, 10, 12, tzinfo=UTC)
RAIL = "stripe_transfer"


def named(*references: str) -> Methods:
    facts = []
    for number, reference in enumerate(references):
        at = NOW - timedelta(days=10 - number)
        data = {"payee": "mira", "rail": RAIL, "reference": reference}
        facts.append(Fact(UUID(int=number), "shop", f"m{number}", FactType.METHOD_SET, at, at, data))
    return Methods(tuple(facts))


FIRST = PayeeSubject("mira", RAIL, NOW, named("acct_1"), legs=(WaitingLeg(UUID(int=9), "r1", 2500, "USD"),))
OTHER = replace(FIRST, methods=named("acct_1", "acct_2"), told_at=NOW - timedelta(hours=24))


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (FIRST, "Check the payment method with the payee, then redirect what waits to it."),
        (OTHER, "Check the payment method with the payee. Then two people of finance redirect what waits to it."),
        (replace(OTHER, told_at=NOW - timedelta(hours=23)), "may object until 2026-07-10 13:00Z"),
        (replace(OTHER, told_at=None), "has not been told of the change"),
        (replace(FIRST, methods=Methods(())), "Nobody can redirect it"),
        (replace(FIRST, methods=named("no-account")), "Ask the payee for another payment method"),
        (replace(FIRST, in_the_way=(PayoutState.UNKNOWN,)), "A payment to them is outcome unknown"),
    ],
)
def test_it_says_what_is_missing(subject: PayeeSubject, said: str) -> None:
    assert said in to_do(subject)


@pytest.mark.parametrize(
    ("subject", "state", "said"),
    [
        (OTHER, PayoutState.REFUSED, "redirect what waits to it. If nothing is owed any more, cancel it."),
        (OTHER, PayoutState.RETURNED, "redirect what waits to it. If nothing is owed any more, cancel it."),
        (OTHER, PayoutState.APPROVED, "Then two people of finance redirect what waits to it."),
        (replace(FIRST, methods=Methods(())), PayoutState.REFUSED, "they must name one. If nothing is owed any more"),
    ],
)
def test_of_a_payout_it_says_what_leads_on(subject: PayeeSubject, state: PayoutState, said: str) -> None:
    assert said in instead(subject, state)
    assert ("cancel it" in instead(subject, state)) is (state is not PayoutState.APPROVED)


def test_of_a_payout_it_says_that_a_retry_does_not_pay_to_the_new_account() -> None:
    said = "The payee has named another payment method since, and a retry does not pay to it"
    assert instead(OTHER, PayoutState.REFUSED).startswith(said)
