"""What a report may be asked for."""

from enum import StrEnum

from referral_rewards.domain import tax

#: The regimes that terms may name.
Regime = StrEnum("Regime", {name.upper(): name for name in (tax.NO_REGIME, *tax.THRESHOLDS)})  # type: ignore[misc]
