"""One's own status by a secret link: what it shows, what it does not, and what can be said there."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.register.notices import status_links
from referral_rewards.register.referrals import rows as referrals
from tests.desk import Desk, days_ago, desk, event, furnish
from tests.notices.posting import sql
from tests.personal import bodies
from tests.snapshots import Snapshots

HTML = {"Accept": "text/html"}


@pytest.fixture
async def open_desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with snapshots.of(furnish) as (url, furniture), desk(url, furniture) as opened:
        yield opened


async def path(desk: Desk, referral: str = "r1", side: Side = Side.REFEREE) -> str:
    async with desk.database.transaction() as connection:
        row = await referrals.row(connection, referral)
        return status_links.path(desk.parts.intake.key_for(status_links.PURPOSE), row, side)


async def seen(desk: Desk, at: str) -> httpx.Response:
    return await desk.api.get(at, headers=HTML)


async def said(desk: Desk, at: str, what: str, **fields: str) -> httpx.Response:
    return await desk.api.post(f"{at}/{what}", data=fields, headers=HTML)


def form_of(page: str) -> str:
    found = re.search(r'name="form" value="(\w+)"', page)
    assert found is not None
    return found[1]


async def expired(desk: Desk, name: str = "r1") -> None:
    who = {"customer": f"c-{name}", "email": f"{name}@example.com"}
    about = {"referral": name, "program": "acme-friends", "referrer": "dexter", "channel": "email", "referee": who}
    await desk.tell([event(f"{name}-1", "referral.sent", days_ago(40), about)])
    assert await desk.judge(name) == "expired"


async def facts(desk: Desk, kind: str) -> list[Any]:
    return await sql(desk, "SELECT data FROM fact WHERE type = :kind", kind=kind)


async def test_no_link_is_given_to_a_page_that_is_not_there(open_desk: Desk) -> None:
    parked = {"referral": "r2", "program": "acme-later", "referrer": "dexter", "channel": "email"}
    await open_desk.tell([event("r2-1", "referral.sent", days_ago(1), parked)])
    given = await open_desk.api.post(
        "/v1/referrals/r2/status-links", json={"side": "referee"}, headers=open_desk.bearer("oscar")
    )
    assert (given.status_code, "before terms of its program are in force" in given.text) == (409, True)
    assert (await seen(open_desk, await path(open_desk, "r2"))).status_code == 404
    async with open_desk.browser("oscar") as browser:
        assert "Secret status links" not in (await browser.get("/referrals/r2")).text


async def test_a_side_sees_its_own_status_and_nothing_of_the_other(open_desk: Desk) -> None:
    await open_desk.referral("r1")
    page = await seen(open_desk, await path(open_desk))
    assert page.status_code == 200
    assert "The reward is waiting for approval." in page.text
    for foreign in ("dexter", "25.00", "r1@example.com", "dexter@example.com", "c-r1", "o-r1"):
        assert foreign not in page.text, foreign
    assert page.headers["X-Robots-Tag"].startswith("noindex")
    assert page.headers["Cache-Control"] == "no-store"


async def test_a_reward_is_shown_to_whom_it_belongs(open_desk: Desk) -> None:
    await open_desk.referral("r1")
    await open_desk.decide("r1", "approve")
    await open_desk.judge("r1")
    for side, own, foreign in ((Side.REFEREE, "8.00 USD", "25.00"), (Side.REFERRER, "25.00 USD", "8.00")):
        page = await seen(open_desk, await path(open_desk, side=side))
        assert own in page.text
        assert foreign not in page.text
        assert "approved; it is about to be paid" in page.text


@pytest.mark.parametrize("change", ["one character", "cut", "none", "empty referral"])
async def test_an_unknown_and_a_forged_link_are_answered_alike(open_desk: Desk, change: str) -> None:
    await open_desk.referral("r1")
    real = await path(open_desk)
    forged = {
        "one character": real[:-3] + ("A" if real[-3] != "A" else "B") + real[-2:],
        "cut": real[:-4],
        "none": "/status/nonsense",
        "empty referral": "/status/" + "A" * 28,
    }[change]
    for method, at in (("GET", forged), ("POST", f"{forged}/appeal"), ("POST", f"{forged}/rating")):
        answer = await open_desk.api.request(method, at, headers=HTML)
        assert answer.status_code == 404
        assert "This link is incomplete or was replaced" in answer.text


async def test_a_revoked_link_leads_nowhere_and_the_other_sides_still_does(open_desk: Desk) -> None:
    await open_desk.referral("r1")
    old, other = await path(open_desk), await path(open_desk, side=Side.REFERRER)
    async with open_desk.database.transaction() as connection:
        await status_links.revoke(connection, "r1", Side.REFEREE)
    new = await path(open_desk)
    assert new != old
    assert [(await seen(open_desk, at)).status_code for at in (old, new, other)] == [404, 200, 200]


async def test_an_appeal_becomes_one_fact_and_comes_before_a_person(open_desk: Desk) -> None:
    await expired(open_desk)
    at = await path(open_desk)
    form = form_of((await seen(open_desk, at)).text)
    for words in ("I had claimed it in the shop.", "I had claimed it in the shop.", "Something else"):
        answer = await said(open_desk, at, "appeal", why=words, form=form)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{at}?done=appeal")
    [fact] = await facts(open_desk, "referral.appealed")
    assert fact.data == {"referral": "r1", "by": "referee"}
    assert "I had claimed it in the shop." in [body.get("why") for body in await bodies(open_desk.database)]
    assert await open_desk.judge("r1") == "expired"
    waiting = await sql(open_desk, "SELECT exception FROM queue_entry WHERE referral_id = 'r1'")
    assert [row.exception for row in waiting] == ["appeal"]
    assert "We received your appeal" in (await seen(open_desk, f"{at}?done=appeal")).text


@pytest.mark.parametrize("why", ["", "   ", "x" * 2001])
async def test_an_appeal_says_why_and_is_kept_on_the_page_when_it_is_refused(open_desk: Desk, why: str) -> None:
    await expired(open_desk)
    at = await path(open_desk)
    form = form_of((await seen(open_desk, at)).text)
    answer = await said(open_desk, at, "appeal", why=why, form=form)
    assert answer.status_code == 422
    assert "Enter your reason in at most 2,000 characters" in answer.text
    assert why.strip()[:2000] in answer.text
    assert await facts(open_desk, "referral.appealed") == []


@pytest.mark.parametrize("form", ["", "short", "x/y/z" * 5, "ü" * 20, "x" * 65])
async def test_a_form_that_we_did_not_give_out_is_refused(open_desk: Desk, form: str) -> None:
    await expired(open_desk)
    answer = await said(open_desk, await path(open_desk), "appeal", why="because", form=form)
    assert answer.status_code == 422
    assert await facts(open_desk, "referral.appealed") == []


async def test_nobody_appeals_against_what_is_not_decided(open_desk: Desk) -> None:
    await open_desk.referral("r1")
    at = await path(open_desk)
    assert 'name="why"' not in (await seen(open_desk, at)).text
    answer = await said(open_desk, at, "appeal", why="because", form="f" * 32)
    assert answer.status_code == 422
    assert "nothing to appeal" in answer.text


async def test_after_three_appeals_in_a_day_a_person_reads_first(open_desk: Desk) -> None:
    await expired(open_desk)
    at = await path(open_desk)
    answers = [await said(open_desk, at, "appeal", why=f"{n}", form=f"{n}" * 32) for n in range(5)]
    assert [answer.status_code for answer in answers] == [303, 303, 303, 429, 429]
    assert len(await facts(open_desk, "referral.appealed")) == 3
    other = await path(open_desk, side=Side.REFERRER)
    assert (await said(open_desk, other, "appeal", why="mine", form="a" * 32)).status_code == 303


async def test_what_somebody_writes_is_shown_as_text(open_desk: Desk) -> None:
    await expired(open_desk)
    at = await path(open_desk)
    answer = await said(open_desk, at, "appeal", why="<script>alert(1)</script>", form="bad")
    assert "<script>alert" not in answer.text


async def test_a_reward_is_rated_once_a_side(open_desk: Desk) -> None:
    await open_desk.referral("r1")
    at = await path(open_desk)
    assert (await said(open_desk, at, "rating", score="5")).status_code == 422
    await sql(open_desk, "UPDATE referral SET status = 'rewarded' WHERE id = 'r1'")
    for score in ("0", "6", "x", "", "5.0"):
        assert (await said(open_desk, at, "rating", score=score)).status_code == 422
    assert 'name="score"' in (await seen(open_desk, at)).text
    for score in ("4", "1"):
        assert (await said(open_desk, at, "rating", score=score)).status_code == 303
    [fact] = await facts(open_desk, "satisfaction.rated")
    assert fact.data == {"referral": "r1", "by": "referee", "score": 4}
    assert 'name="score"' not in (await seen(open_desk, at)).text


async def test_a_denial_is_rated_too_and_an_expired_invitation_is_not(open_desk: Desk) -> None:
    await expired(open_desk)
    at = await path(open_desk)
    assert 'name="score"' not in (await seen(open_desk, at)).text
    assert (await said(open_desk, at, "rating", score="2")).status_code == 422
    await open_desk.referral("r2")
    assert (await open_desk.decide("r2", "deny", reason="evidence_insufficient")).status_code < 300
    assert await open_desk.judge("r2") == "denied"
    at = await path(open_desk, "r2", Side.REFERRER)
    assert 'name="score"' in (await seen(open_desk, at)).text
    assert (await said(open_desk, at, "rating", score="2")).status_code == 303
    [fact] = await facts(open_desk, "satisfaction.rated")
    assert fact.data == {"referral": "r2", "by": "referrer", "score": 2}


async def test_who_has_answered_elsewhere_is_not_asked_on_the_page(open_desk: Desk) -> None:
    await open_desk.referral("r1")
    await sql(open_desk, "UPDATE referral SET status = 'rewarded' WHERE id = 'r1'")
    rated = {"referral": "r1", "by": "referee", "score": 3}
    await open_desk.tell([event("s1", "satisfaction.rated", days_ago(0.1), rated)])
    assert 'name="score"' not in (await seen(open_desk, await path(open_desk))).text
    assert 'name="score"' in (await seen(open_desk, await path(open_desk, side=Side.REFERRER))).text


async def test_the_words_of_an_appeal_are_read_by_who_decides_and_by_who_wrote_them(open_desk: Desk) -> None:
    await expired(open_desk)
    at = await path(open_desk)
    words = "the shop lost my <first> order"
    assert (await said(open_desk, at, "appeal", why=words, form=form_of((await seen(open_desk, at)).text))).is_redirect
    await open_desk.judge("r1")
    told = (await open_desk.get("/v1/referrals/r1")).json()["appeals"]
    assert [(each["by"], each["words"]) for each in told] == [("referee", words)]
    escaped = "the shop lost my &lt;first&gt; order"
    async with open_desk.browser("paula") as browser:
        assert escaped in (await browser.get("/claims/r1")).text
        assert escaped in (await browser.get("/referrals/r1")).text
    assert escaped in (await seen(open_desk, at)).text
    other = await path(open_desk, side=Side.REFERRER)
    assert escaped not in (await seen(open_desk, other)).text
