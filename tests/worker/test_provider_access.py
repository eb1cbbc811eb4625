"""A worker of one provider holds the secrets of that provider and of no other."""

from typing import Any

import pytest

from referral_rewards.config.rails import RailSettings
from referral_rewards.domain.errors import BadInput
from referral_rewards.domain.payouts.rail_catalogue import RAILS_OF
from worker.roles import ROLES, access_of

GIVEN: dict[str, dict[str, str]] = {
    "stripe": {"rail_stripe_key": "sk_test_1"},
    "paypal": {"rail_paypal_client_id": "a", "rail_paypal_secret": "b"},
    "tremendous": {
        "rail_tremendous_key": "TEST_1",
        "rail_tremendous_funding_source": "S1",
        "rail_tremendous_campaign": "C1",
    },
}


def settings(*providers: str) -> RailSettings:
    given: dict[str, Any] = {name: value for each in providers for name, value in GIVEN[each].items()}
    return RailSettings(**given)


def held(role: str, *providers: str) -> set[str]:
    access = access_of(settings(*providers), role)
    return {each for each in RAILS_OF if getattr(access, each) is not None}


def test_each_provider_has_a_role() -> None:
    assert set(ROLES) == {"all", "referrals", "payouts", *(f"payouts-{each}" for each in RAILS_OF)}
    assert set(GIVEN) == set(RAILS_OF)


@pytest.mark.parametrize("provider", GIVEN)
def test_it_takes_its_own_and_refuses_to_start_with_another_s_or_without(provider: str) -> None:
    role, others = f"payouts-{provider}", [each for each in GIVEN if each != provider]
    assert held(role, provider) == {provider}
    with pytest.raises(BadInput, match=f"REFERRALS_RAIL_{provider.upper()}_…: not set"):
        access_of(settings(), role)
    for other in others:
        with pytest.raises(BadInput, match=f"REFERRALS_RAIL_{other.upper()}_…: set"):
            access_of(settings(provider, other), role)


def test_one_worker_for_all_takes_what_is_set_and_one_for_referrals_nothing() -> None:
    assert held("all", *GIVEN) == held("payouts", *GIVEN) == set(GIVEN)
    assert held("payouts") == set()
    assert held("referrals", *GIVEN) == set()
