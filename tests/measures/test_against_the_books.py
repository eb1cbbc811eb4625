"""The figures on money and time of a report against a recomputation from facts, signed decisions, books and histories,
without the measures: of lives with withheld tax, a refund, a return and a payout cycle."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from tests.audit.rare import ACME, lived
from tests.desk import Desk, desk_after
from tests.snapshots import Snapshots


@pytest.fixture
async def rare(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, lived) as desk:
        yield desk


async def _rows(desk: Desk, statement: str) -> list[Any]:
    async with desk.database.reading() as connection:
        return list((await connection.execute(text(statement))).all())


async def _posted(desk: Desk, kind: str, account: str) -> dict[str, int]:
    """What the entries of a kind post to accounts of a kind, by what they are about."""
    found = await _rows(
        desk,
        "SELECT split_part(t.key, ':', 2) AS about, sum(p.amount_minor) AS minor FROM ledger_transaction t"
        " JOIN posting p ON p.transaction_id = t.id"
        f" WHERE t.key LIKE '{kind}:%' AND p.account LIKE '{account}:%' GROUP BY 1",
    )
    return {row.about: int(row.minor) for row in found}


async def test_what_rewards_cost_is_what_the_books_say(rare: Desk) -> None:
    (cost,) = (await rare.get(f"/v1/reports/program/{ACME}")).json()["measures"]["reward_cost"]
    settled = await _posted(rare, "settled", "payable")
    returns = {str(row.id) for row in await _rows(rare, "SELECT id FROM payout WHERE returns IS NOT NULL")}
    recovered = -sum((await _posted(rare, "recovered", "recoverable")).values())
    (owed,) = await _rows(rare, "SELECT -sum(amount_minor) AS minor FROM posting WHERE account LIKE 'payable:%'")
    assert len(returns) == 1
    assert cost["settled_minor"] == sum(minor for about, minor in settled.items() if about not in returns)
    assert cost["taken_back_minor"] == recovered - sum(settled[each] for each in returns) == 300
    assert cost["payable_minor"] == owed.minor


async def test_revenue_and_refunds_are_those_of_the_orders(rare: Desk) -> None:
    told = (await rare.get(f"/v1/reports/program/{ACME}")).json()["measures"]
    bought = await _rows(rare, "SELECT data->>'order' AS id FROM fact WHERE type = 'conversion.recorded'")
    refunded = {
        row.id for row in await _rows(rare, "SELECT data->>'order' AS id FROM fact WHERE type LIKE '%reversed'")
    }
    unpaid = {"o-leaving"}  # one of its two rewards was not paid yet
    kept = {row.id for row in bought} - refunded
    assert (len(bought), len(refunded)) == (5, 1)
    (revenue,) = told["referred_revenue"]
    assert revenue["gross_minor"] == 8000 * len(bought)
    assert revenue["converted_minor"] == 8000 * len(kept)
    assert revenue["rewarded_minor"] == 8000 * len(kept - unpaid)
    assert (revenue["reversed_minor"], told["refund_rate"]) == (8000 * len(refunded), len(refunded) / len(bought))


async def test_times_are_those_of_facts_signatures_and_histories(rare: Desk) -> None:
    told = (await rare.get(f"/v1/reports/program/{ACME}")).json()["measures"]["payout_time"]
    bought = await _rows(rare, "SELECT data->>'order' AS id, occurred_at FROM fact WHERE type = 'conversion.recorded'")
    bought_at = {row.id.removeprefix("o-"): row.occurred_at for row in bought}
    signed = await _rows(rare, "SELECT referral_id, decided_at FROM decision WHERE kind = 'approve'")
    decided_at = {row.referral_id: row.decided_at for row in signed}
    settled = await _rows(
        rare,
        "SELECT l.referral_id, s.at FROM payout_step s JOIN payout_leg pl ON pl.payout_id = s.payout_id AND pl.live"
        " JOIN leg l ON l.id = pl.leg_id WHERE s.state = 'settled' AND s.act = 'moved'",
    )
    expected = {
        "conversion_to_settled": [row.at - bought_at[row.referral_id] for row in settled],
        "due_to_decided": [at - _due(bought_at[name]) for name, at in decided_at.items()],
        "decided_to_settled": [row.at - decided_at[row.referral_id] for row in settled],
    }
    for name, each in expected.items():
        assert told[name]["n"] == len(each), name
        assert told[name]["median_s"] == pytest.approx(median(each).total_seconds(), abs=0.001), name


def _due(bought_at: datetime) -> datetime:
    """The end of the return period: the same time on the program's clock, 14 days later."""
    local = bought_at.astimezone(ZoneInfo("America/Toronto"))
    return local + timedelta(days=14)


async def test_claims_and_flags_are_those_that_the_facts_ask_for(rare: Desk) -> None:
    told = (await rare.get(f"/v1/reports/program/{ACME}")).json()["measures"]
    sent = await _rows(rare, "SELECT data->>'referrer' AS by FROM fact WHERE type = 'referral.sent'")
    moved = await _rows(rare, "SELECT id FROM fact WHERE type = 'attribution.changed'")
    by_a_partner = sum(row.by == "gina" for row in sent)
    assert (told["claims_created"], told["claims_approved"]) == (len(sent), len(sent))
    assert told["exceptions"]["by_flag"] == {"attribution_changed": len(moved), "partner_exception": by_a_partner}
