"""The claim page without scripts: what it shows, and how a person decides on it."""

import re
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from referral_rewards.domain.programs.terms import Role
from tests.desk import Desk, days_ago, event, life_of, marks
from tests.desk_pages.forms import fill, hidden, record, review, text_of


async def _decisions(desk: Desk, referral: str) -> list[tuple[str, str]]:
    made = (await desk.get(f"/v1/claims/{referral}")).json()["decisions"]
    return [(each["user"], each["kind"]) for each in made]


async def _refund(desk: Desk, order: str, amount: str) -> None:
    about = {"order": order, "kind": "refund", "amount": amount, "currency": "USD"}
    await desk.tell(event(f"refund-{order}", "conversion.reversed", days_ago(1), about))


async def test_what_is_recommended_stands_before_everything_else(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("paula") as browser:
        shown = await browser.get("/claims/r1")
    headings = re.findall(r"<h2[^>]*>([^<]+)", shown.text)
    assert headings[0].strip() == "Recommendation: approve"
    said = text_of(shown)
    assert "All checks passed and nothing is flagged." in said
    for part in ("25.00 USD", "8.00 USD credit", "America/Toronto", "Conversion confirmed", "Missing: program owner"):
        assert part.replace("8.00 USD credit", "8.00 USD") in said


async def test_a_decision_is_shown_in_full_before_it_is_recorded(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("paula") as browser:
        form = await fill(browser, "r1")
        asked = await review(browser, "r1", form)
        assert await _decisions(desk, "r1") == []
        said = text_of(asked)
        assert f"digest {form['digest'][:12]}" in said
        assert (
            "25.00 USD account credit to dexter and 8.00 USD account credit to c-r1 will be reserved and paid at once."
            in said
        )
        done = await browser.send("/claims/r1", **hidden(asked.text), note="I looked at it", step="record")
        assert (done.status_code, done.headers["location"]) == (303, "/claims/r1?recorded=1")
        assert "Recorded as decision 1: approved" in text_of(await browser.get(done.headers["location"]))
    assert await _decisions(desk, "r1") == [("paula", "approve")]
    assert await desk.judge("r1") == "approved"


async def test_going_back_keeps_what_was_typed(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("paula") as browser:
        form = await fill(browser, "r1", kind="hold", reason="customer_issue", note="first line\nsecond <line>")
        again = await browser.send("/claims/r1", **form, step="edit")
    assert again.status_code == 200
    assert "first line\nsecond &lt;line&gt;</textarea>" in again.text
    assert re.search(r'value="hold"[^>]* checked', again.text)
    assert re.search(r'value="customer_issue" selected', again.text)


@pytest.mark.parametrize("step", ["review", "record"])
@pytest.mark.parametrize(
    ("as_", "given", "status", "said"),
    [
        ("paula", {"kind": ""}, 422, "Choose a decision."),
        ("paula", {"kind": "bless"}, 422, "Choose a decision."),
        ("paula", {"reason": ""}, 422, "Choose a reason"),
        ("paula", {"reason": "fraud"}, 422, "'fraud' is not a reason to approve"),
        ("paula", {"note": "  "}, 422, "Enter a note that says why."),
        ("paula", {"note": "x" * 2001}, 422, "at most 2,000 characters"),
        ("fiona", {}, 403, "To approve referral r1 you need the role program owner."),
        ("ada", {}, 403, "To approve referral r1 you need the role program owner."),
        ("dora", {}, 409, "You benefit from this claim and can't decide on it."),
        ("paula", {"kind": "release", "reason": "cleared"}, 409, "It is not on hold."),
        ("paula", {"kind": "reopen", "reason": "late_fact"}, 409, "Nothing was recorded"),
        ("paula", {"kind": "reassign", "reason": "support_case"}, 422, "Name the referrer by the id"),
        ("paula", {"kind": "reassign", "reason": "support_case", "referrer": "mia"}, 409, "Nothing was recorded"),
        ("paula", {"digest": "0" * 64}, 409, "The claim changed while you were looking at it."),
        ("paula", {"digest": ""}, 409, "The claim changed while you were looking at it."),
        ("paula", {"digest": "'; --\x00"}, 409, "The claim changed while you were looking at it."),
    ],
)
@pytest.mark.suite_has(10)
async def test_what_is_refused_is_explained_and_keeps_what_was_typed(
    desk: Desk, step: str, as_: str, given: dict[str, str], status: int, said: str
) -> None:
    await desk.add_user("dora", Role.PROGRAM_OWNER, marks=marks(email="dexter@example.com"))
    await desk.referral("r1")
    async with desk.browser("paula") as browser:
        form = {**await fill(browser, "r1", note="what I typed"), **given}
    async with desk.browser(as_) as browser:
        answer = await browser.send("/claims/r1", **form, step=step)
        assert answer.status_code == status, answer.text
        assert said in text_of(answer)
        assert form["note"].strip() in text_of(answer)
    assert await _decisions(desk, "r1") == []


@pytest.mark.parametrize(
    ("before", "given", "told"),
    [
        (["approve"], {}, "It was already approved by paula, "),
        (["deny"], {}, "It was already denied by paula, "),
        (
            ["hold"],
            {"kind": "hold", "reason": "dispute_open", "note": "another"},
            "It was already put on hold by paula, ",
        ),
    ],
)
async def test_what_others_decided_is_told_with_who_and_when(
    desk: Desk, before: list[str], given: dict[str, str], told: str
) -> None:
    await desk.add_user("pete", Role.PROGRAM_OWNER)
    await desk.referral("r1")
    for kind in before:
        assert (await desk.decide("r1", kind, "paula")).status_code == 201
    async with desk.browser("pete") as browser:
        answer = await record(browser, "r1", {**await fill(browser, "r1"), **given})
    assert (answer.status_code, told in text_of(answer)) == (409, True)
    assert len(await _decisions(desk, "r1")) == len(before)


async def test_of_two_at_the_same_moment_one_wins_and_the_other_is_told(desk: Desk) -> None:
    await desk.add_user("pete", Role.PROGRAM_OWNER)
    await desk.referral("r1")
    async with desk.browser("paula") as first, desk.browser("pete") as second:
        one, two = await fill(first, "r1"), await fill(second, "r1", kind="deny", reason="fraud", note="my own reasons")
        assert (await record(first, "r1", one)).status_code == 303
        late = await record(second, "r1", two)
        assert late.status_code == 409
        said = text_of(late)
        assert "Approved by paula , " in said
        assert "“I looked at it”" in said
        assert "my own reasons" in said
        assert await _decisions(desk, "r1") == [("paula", "approve")]
        # Having seen it, the second may still deny, until money is sent.
        assert (await record(second, "r1", {**two, **hidden(late.text)})).status_code == 303
    assert await _decisions(desk, "r1") == [("paula", "approve"), ("pete", "deny")]


async def test_a_claim_that_changed_says_what_and_asks_again(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("paula") as browser:
        form = await fill(browser, "r1", note="what I thought of it")
        await _refund(desk, "o-r1", "20.00")
        await desk.judge("r1")
        answer = await record(browser, "r1", form)
        assert answer.status_code == 409
        said = text_of(answer)
        assert "The claim changed while you were looking at it. Nothing was recorded." in said
        assert (
            "Reward to the referee 8.00 USD account credit to c-r1, account credit 6.00 USD account credit to c-r1"
            in said
        )
        assert "Flag: partial refund none" in said
        assert "what I thought of it" in said
        assert await _decisions(desk, "r1") == []
        again = await record(browser, "r1", {**form, **hidden(answer.text)})
        assert again.status_code == 303
    assert await desk.judge("r1") == "approved"


async def test_facts_that_are_not_judged_yet_keep_an_approval_waiting_and_no_denial(desk: Desk) -> None:
    await desk.referral("r1")
    await _refund(desk, "o-r1", "20.00")
    async with desk.browser("paula") as browser:
        form = await fill(browser, "r1")
        shown = await browser.get("/claims/r1")
        assert re.search(r'id="kind-approve"[^>]* disabled', shown.text)
        assert "New facts are being judged" in text_of(await record(browser, "r1", form))
        assert (await record(browser, "r1", {**form, "kind": "deny", "reason": "other"})).status_code == 303


async def test_what_was_entered_by_hand_is_for_another_person(desk: Desk) -> None:
    about = {
        "program": "acme-friends",
        "referrer": "dexter",
        "referee": {"customer": "c-r2", "email": "r2@example.com"},
        "order": "o-r2",
        "by": "paula",
    }
    await desk.tell([*life_of("r2"), event("ask-r2", "reward.requested", days_ago(30), about)])
    await desk.judge("r2")
    async with desk.browser("paula") as browser:
        answer = await record(browser, "r2", await fill(browser, "r2"))
    assert (answer.status_code, "You entered this claim by hand" in text_of(answer)) == (409, True)


async def test_an_override_takes_two_people_and_warns_each(desk: Desk) -> None:
    await desk.referral("r1", email="dexter@example.com")
    async with desk.browser("fiona") as browser:
        asked = await review(browser, "r1", await fill(browser, "r1"))
        said = text_of(asked)
        assert "This is an override." in said
        assert "Four eyes:" in said
        assert "Nothing is paid before the missing signatures are there: operations and program owner." in said
        assert (await record(browser, "r1", {**hidden(asked.text), "note": "n"})).status_code == 303
        again = await record(browser, "r1", await fill(browser, "r1", note="once more"))
        assert (again.status_code, "You have signed it already; another person must." in text_of(again)) == (409, True)


async def test_a_closed_referral_is_only_reopened(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "deny")
    await desk.judge("r1")
    async with desk.browser("paula") as browser:
        form = await fill(browser, "r1", kind="reopen", reason="appeal_upheld")
        assert "Reopen" in text_of(await browser.get("/claims/r1"))
        refused = await record(browser, "r1", {**form, "kind": "approve", "reason": "terms_met"})
        assert (refused.status_code, "reopen" in refused.text) == (409, True)
        asked = await review(browser, "r1", form)
        assert "Based on the closed referral as shown" in text_of(asked)
        assert (await record(browser, "r1", form)).status_code == 303
    assert await desk.judge("r1") == "awaiting_approval"


@pytest.mark.parametrize(
    "forged",
    [{}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}, {"csrf": "of another"}],
    ids=["none", "empty", "guessed", "not_ascii", "of_another_session"],
)
async def test_a_form_that_no_page_of_this_session_sent_decides_nothing(desk: Desk, forged: dict[str, Any]) -> None:
    await desk.referral("r1")
    async with desk.browser("paula") as browser, desk.browser("paula") as other:
        form = await fill(browser, "r1")
        if forged.get("csrf") == "of another":
            forged = {"csrf": other.csrf}
        answer = await browser.client.post("/claims/r1", data={**form, "step": "record", **forged})
    assert answer.status_code == 403
    assert await _decisions(desk, "r1") == []


async def test_nobody_who_is_not_signed_in_sees_or_decides_anything(desk: Desk) -> None:
    await desk.referral("r1")
    shown = await desk.api.get("/claims/r1")
    assert (shown.status_code, shown.headers["location"]) == (303, "/sign-in?return_to=/claims/r1")
    assert (await desk.api.post("/claims/r1", data={"step": "record"})).status_code == 401
    assert await _decisions(desk, "r1") == []
    async with desk.browser("site") as service:
        assert (await service.get("/claims/r1")).status_code == 403


async def test_kinds_that_a_person_may_not_record_are_shown_with_the_reason(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("ada") as browser:
        shown = await browser.get("/claims/r1")
    assert 'name="step"' not in shown.text
    assert text_of(shown).count("you need the role program owner") >= 4
    assert "There is nothing for you to decide here now." in text_of(shown)


@pytest.mark.parametrize(
    ("query", "before", "after"),
    [
        ("", "r1", "r3"),
        ("sort=newest", "r3", "r1"),
        ("q=r2", None, None),
        ("sort=deadline", None, "r3"),
        ("route=program_owner&sort=oldest", "r1", "r3"),
        ("program=other", None, None),
        ("nonsense=1", "r1", "r3"),
    ],
)
async def test_one_goes_on_through_the_list_one_came_from(
    desk: Desk, query: str, before: str | None, after: str | None
) -> None:
    for name in ("r1", "r2", "r3"):
        await desk.referral(name)
    async with desk.browser("paula") as browser:
        shown = await browser.get(f"/claims/r2?from={quote(query)}")
        assert shown.status_code == 200
        for rel, expected in (("prev", before), ("next", after)):
            found = re.search(rf'rel="{rel}" href="/claims/([^"?]+)', shown.text)
            assert (found[1] if found else None) == expected, rel
        form = await fill(browser, "r2")
        done = await record(browser, "r2", {**form, "from": query})
        kept = f"&from={quote_plus(query)}" if "nonsense" not in query and query else ""
        if "sort=oldest" not in query:
            assert done.headers["location"] == f"/claims/r2?recorded=1{kept}"


async def test_what_nobody_has_heard_of_is_not_found(desk: Desk) -> None:
    async with desk.browser("paula") as browser:
        for path in ("/claims/nobody", "/claims/a/b", "/claims/%00", "/claims/" + "x" * 300):
            assert (await browser.get(path)).status_code == 404, path
