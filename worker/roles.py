"""The roles of workers: which task queues each serves, and which providers' secrets it may hold."""

from collections.abc import Mapping
from typing import Final

from referral_rewards.config.rails import RailSettings
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.payouts.rail_catalogue import RAILS_OF
from referral_rewards.rails.access import Access

#: The role of a worker that calls one provider and holds no other's secrets, by the provider.
OF_PROVIDERS: Final[Mapping[str, str]] = {provider: f"payouts-{provider}" for provider in RAILS_OF}
ROLES: Final = ("referrals", "payouts", *OF_PROVIDERS.values(), "all")


def access_of(settings: RailSettings, role: str) -> Access:
    """Return the access to providers of a worker of this role: to all that are set, to one, or to none.

    Raises:
        BadInput: if the worker of one provider lacks its settings, or was given another's.
    """
    if role not in ("payouts", "all", *OF_PROVIDERS.values()):
        return Access()
    access = settings.access()
    for provider, its_role in OF_PROVIDERS.items():
        if role in ("payouts", "all"):
            break
        given, setting = getattr(access, provider), f"REFERRALS_RAIL_{provider.upper()}_…"
        if its_role == role and given is None:
            raise BadInput([Problem(setting, f"not set; a worker of the role {role} serves this provider alone")])
        if its_role != role and given is not None:
            raise BadInput([Problem(setting, f"set; a worker of the role {role} holds no other provider's secrets")])
    return access
