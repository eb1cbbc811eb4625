"""What a report may be asked for."""

from enum import StrEnum

from referral_rewards.domain.payees import tax_thresholds

#: The regimes that terms may name.
Regime = StrEnum("Regime", {name.upper(): name for name in (tax_thresholds.NO_REGIME, *tax_thresholds.THRESHOLDS)})  # type: ignore[misc]
