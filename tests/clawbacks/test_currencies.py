"""One reward in each currency that rails count in their own way, from the approval to what is kept from the next."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from activities.clawbacks import Clawbacks
from activities.inquiries import Inquiries
from activities.messages import ClawbackRequest, PayoutRequest
from activities.payouts import Payouts
from referral_rewards.domain import money
from referral_rewards.domain.payouts.rail_catalogue import step_minor
from referral_rewards.domain.payouts.states import payout_id
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.facts.intake import Intake
from referral_rewards.reporting.books import checking
from referral_rewards.sources.http import RegisterSource
from tests.desk import PEPPER, PROGRAM, Desk, days_ago, event, life_of
from tests.desk import desk as open_desk
from tests.rails.cases import OUTSIDE, Case
from tests.seeds import partly

#: What the referrer is promised: on a first order, and on one that reaches the upper tier; and the two orders' amounts.
_LOW, _HIGH, _SMALL, _LARGE = "5000", "9000", "60000", "90000"
_KINDS: Final = {"stripe_transfer": "cash", "stripe_balance": "credit"}
_ACCOUNTS: Final = {"stripe_transfer": "acct_dexter", "stripe_balance": "cus_dexter"}


@dataclass
class Abroad:
    """A desk of a program in one currency, whose rewards are paid over a provider's sandbox."""

    desk: Desk
    case: Case
    currency: str

    @property
    def rail(self) -> str:
        return self.case.rail.facts.name

    @property
    def step(self) -> int:
        return step_minor(self.rail, self.currency)

    def minor(self, amount: str) -> int:
        return money.to_minor(amount, self.currency)

    async def begun(self) -> None:
        """Terms, an account of the referrer's, and a form by which a third is withheld of whatever they are paid."""
        kind = _KINDS[self.rail]
        terms = PROGRAM.replace("currency: USD", f"currency: {self.currency}").replace("2025-01-01", "2025-01-02")
        low, high = (f'{{from_amount: "{at}", amount: "{pays}"}}' for at, pays in (("0", _LOW), (_LARGE, _HIGH)))
        tiers = f"kind: {kind}\n    tiers: [{low}, {high}]\n"
        terms = re.sub(r"kind: credit\n    tiers:.*?\n  referee:.*?\n", tiers, terms, flags=re.DOTALL)
        terms = re.sub(r"limits:.*?\nfraud:", "fraud:", terms, flags=re.DOTALL)
        terms = terms.replace('four_eyes_from: "500.00"', 'four_eyes_from: "1000000"').replace("50.00", "50")
        await self.desk.publish(re.sub(r"  rails: \{.*\}", f"  rails: {{{kind}: {self.rail}}}", terms))
        await self.desk.add_user("gail", Role.FINANCE, Role.PROGRAM_OWNER)
        method = {"payee": "dexter", "rail": self.rail, "reference": _ACCOUNTS[self.rail]}
        form = {"payee": "dexter", "form": "W-9", "withholding_percent": "33.33"}
        told = await self.desk.tell(
            [
                event("m", "payee.method_set", days_ago(200), method),
                event("f", "payee.tax_form_filed", days_ago(200), form),
            ]
        )
        assert told.status_code == 202, told.text

    async def approved(self, referral: str, amount: str) -> Any:
        """The payout of the referrer for an order of so much, planned."""
        life = life_of(referral)
        life[-1]["data"] |= {"amount": amount, "currency": self.currency}
        assert (await self.desk.tell(life)).status_code == 202
        assert await self.desk.judge(referral) == "awaiting_approval"
        decided = await self.desk.decide(referral, "approve", "gail")
        assert decided.status_code == 201, decided.text
        assert await self.desk.judge(referral) == "approved"
        return await self.payout(referral)

    async def payout(self, referral: str) -> Any:
        (row,) = await self.sql("SELECT * FROM payout WHERE id = :id", id=payout_id(referral, "referrer"))
        return row

    async def sent(self, referral: str) -> Any:
        asking = Inquiries(self.desk.database, Intake(PEPPER), {"register": RegisterSource()})
        doing = Payouts(self.desk.database.worker, self.desk.parts.keys, {self.rail: self.case.rail}, asking, _now)
        progress = await doing.send_payout(PayoutRequest(payout=str((await self.payout(referral)).id), now=_now()))
        assert progress.state == "settled", progress
        await self.desk.judge(referral)
        return await self.payout(referral)

    async def taken_back(self) -> str:
        (clawback,) = await self.sql("SELECT id FROM clawback WHERE kind = 'reverse'")
        doing = Clawbacks(self.desk.database.worker, self.desk.parts.keys, {self.rail: self.case.rail}, _now)
        return (await doing.reverse_clawback(ClawbackRequest(clawback=str(clawback.id), now=_now()))).state

    async def act(self, case: UUID, act: str, amount_minor: int) -> httpx.Response:
        path = f"/v1/clawbacks/{case}"
        digest = (await self.desk.get(path)).json()["digest"]
        asked = {"act": act, "reason": "refund", "note": "part", "digest": digest, "amount_minor": amount_minor}
        return await self.desk.api.post(f"{path}/decisions", json=asked, headers=self.desk.bearer("gail"))

    async def books(self) -> dict[str, int]:
        rows = await self.sql("SELECT account, sum(amount_minor) AS total FROM posting GROUP BY 1")
        return {row.account.partition(":")[0]: int(row.total) for row in rows if row.total}

    async def sql(self, statement: str, **given: Any) -> list[Any]:
        async with self.desk.database.transaction() as connection:
            return list((await connection.execute(text(statement), given)).all())


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def _abroad(rail: str, currency: str, database_url: str) -> AsyncIterator[Abroad]:
    async with open_desk(database_url) as desk, OUTSIDE[rail]() as case:
        abroad = Abroad(desk, case, currency)
        await abroad.begun()
        yield abroad
        async with desk.database.transaction() as connection:
            assert [each async for each in checking.problems(connection)] == []


@pytest.mark.parametrize("currency", partly(["JPY", "KWD", "ISK", "MGA", "HUF", "UGX"], suite=["JPY", "KWD", "ISK"]))
@pytest.mark.parametrize("rail", _KINDS)
@pytest.mark.suite_has(2)
async def test_what_was_paid_withheld_taken_back_and_kept_is_the_same_at_the_provider_and_in_the_books(
    rail: str, currency: str, database_url: str
) -> None:
    async with _abroad(rail, currency, database_url) as abroad:
        high, low, step = abroad.minor(_HIGH), abroad.minor(_LOW), abroad.step
        first = await abroad.approved("r1", _LARGE)
        assert first.amount_minor % step == 0
        assert abs(high * 6667 - first.amount_minor * 10000) <= step * 5000
        assert (await abroad.sent("r1")).amount_minor == first.amount_minor

        # A part of the order comes back, and what is left of it earns the lower tier.
        await abroad.desk.tell(
            [event("part", "conversion.reversed", days_ago(0), {"order": "o-r1", "kind": "refund", "amount": "10000"})]
        )
        await abroad.desk.judge("r1")
        (case,) = await abroad.sql("SELECT * FROM clawback_case")
        assert case.proposed_minor == high - low
        back = (high - low) // 3 // step * step
        if step > 1:
            fine = await abroad.act(case.id, "reverse_clawback", back + 1)
            assert (fine.status_code, fine.json()["rule"]) == (409, "too_fine")
            assert str(money.from_minor(back, currency)) in fine.json()["detail"]
        assert (await abroad.act(case.id, "reverse_clawback", back)).status_code == 201
        assert await abroad.taken_back() == "reversed"
        rest = high - low - back
        assert (await abroad.act(case.id, "offset_clawback", rest)).status_code == 201

        second = await abroad.approved("r2", _SMALL)
        assert second.amount_minor % step == 0
        withheld = low - rest - second.amount_minor
        assert abs(low * 3333 - withheld * 10000) <= step * 5000
        await abroad.sent("r2")
        assert {(amount, paid_in) for _, amount, paid_in, _ in abroad.case.paid()} == {
            (first.amount_minor, currency),
            (second.amount_minor, currency),
        }
        assert await abroad.books() == {
            "expense": low * 2,
            "withholding": -(high - first.amount_minor) - withheld,
            "clearing": back - first.amount_minor - second.amount_minor,
        }


async def test_what_is_proposed_can_be_taken_back_exactly(database_url: str) -> None:
    """Whatever was kept of the reward before, to half a forint."""
    async with _abroad("stripe_transfer", "HUF", database_url) as abroad:
        await abroad.approved("r1", _LARGE)
        await abroad.sent("r1")
        order = {"order": "o-r1", "kind": "refund"}
        await abroad.desk.tell([event("part", "conversion.reversed", days_ago(0), order | {"amount": "10000"})])
        await abroad.desk.judge("r1")
        (case,) = await abroad.sql("SELECT * FROM clawback_case")
        assert (await abroad.act(case.id, "offset_clawback", case.proposed_minor + 50)).status_code == 201
        await abroad.desk.tell([event("rest", "conversion.reversed", days_ago(0), order)])
        await abroad.desk.judge("r1")
        (case,) = await abroad.sql("SELECT * FROM clawback_case WHERE state = 'open'")
        assert case.proposed_minor == abroad.minor("4999")
        page = (await abroad.desk.get(f"/v1/clawbacks/{case.id}")).json()
        assert page["room_minor"] == case.proposed_minor + 50
        assert (await abroad.act(case.id, "reverse_clawback", case.proposed_minor)).status_code == 201
