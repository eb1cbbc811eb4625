"""A referral on a desk whose two rewards were approved and paid, and the audit of these."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from activities.inquiries import Inquiries
from activities.messages import PayoutRequest
from activities.payouts import Payouts
from referral_rewards.audit.evidence import Span
from referral_rewards.audit.loading import Means, evidence
from referral_rewards.audit.parts import Examined, examine
from referral_rewards.rails.account_credit import AccountCredit
from referral_rewards.sources.http import RegisterSource
from tests.desk import Desk


async def settle(desk: Desk, name: str, *approvers: str, **claim: Any) -> None:
    """Lives a referral until both its rewards are paid, approved by these people (Paula alone if none is named)."""
    await desk.referral(name, **claim)
    await approve_and_pay(desk, name, *approvers)


async def approve_and_pay(desk: Desk, name: str, *approvers: str) -> None:
    """Has a referral that waits for a person approved and paid."""
    for user in approvers or ("paula",):
        answer = await desk.decide(name, "approve", as_=user)
        assert answer.status_code == 201, answer.text
    await desk.judge(name)
    await pay_all(desk)
    await desk.judge(name)


async def pay_all(desk: Desk) -> None:
    """Carries out every payout that was not sent."""
    asking = Inquiries(desk.database, desk.parts.intake, {"register": RegisterSource()})
    rails = {"account_credit": AccountCredit(desk.database, lambda: datetime.now(UTC))}
    doing = Payouts(desk.database.worker, desk.parts.keys, rails, asking, lambda: datetime.now(UTC))
    for row in await rows(desk, "SELECT id FROM payout WHERE first_sent_at IS NULL ORDER BY id"):
        await doing.send_payout(PayoutRequest(payout=str(row.id), now=datetime.now(UTC)))


async def rows(desk: Desk, statement: str, **asked: Any) -> list[Any]:
    """What somebody with the database's password does behind everybody's back, triggers and all."""
    async with desk.database.transaction() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        result = await connection.execute(text(statement), asked)
        return list(result.all()) if result.returns_rows else []


async def audited(desk: Desk, **span: Any) -> list[Examined]:
    """What the audit comes to of each paid reward of the program."""
    means = Means(desk.parts.keys.keys, desk.parts.intake.marker)
    async with desk.database.transaction() as connection:
        return [examine(each) async for each in evidence(connection, Span("acme-friends", **span), means)]
