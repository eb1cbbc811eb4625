"""The audit log for people: money events beside what people did, found by person, kind and day."""

import csv
import io
from html import unescape
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.domain.labels.vocabularies import VOCABULARIES
from referral_rewards.domain.payouts.states import payout_id
from referral_rewards.register import audit
from referral_rewards.reporting.lists.audit import KINDS
from tests import money
from tests.desk import Desk, days_ago

_PAID = str(payout_id("r1", "referrer"))


@pytest.fixture
async def kept(desk: Desk) -> Desk:
    """A desk at which a referral was approved, and paid in part."""
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    await money.stand(desk, "r1")
    return desk


async def events(desk: Desk, limit: int = 100, **asked: Any) -> list[dict[str, Any]]:
    """All entries, page by page."""
    found, after = [], None
    while True:
        given = {**asked, "limit": limit, **({"after": after} if after else {})}
        page = await desk.api.get("/v1/audit", params=given, headers=desk.bearer("ada"))
        assert page.status_code == 200, page.text
        found += page.json()["events"]
        if (after := page.json()["next"]) is None:
            return found


async def test_what_moved_money_stands_beside_what_people_did(kept: Desk) -> None:
    found = await events(kept)
    kinds = {each["act"] for each in found}
    assert {"decision.recorded", "reward.approved", "payout.planned", "payout.settled", "payout.refused"} <= kinds
    (settled,) = (each for each in found if each["act"] == "payout.settled")
    assert (settled["actor"], settled["subject"]) == ("system", _PAID)
    assert (settled["amount_minor"], settled["currency"]) == (2500, "USD")
    assert settled["details"]["payee"] == "dexter"
    approved = [each for each in found if each["act"] == "reward.approved"]
    assert {(each["subject"], each["details"]["payee"], each["amount_minor"]) for each in approved} == {
        ("r1", "dexter", 2500),
        ("r1", "c-r1", 800),
    }


@pytest.mark.parametrize("asked", [{}, {"sort": "oldest"}, {"sign_ins": True}, {"act": "payout"}], ids=str)
async def test_pages_of_one_entry_hold_each_once_in_their_order(kept: Desk, asked: dict[str, Any]) -> None:
    whole = await events(kept, **asked)
    assert len(whole) > 3
    assert await events(kept, limit=1, **asked) == whole
    assert await events(kept, limit=3, **asked) == whole
    times = [each["at"] for each in whole]
    assert times == sorted(times, reverse=asked.get("sort") != "oldest")


async def test_entries_of_one_instant_are_never_lost_between_pages(kept: Desk) -> None:
    async with kept.database.transaction() as connection:
        for table in ("audit_event", "payout_step", "ledger_transaction"):
            await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        await connection.execute(text("UPDATE audit_event SET at = '2026-07-01T12:00:00Z'"))
        await connection.execute(text("UPDATE payout_step SET at = '2026-07-01T12:00:00Z'"))
        await connection.execute(text("UPDATE ledger_transaction SET posted_at = '2026-07-01T12:00:00Z'"))
    for sort in ("newest", "oldest"):
        whole = [each["entry"] for each in await events(kept, sort=sort)]
        assert len(set(whole)) == len(whole) > 5
        assert [each["entry"] for each in await events(kept, limit=1, sort=sort)] == whole


async def test_sign_ins_are_left_out_unless_they_are_asked_for(kept: Desk) -> None:
    async with kept.database.transaction() as connection:
        await audit.note(
            connection, actor="fiona", act="session.begun", subject="fiona", at=days_ago(1), way="password"
        )
    async with kept.browser("fiona") as fiona:
        assert not [each for each in await events(kept) if each["act"].startswith("session.")]
        assert [each for each in await events(kept, sign_ins=True) if each["act"] == "session.begun"]
        assert {each["act"] for each in await events(kept, act="session")} == {"session.begun"}
        page = unescape((await fiona.get("/audit")).text)
        assert "Signing in and out is left out." in page
        assert 'class="badge ">signed in<' not in page
        assert 'class="badge ">signed in<' in (await fiona.get("/audit?sign_ins=true")).text


async def test_it_is_found_by_person_kind_subject_and_day(kept: Desk) -> None:
    assert {each["actor"] for each in await events(kept, actor="paula")} == {"paula"}
    assert {each["act"].partition(".")[0] for each in await events(kept, actor="system")} == {"payout", "reward"}
    assert {each["subject"] for each in await events(kept, act="payout", subject=_PAID)} == {_PAID}
    assert {each["act"] for each in await events(kept, subject="r1")} >= {"decision.recorded", "reward.approved"}
    assert len([each for each in await events(kept, subject="r1") if each["act"] == "payout.planned"]) == 2
    assert await events(kept, to="2020-01-01") == []
    assert await events(kept, **{"from": "2020-01-01"}) == await events(kept)
    for wrong in ({"act": "payout.eaten"}, {"sort": "prettiest"}, {"after": "x"}, {"after": "2026-07-01~a1"}):
        answer = await kept.api.get("/v1/audit", params=wrong, headers=kept.bearer("ada"))
        assert answer.status_code == 422, wrong


async def test_a_reconciliation_is_told_by_the_name_of_its_rail_and_the_times_of_the_page(kept: Desk) -> None:
    span = {"since": "2026-06-01T00:00:00+00:00", "until": "2026-07-01T00:00:00+00:00"}
    async with kept.database.transaction() as connection:
        await audit.note(
            connection, actor="fiona", act="reconciliation.asked", subject="stripe_transfer", at=days_ago(1), **span
        )
    async with kept.browser("fiona") as fiona:
        page = (await fiona.get("/audit?act=reconciliation")).text
    assert '<a href="/reconciliations">Stripe transfer</a>' in page
    for said in ("1 Jun 2026, 00:00</time>", "1 Jul 2026, 00:00</time>"):
        assert said in page
    assert "stripe_transfer" not in page


async def test_people_choose_by_words_and_each_entry_leads_to_its_subject(kept: Desk) -> None:
    async with kept.browser("fiona") as fiona:
        page = unescape((await fiona.get("/audit")).text)
        for said in ('<optgroup label="Payouts">', '<option value="payout.settled">payout settled</option>'):
            assert said in page
        assert f'href="/payouts/{_PAID}"' in page
        assert 'href="/referrals/r1"' in page
        assert '<option value="paula">' in page
        shown = (await fiona.get("/audit?act=payout.settled")).text
        assert "25.00 USD" in shown
        assert '<option value="payout.settled" selected>' in shown
        file = (await fiona.get("/audit?act=payout.settled&format=csv")).text
    (row,) = csv.DictReader(io.StringIO(file))
    assert (row["what"], row["object"], row["amount"], row["currency"]) == ("payout settled", _PAID, "25.00", "USD")


def test_every_kind_of_entry_belongs_to_a_group_that_has_words() -> None:
    assert {kind.partition(".")[0] for kind in KINDS} == set(VOCABULARIES["audit_group"])
