"""What a source of conversions must be able to do: say, when asked again, whether what it once said still holds."""

from typing import Protocol

from referral_rewards.domain.dossier import SourceAnswer
from referral_rewards.domain.periods import Conversion


class ConversionSource(Protocol):
    """Re-validates a conversion. A source that does not answer is *unavailable*; it never raises."""

    async def confirm(self, conversion: Conversion) -> SourceAnswer:
        """Whether the account is still open, the order not returned."""
        ...
