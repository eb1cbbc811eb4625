"""Whatever happens to the order of a paid reward, in whatever order it is heard of: the same is proposed in the end."""

import random
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import pytest
from sqlalchemy import text

from referral_rewards.domain.programs.terms import Role
from tests.desk import Desk, days_ago, event

#: Its rewards are written as paid, without the lives that lead there.
pytestmark = pytest.mark.forges

_GROSS, _MINIMUM = Decimal(80), Decimal(50)
_HISTORIES: Final = 10


async def _paid(desk: Desk, referral: str) -> None:
    """A referral whose legs are paid, without a worker that pays them."""
    await desk.referral(referral)
    assert (await desk.decide(referral, "approve")).status_code == 201
    assert await desk.judge(referral) == "approved"
    async with desk.database.transaction() as connection:
        for statement in (
            "UPDATE payout SET state = 'settled', first_sent_at = now(), settled_at = now() WHERE referral_id = :id",
            "UPDATE leg SET state = 'paid' WHERE referral_id = :id",
            "UPDATE referral SET status = 'paying' WHERE id = :id",
        ):
            await connection.execute(text(statement), {"id": referral})
    assert await desk.judge(referral) == "rewarded"


def _history(rng: random.Random, referral: str) -> tuple[list[dict[str, Any]], Decimal, str | None]:
    """Facts of the last days, what is left of the order by them, and how a dispute of it stands."""
    order, left = f"o-{referral}", _GROSS
    facts = []
    for number in range(rng.randint(0, 3)):
        amount = rng.choice((Decimal("0.05"), Decimal(5), Decimal(10), Decimal("19.99"), Decimal(30)))
        left -= amount
        facts.append(("reversed", 9 - number, {"order": order, "kind": "refund", "amount": str(amount)}))
    dispute = rng.choice((None, "open", "won", "inquiry_closed", "lost", "reversed", "told twice"))
    if dispute is not None:
        facts.append(("dispute_opened", 6, {"order": order}))
    if dispute in ("won", "inquiry_closed", "lost", "told twice"):
        outcome = "lost" if dispute == "told twice" else dispute
        facts.append(("dispute_closed", 5, {"order": order, "outcome": outcome}))
    if dispute in ("reversed", "told twice"):
        facts.append(("reversed", 4, {"order": order, "kind": "chargeback_lost"}))
    if dispute in ("lost", "reversed", "told twice"):
        left = Decimal(0)
    told = [event(f"{referral}-{n}", f"conversion.{what}", days_ago(days), data)
            for n, (what, days, data) in enumerate(facts, start=10)]  # fmt: skip
    rng.shuffle(told)
    return told, max(left, Decimal(0)), dispute


async def test_in_whatever_order_it_is_heard_what_is_proposed_adds_up_to_what_was_not_earned(desk: Desk) -> None:
    rng = random.Random(1)
    await desk.add_user("frank", Role.FINANCE)
    for number in range(_HISTORIES):
        referral = f"r{number}"
        await _paid(desk, referral)
        told, left, dispute = _history(rng, referral)
        while told:
            some = rng.randint(1, len(told))
            assert (await desk.tell(told[:some])).status_code == 202
            told = told[some:]
            assert await desk.judge(referral) == "rewarded"
        counts = left >= _MINIMUM
        percent = int((left * 10).quantize(Decimal(1), ROUND_HALF_UP)) if counts else 0
        found = (await desk.get(f"/v1/clawbacks?referral={referral}", "frank")).json()["cases"]
        for role, earned in (("referee", percent), ("referrer", None if counts else 0)):
            its = [each for each in found if each["role"] == role]
            if not its:
                assert earned in (None, 800)
                continue
            due = 0 if earned is None else its[0]["paid_minor"] - earned
            assert sum(each["proposed_minor"] or 0 for each in its) == due, (referral, role, its)
            frozen = sum(each["state"] == "frozen" for each in its)
            assert frozen == (dispute == "open"), (referral, role, dispute, its)
            assert all(each["state"] in ("open", "frozen") or not each["proposed_minor"] for each in its)
