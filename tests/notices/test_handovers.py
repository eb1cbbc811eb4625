"""What a rail gave for a payee reaches that payee, by letter and on their own page, and nobody else."""

import json
from collections.abc import AsyncIterator

import pytest

from activities.inquiries import Inquiries
from activities.messages import PayoutRequest
from activities.payouts import Payouts
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.payouts.states import Handed
from referral_rewards.notices.composing import Letter, compose, without_secrets
from referral_rewards.notices.smtp import Smtp
from referral_rewards.register.payouts import handovers
from referral_rewards.sources.http import RegisterSource
from tests.desk import Desk, desk, furnish
from tests.money import RECOVERED
from tests.notices.mailbox import SENDER, mailbox
from tests.notices.posting import now, postman, sql
from tests.notices.test_status_page import path, seen
from tests.personal import bodies
from tests.snapshots import Snapshots
from worker.build import rails

CARD = Handed("link", "https://cards.example/r/1?a=b&c=d", "REWARD1")
CODE = Handed("code", "SPRING-25", "promo_1")


@pytest.fixture
async def open_desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with snapshots.of(furnish) as (url, furniture), desk(url, furniture) as opened:
        yield opened


async def _paid(desk: Desk, **handed: Handed) -> None:
    """r1 with both rewards paid, and what the rails gave for either side."""
    await desk.referral("r1")
    assert (await desk.decide("r1", "approve")).status_code < 300
    assert await desk.judge("r1") == "approved"
    rows = await sql(
        desk, "SELECT l.role, pl.payout_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.live"
    )
    asking = Inquiries(desk.database, desk.parts.intake, {"register": RegisterSource()})
    paying = Payouts(desk.database.worker, desk.parts.keys, rails(desk.database.worker, desk.parts.keys), asking, now)
    for row in rows:
        assert (await paying.send_payout(PayoutRequest(payout=str(row.payout_id), now=now()))).state == "settled"
        (paid,) = await sql(desk, "SELECT provider_reference FROM payout WHERE id = :id", id=row.payout_id)
        if row.role in handed:
            async with desk.database.transaction() as connection:
                await handovers.keep(connection, row.payout_id, paid.provider_reference, handed[row.role], now())
    assert await desk.judge("r1") == "rewarded"


async def test_each_side_gets_its_own_in_the_letter_that_announces_the_reward(open_desk: Desk) -> None:
    async with mailbox() as (box, at), postman(open_desk, Smtp(at(), SENDER)) as man:
        await _paid(open_desk, referrer=CARD, referee=CODE)
        await man.deliver(now())
        letters = {letter["To"]: letter for letter in box.letters if "was paid" in letter["Subject"]}
    plain = {to: str(letter.get_body(("plain",)).get_content()) for to, letter in letters.items()}
    html = {to: str(letter.get_body(("html",)).get_content()) for to, letter in letters.items()}
    dexter, brie = "dexter@example.com", "r1@example.com"
    assert f"\n{CARD.what}\n" in plain[dexter].replace("\r", "")
    assert 'href="https://cards.example/r/1?a=b&amp;c=d"' in html[dexter]
    assert CODE.what in plain[brie]
    assert CODE.what not in plain[dexter] + html[dexter]
    assert CARD.what not in plain[brie] + html[brie]


async def test_nobody_else_sees_it_on_record_or_at_the_desk(open_desk: Desk) -> None:
    async with mailbox() as (_, at), postman(open_desk, Smtp(at(), SENDER)) as man:
        await _paid(open_desk, referrer=CARD, referee=CODE)
        await man.deliver(now())
    shown = json.dumps((await open_desk.get("/v1/referrals/r1")).json())
    assert "(the reader's own code)" in shown
    for secret in ("cards.example", CODE.what):
        assert secret not in shown
    for table in ("notice", "payout", "handover", "outbox", "audit_event", "leg"):
        rows = await sql(open_desk, f"SELECT CAST(t AS text) AS said FROM {table} t")
        assert not [row for row in rows if "cards.example" in row.said or CODE.what in row.said], table
    assert sum("SPRING-25" in str(body) for body in await bodies(open_desk.database)) == 1
    assert "cards.example" not in repr(CARD)


async def test_either_sees_it_on_their_own_page_until_it_is_taken_back(open_desk: Desk) -> None:
    await _paid(open_desk, referrer=CARD, referee=CODE)
    page = (await seen(open_desk, await path(open_desk, side=Side.REFERRER))).text
    assert 'href="https://cards.example/r/1?a=b&amp;c=d"' in page
    assert CODE.what not in page
    page = (await seen(open_desk, await path(open_desk, side=Side.REFEREE))).text
    assert CODE.what in page
    assert "cards.example" not in page
    (leg,) = await sql(open_desk, "SELECT referral_id, amount_minor FROM leg WHERE role = 'referee'")
    taken = {"referral": leg.referral_id, "role": "referee", "kind": "reverse", "recovered": leg.amount_minor}
    await sql(open_desk, RECOVERED, **taken)
    await sql(open_desk, "UPDATE leg SET state = 'clawed_back' WHERE role = 'referee'")
    assert CODE.what not in (await seen(open_desk, await path(open_desk, side=Side.REFEREE))).text


async def test_what_was_erased_is_shown_no_more_and_what_was_kept_first_stays(open_desk: Desk) -> None:
    await _paid(open_desk, referrer=CARD)
    (row,) = await sql(open_desk, "SELECT * FROM handover")
    async with open_desk.database.transaction() as connection:
        await handovers.keep(connection, row.payout_id, row.paid_as, CODE, now())
        assert await handovers.of_side(connection, "r1", Side.REFERRER) == (CARD,)
        assert await handovers.of_side(connection, "r1", Side.REFEREE) == ()
        assert await handovers.is_kept(connection, row.payout_id, row.paid_as)
        assert not await handovers.is_kept(connection, row.payout_id, "another payment")
    await sql(open_desk, "UPDATE personal_data SET sealed = NULL, erased_at = now() WHERE subject_id = :id", id=row.id)
    async with open_desk.database.transaction() as connection:
        assert await handovers.of_side(connection, "r1", Side.REFERRER) == ()
        assert await handovers.is_kept(connection, row.payout_id, row.paid_as)


def test_a_letter_without_anything_to_hand_over_says_nothing_of_it() -> None:
    letter = Letter(
        template="rewarded", program="Acme", referral="r1", began="1 July 2026", why="It was paid.", next=None,
        appeal=None, rewards=["USD 25.00"], link="https://rewards.example/status/1",
    )  # fmt: skip
    written = compose(letter)
    assert "You can get it here" not in written.text
    assert "Your code" not in written.text
    assert "https://rewards.example" not in "".join(without_secrets(written, letter))
