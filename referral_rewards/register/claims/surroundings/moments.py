"""Up to when the records of others bear on a referral."""

from datetime import datetime

from referral_rewards.domain.claims.dossier import Dossier


def until(gathered: Dossier) -> datetime:
    """The referral's conversion, or now where there is none: judged again a month later, it is judged by the same."""
    return gathered.conversion.occurred_at if gathered.conversion else gathered.now
