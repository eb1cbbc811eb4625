"""The register itself as a source: it re-reads our own record, and says that this is all it did."""

from referral_rewards.domain.referrals.inquiries import REGISTER, register_answer, unavailable
from referral_rewards.sources.port import Told


class RegisterSource:
    """For programs whose source can't be asked: reversals reach us as facts, and the record already counts them."""

    async def order(self, order: str) -> Told:
        return Told(register_answer(order))

    async def customer(self, customer: str) -> Told:
        return Told(unavailable(REGISTER, "Our own record is no source of customers."))

    async def reachable(self) -> str | None:
        return None
