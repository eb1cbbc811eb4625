"""The rails that an installation can pay over today, by their names in the terms."""

from typing import Final

from referral_rewards.rails.account_credit import AccountCredit

CONNECTED: Final = frozenset({AccountCredit.terms.name})
