"""The queue in a browser without scripts: searching, keeping views, and deciding on what is selected."""

import re
from html import unescape

import pytest

from referral_rewards.api.desk.claims.queue import EXCEPTIONS
from referral_rewards.domain.decisions.waiting import Waits
from tests.desk import Browser, Desk, days_ago, event, life_of


def _choices(page: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'name="claim" value="([^"]*)"', page)]


@pytest.fixture
async def three(desk: Desk) -> Desk:
    """Two claims that nothing speaks against, and a flagged one."""
    for name in ("a", "b", "c"):
        life = life_of(name)
        if name == "c":
            life[1]["data"].pop("consent")
        await desk.tell(life)
        await desk.judge(name)
    return desk


def test_whatever_waits_has_a_tab() -> None:
    assert set(EXCEPTIONS) == set(Waits)


async def test_the_queue_shows_the_seven_columns_and_what_can_be_selected(three: Desk) -> None:
    async with three.browser("paula") as browser:
        shown = await browser.get("/queue")
        assert shown.status_code == 200, shown.text
        columns = ("Referrer", "Referred customer", "Eligibility", "Conversion event", "Reward amount", "Approval")
        assert all(f'<th scope="col">{column}</th>' in shown.text for column in (*columns, "Payment status"))
        assert [each.split()[1] for each in _choices(shown.text)] == ["a", "b"], "c is flagged: it is decided by itself"
        assert "25.00 USD" in shown.text
        assert "style=" not in shown.text
        rows = await browser.get("/queue/rows?flag=consent_unclear")
        assert ("/claims/c" in rows.text, "/claims/a" in rows.text, "<html" in rows.text) == (True, False, False)


async def test_a_late_fact_says_how_the_referral_was_closed_before_what_to_do(desk: Desk) -> None:
    life = life_of("late")
    await desk.tell(life[:1])
    assert await desk.judge("late") == "expired"
    await desk.tell(life[1:])
    await desk.judge("late")
    async with desk.browser("paula") as browser:
        shown = (await browser.get("/queue")).text
    assert "Expired: invitation not claimed" in shown
    assert shown.index("Expired: invitation not claimed") < shown.index("To do:")


async def test_pages_lead_from_one_to_the_next_and_keep_what_was_asked(three: Desk) -> None:
    async with three.browser("paula") as browser:
        address, seen = "/queue?program=acme-friends&limit=1", []
        while address:
            shown = (await browser.get(address)).text
            seen += re.findall(r'href="/claims/(\w)["?]', shown)
            found = re.search(r'rel="next" href="([^"]*)"', shown)
            address = unescape(found[1]) if found else ""
        assert seen == ["a", "b", "c"]


async def test_a_question_that_makes_no_sense_is_a_page_that_says_so(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        shown = await browser.get("/queue?amount_min=ten&after=x")
        assert (shown.status_code, "Amount from" in shown.text) == (422, True)


async def test_a_view_is_kept_opened_replaced_and_deleted(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        saved = await browser.send("/queue/views", name="Mine <today>", query="mine=true&sort=newest&after=x")
        assert (saved.status_code, saved.headers["location"]) == (303, "/queue?mine=true&sort=newest")
        shown = (await browser.get("/queue")).text
        assert '<a href="/queue?mine=true&amp;sort=newest">Mine &lt;today&gt;</a>' in shown
        await browser.send("/queue/views", name="Mine <today>", query="overdue=true")
        assert '<a href="/queue?overdue=true">Mine' in (await browser.get("/queue")).text
        async with desk.browser("oscar") as other:
            assert "Mine &lt;today&gt;" not in (await other.get("/queue")).text
        await browser.send("/queue/views", name="Mine <today>", query="", act="delete")
        assert "Mine &lt;today&gt;" not in (await browser.get("/queue")).text
        for name, query in (("", ""), ("x" * 61, ""), ("x\0", ""), ("x", "colour=red"), ("x", "q=%00")):
            assert (await browser.send("/queue/views", name=name, query=query)).status_code == 422
        unsigned = await browser.client.post("/queue/views", data={"name": "x", "query": ""})
        assert unsigned.status_code == 403


async def _selected(browser: Browser) -> list[str]:
    return _choices((await browser.get("/queue")).text)


async def test_what_is_selected_is_shown_once_more_then_decided_one_by_one(three: Desk) -> None:
    async with three.browser("paula") as browser:
        chosen = await _selected(browser)
        confirm = await browser.send("/queue/decide", claim=chosen, step="confirm", back="program=acme-friends")
        assert confirm.status_code == 200
        assert "<b>66.00 USD</b> in total" in confirm.text
        assert _choices(confirm.text) == chosen
        words = {"kind": "approve", "reason": "terms_met", "note": "looked at them"}
        done = await browser.send("/queue/decide", claim=chosen, step="record", **words)
        assert (done.status_code, "2 decisions recorded" in done.text) == (200, True)
        again = await browser.send("/queue/decide", claim=chosen, step="record", **words)
        assert again.text.count("recorded before") == 2
    assert [await three.judge(name) for name in "abc"] == ["approved", "approved", "awaiting_approval"]


async def test_a_claim_that_changed_or_is_flagged_is_left_out_of_both_steps(three: Desk) -> None:
    async with three.browser("paula") as browser:
        chosen = await _selected(browser)
        shown = (await three.get("/v1/claims/c")).json()["digest"]
        chosen.append(f"{shown} c")
        refund = {"order": "o-b", "kind": "refund", "amount": "20.00"}
        await three.tell([event("b-refund", "conversion.reversed", days_ago(1), refund)])
        await three.judge("b")
        confirm = await browser.send("/queue/decide", claim=chosen, step="confirm")
        assert [each.split()[1] for each in _choices(confirm.text)] == ["a"]
        assert "It changed since it was shown." in confirm.text
        assert "It is flagged" in confirm.text
        words = {"kind": "approve", "reason": "terms_met", "note": "forged in full"}
        done = await browser.send("/queue/decide", claim=chosen, step="record", **words)
        assert "1 decision recorded, 2 left out" in " ".join(done.text.split())
        assert all(why in done.text for why in ("The claim changed since", "It is flagged"))


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "", "reason": "terms_met", "note": "x"},
        {"kind": "approve", "reason": "", "note": "x"},
        {"kind": "approve", "reason": "fraud", "note": "x"},
        {"kind": "approve", "reason": "terms_met", "note": " "},
        {"kind": "reopen", "reason": "other", "note": "x"},
        {"kind": "nonsense", "reason": "other", "note": "x"},
    ],
)
async def test_a_form_that_is_not_filled_in_comes_back_with_what_was_typed(three: Desk, given: dict[str, str]) -> None:
    async with three.browser("paula") as browser:
        chosen = await _selected(browser)
        again = await browser.send("/queue/decide", claim=chosen, step="record", **given)
        assert again.status_code == 422
        assert _choices(again.text) == chosen


async def test_nothing_selected_and_nobody_with_the_role_decide_nothing(three: Desk) -> None:
    words = {"kind": "approve", "reason": "terms_met", "note": "x"}
    async with three.browser("paula") as browser:
        chosen = await _selected(browser)
        assert (await browser.send("/queue/decide", step="confirm")).status_code == 422
        forged = await browser.client.post("/queue/decide", data={"claim": chosen, "step": "record", **words})
        assert forged.status_code == 403
    async with three.browser("fiona") as browser:
        done = await browser.send("/queue/decide", claim=chosen, step="record", **words)
        assert done.text.count("you need the role program owner") == 2
