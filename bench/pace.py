"""The pace of the measured referrals: periods of seconds, long enough for many concurrent referrals to keep up."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """The lengths of the waits in seconds. ``pause`` lets all referrals come to rest between two acts."""

    expiry: float
    offer: float
    return_: float
    watch: float
    pause: float

    @classmethod
    def of(cls, referrals: int) -> "Pace":
        return cls(expiry=float(4 + referrals // 8), offer=600.0, return_=2.0, watch=2.0, pause=1.0 + referrals / 80)
