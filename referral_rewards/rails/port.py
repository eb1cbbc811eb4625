"""What every way to pay must be able to do."""

from typing import Protocol

from referral_rewards.domain.payouts import Answer, Paid, PaymentRequest, RailTerms


class Rail(Protocol):
    """A rail. Whatever happens on the way, it answers *paid*, *declined* or *unknown*; it never raises instead."""

    @property
    def terms(self) -> RailTerms:
        """What the rail promises."""
        ...

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        """Pays once for each key, however often it is called with it."""
        ...

    async def look_up(self, request: PaymentRequest, key: str) -> Paid | None:
        """The payment made under this key, or None if the rail knows of none."""
        ...
