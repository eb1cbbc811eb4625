"""The two sides of a referral."""

from enum import StrEnum


class Side(StrEnum):
    """Who is rewarded."""

    REFERRER = "referrer"
    REFEREE = "referee"
