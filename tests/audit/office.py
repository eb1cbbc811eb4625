"""An office that takes random waves of facts in, judges, approves and pays them: what an audit has to find right."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from activities.inquiries import Inquiries
from activities.messages import PayoutRequest
from activities.payouts import Payouts
from models.session import Database
from referral_rewards.audit.evidence import Evidence, Span
from referral_rewards.audit.loading import Means, evidence
from referral_rewards.audit.parts import Examined, examine
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.inquiries import Answer, SourceAnswer
from referral_rewards.rails.account_credit import AccountCredit
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.people import users
from referral_rewards.sources.http import RegisterSource
from tests.population_of_claims import Wave
from tests.test_claims_against_the_oracle import PEPPER, Office


class Confirming(dict[str, SourceAnswer]):
    """The source that confirms every conversion: what a payment is verified by is asked again by the payment itself."""

    def setdefault(self, key: str, default: SourceAnswer | None = None) -> SourceAnswer:  # type: ignore[override]
        return super().setdefault(key, SourceAnswer(Answer.CONFIRMED, "Asked.", "register"))


@dataclass
class PayingOffice(Office):
    """It pays by account credit, with the activity that a worker runs."""

    answers: dict[str, SourceAnswer] = field(default_factory=Confirming)

    async def open(self) -> None:
        """Publishes the programs, and has the people who decide."""
        await self.publish()
        async with self.database.transaction() as connection:
            for name in ("olga", "peter"):
                roles = (Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER)
                await users.add(connection, name, roles=roles, scopes=(), marks=(), at=datetime.now(UTC))

    async def live(self, waves: Sequence[Wave]) -> None:
        """Lives through the waves, and pays whatever is approved in each."""
        for wave in waves:
            await self.take_in(wave)
            await self.stand_all()
            await self.judge_until_nothing_changes()
            await self.decide_some()
            await self.judge_until_nothing_changes()
            await self.pay_all()
            await self.judge_until_nothing_changes()

    async def pay_all(self) -> None:
        """Carries out every payout that is due, each with as many steps as it takes."""
        asking = Inquiries(self.database, Intake(PEPPER), {"register": RegisterSource()})
        rails = {"account_credit": AccountCredit(self.database, lambda: self.now)}
        doing = Payouts(self.database, self.judgement_keys, rails, asking, lambda: self.now)
        for payout in await self._unsent():
            await doing.send_payout(PayoutRequest(payout=payout, now=self.now))

    async def _unsent(self) -> list[str]:
        unsent = text("SELECT id FROM payout WHERE first_sent_at IS NULL ORDER BY id")
        async with self.database.transaction() as connection:
            return [str(each) for each in (await connection.execute(unsent)).scalars()]

    async def audited(self) -> list[Examined]:
        """What an audit comes to of every paid reward of every program."""
        return [examine(each) for each in await self.evidence()]

    async def evidence(self, **span: Any) -> list[Evidence]:
        """The evidence of the paid rewards."""
        means = Means(self.judgement_keys.keys, Intake(PEPPER).marker)
        async with self.database.transaction() as connection:
            return [
                each
                for program in sorted(self.terms)
                async for each in evidence(connection, Span(program, **span), means)
            ]


async def lived(database: Database, terms: dict[str, Any], waves: Sequence[Wave], seed: int) -> PayingOffice:
    """An office that lived through the waves."""
    office = PayingOffice(database, terms, random.Random(seed))
    await office.open()
    await office.live(waves)
    return office
