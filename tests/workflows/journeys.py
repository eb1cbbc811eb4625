"""Referrals lived day by day on the workflow's own clock, one for each way a referral can end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.closing import closing_digest
from tests.installation import Installation
from tests.workflows.scenes import quiet

_TERMS: Final = {"referrer": "dexter", "program": "acme-friends"}
#: Past a deadline, and past the hour that stragglers are given.
LITTLE: Final = 0.1


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@dataclass
class Journey:
    """A referral sent by email today; days are counted from then."""

    life: Installation
    referral: str
    began_at: datetime = field(default_factory=_now)
    day: float = 0

    @property
    def referee(self) -> dict[str, str]:
        return {"customer": f"c-{self.referral}", "email": f"{self.referral}@example.com"}

    async def sent(self) -> None:
        await self._tell("referral.sent", **_TERMS, channel="email", referral=self.referral, referee=self.referee)

    async def claimed(self, day: float) -> None:
        await self.until(day)
        await self._tell("referral.claimed", referral=self.referral, referee=self.referee, consent=True)

    async def withdrawn(self, day: float) -> None:
        await self.until(day)
        await self._tell("referral.withdrawn", referral=self.referral, by="referee", reason="changed my mind")

    async def bought(self, day: float, order: str = "o1", amount: str = "80.00") -> None:
        await self.until(day)
        money = {"amount": amount, "currency": "USD", "new_customer": True}
        await self._tell(
            "conversion.recorded", order=self._order(order), kind="purchase", customer=self.referee, **money
        )

    async def reversed(self, day: float, order: str = "o1", **amount: str) -> None:
        await self.until(day)
        await self._tell("conversion.reversed", order=self._order(order), kind="refund", **amount)

    async def until(self, day: float) -> None:
        """Lets the workflow's time go by until that day."""
        if day > self.day:
            await self.life.pass_time(self.referral, timedelta(days=day - self.day))
            self.day = day

    async def stands(self, *statuses: str) -> Any:
        """The row once the referral has come to one of these by itself."""
        return await self.life.settled(self.referral, among=frozenset(statuses))

    async def decide(self, kind: DecisionKind, user: str = "olga", *roles: Role) -> None:
        """Records a decision on the claim, or to reopen the closed referral, and lets the workflow hear of it."""
        digest = None
        if kind is DecisionKind.REOPEN:
            digest = closing_digest(await self.life.row(self.referral))
        await self.life.decide(self.referral, kind, user=user, roles=roles or [Role.PROGRAM_OWNER], digest=digest)
        await quiet(self.life, self.referral)

    def _order(self, order: str) -> str:
        return f"{order}-{self.referral}"

    async def _tell(self, type_: str, **data: Any) -> None:
        at = self.began_at + timedelta(days=self.day)
        await self.life.record(type_, at, data)
        await quiet(self.life, self.referral)


async def not_claimed(journey: Journey) -> None:
    await journey.sent()
    await journey.until(30 + LITTLE)
    await journey.stands("expired")


async def bought_but_not_claimed(journey: Journey) -> None:
    await journey.sent()
    await journey.bought(10)
    await journey.stands("purchased_unclaimed")
    await journey.until(40 + LITTLE)
    await journey.stands("expired")


async def not_bought(journey: Journey) -> None:
    await journey.sent()
    await journey.claimed(5)
    await journey.until(35 + LITTLE)
    await journey.stands("expired")


async def returned_after_the_offer(journey: Journey) -> None:
    """Denied at once: nothing else can qualify any more."""
    await journey.sent()
    await journey.claimed(1)
    await journey.bought(30)
    await journey.reversed(40)
    await journey.stands("denied")


async def returned_within_the_offer(journey: Journey) -> None:
    """The referral waits for another purchase until the offer ends."""
    await journey.sent()
    await journey.claimed(1)
    await journey.bought(2)
    await journey.reversed(5)
    await journey.stands("claimed")
    await journey.until(31 + LITTLE)
    await journey.stands("denied")


async def withdrawn(journey: Journey) -> None:
    await journey.sent()
    await journey.claimed(1)
    await journey.withdrawn(2)
    await journey.stands("withdrawn")


async def in_review(journey: Journey) -> None:
    """Sent, claimed on day 1, bought on day 2, and before its approver when the return period is over."""
    await journey.sent()
    await journey.claimed(1)
    await journey.bought(2)
    await journey.until(16 + LITTLE)
    await journey.stands("awaiting_approval")


async def rewarded(journey: Journey) -> None:
    await in_review(journey)
    await journey.decide(DecisionKind.APPROVE)
    await journey.stands("rewarded")
    await journey.until(16 + 60 + 2 * LITTLE)
    await journey.life.handle(journey.referral).result()


async def rewarded_for_the_next(journey: Journey) -> None:
    """The purchase that was in review is returned: the next one has a return period of its own."""
    await journey.sent()
    await journey.claimed(1)
    await journey.bought(2)
    await journey.bought(10, "o2")
    await journey.until(16 + LITTLE)
    await journey.stands("awaiting_approval")
    await journey.reversed(17)
    await journey.stands("in_return_period")
    await journey.until(24 + LITTLE)
    await journey.stands("awaiting_approval")
    await journey.decide(DecisionKind.APPROVE)
    await journey.stands("rewarded")


async def held_and_released(journey: Journey) -> None:
    await in_review(journey)
    await journey.decide(DecisionKind.HOLD)
    await journey.stands("on_hold")
    await journey.decide(DecisionKind.APPROVE)
    await journey.stands("on_hold")
    await journey.decide(DecisionKind.RELEASE)
    await journey.stands("rewarded")


async def denied_by_decision(journey: Journey) -> None:
    await in_review(journey)
    await journey.decide(DecisionKind.DENY)
    await journey.stands("denied")


async def reopened_and_paid(journey: Journey) -> None:
    """To approve what was denied is an override: finance and operations, two people."""
    await denied_by_decision(journey)
    await journey.decide(DecisionKind.REOPEN)
    await journey.stands("awaiting_approval")
    await journey.decide(DecisionKind.APPROVE, "olga", Role.PROGRAM_OWNER, Role.FINANCE, Role.OPERATIONS)
    await journey.stands("awaiting_approval")
    await journey.life.user("otto")
    await journey.decide(DecisionKind.APPROVE, "otto", Role.OPERATIONS)
    await journey.stands("rewarded")


async def refunded_in_the_watch(journey: Journey) -> None:
    await in_review(journey)
    await journey.decide(DecisionKind.APPROVE)
    await journey.stands("rewarded")
    await journey.reversed(30)
    await journey.stands("rewarded")
    await journey.until(16 + 60 + 2 * LITTLE)
    await journey.life.handle(journey.referral).result()


async def told_after_the_closing(journey: Journey) -> None:
    """A claim made in time and told too late."""
    await not_claimed(journey)
    journey.day = 20
    await journey.claimed(20)
    await journey.stands("expired")


#: Each way with where it ends: status, reason, order, facts that came late.
ENDS: Final[dict[Callable[[Journey], Awaitable[None]], tuple[str, str | None, str | None, int]]] = {
    not_claimed: ("expired", "invitation_not_claimed", None, 0),
    bought_but_not_claimed: ("expired", "grace_period_ended", None, 0),
    not_bought: ("expired", "no_conversion", None, 0),
    returned_after_the_offer: ("denied", "conversion_reversed", None, 0),
    returned_within_the_offer: ("denied", "conversion_reversed", None, 0),
    withdrawn: ("withdrawn", None, None, 0),
    rewarded: ("rewarded", None, "o1", 0),
    rewarded_for_the_next: ("rewarded", None, "o2", 0),
    held_and_released: ("rewarded", None, "o1", 0),
    denied_by_decision: ("denied", "denied_by_decision", "o1", 0),
    reopened_and_paid: ("rewarded", None, "o1", 0),
    refunded_in_the_watch: ("rewarded", None, "o1", 0),
    told_after_the_closing: ("expired", "invitation_not_claimed", None, 1),
}
