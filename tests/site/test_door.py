"""The front door before the real API: enrolment, invitations, claims, and what each side sees of the other."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from referral_rewards.loopback import reply, served
from referral_rewards.personal import body_of
from tests.apps import at_an_address
from tests.desk import Desk
from tests.site.door import HOME, Door, fields, front_door, link, settings_of, token_of_a_door

EMAIL = "Brie.Larson@example.com"
CONSENTS = {"consent": "true"}


async def told(desk: Desk, kind: str) -> list[dict[str, Any]]:
    """The facts of a type that the front door told, with what is personal in them."""
    found = text(
        "SELECT f.id, f.data, p.sealed FROM fact f LEFT JOIN personal_data p ON p.subject_id = f.id"
        " WHERE f.type = :kind AND f.source = 'front-door' ORDER BY f.occurred_at, f.event_id"
    )
    async with desk.database.reading() as connection:
        rows = (await connection.execute(found, {"kind": kind})).all()
        return [{**row.data, "personal": body_of(connection, row.id, row.sealed)} for row in rows]


async def invite(browser: httpx.AsyncClient, email: str = EMAIL, name: str = "") -> httpx.Response:
    """What the page answers to an invitation."""
    form = {"csrf": fields((await browser.get("/me")).text)["csrf"], "email": email, "name": name}
    return await browser.post("/me/invitations", data=form)


async def claim(browser: httpx.AsyncClient, path: str, email: str = EMAIL, **more: str) -> httpx.Response:
    """What a page answers to a claim; ``more`` is what else is filled in."""
    form = fields((await browser.get(path)).text)
    return await browser.post(path, data={**form, "email": email, **CONSENTS, **more})


def link_in(letter: Any) -> str:
    """The path of the invitation that a letter leads to."""
    found = re.search(rf"{HOME}(/i/inv-\w+)\s", letter.get_body(("plain",)).get_content())
    assert found is not None
    return found[1]


def everything(folder: Path) -> bytes:
    """All that the files of the store hold."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


async def test_a_customer_enrols_invites_and_sees_what_came_of_it(door: Door, desk: Desk) -> None:
    dexter = await door.referrer()
    code = re.search(r"/r/([0-9A-Z]{10})", (await dexter.get("/me")).text)
    assert code is not None
    page = await invite(dexter, name="Brie")
    assert "We write to your friend" in page.text
    assert "waits to be sent" in page.text
    await door.work()
    await door.work()
    (letter,) = door.box.letters
    assert (letter["To"], letter["Subject"]) == (EMAIL, "Dexter invites you to Acme")
    plain = letter.get_body(("plain",)).get_content()
    assert "Hello Brie," in plain
    assert "10 % of the net amount, at most 40.00 USD, account credit" in plain
    assert letter["List-Unsubscribe"].strip() == f"<{HOME}{link_in(letter)}/stop>"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    (enrolled,), (sent,) = await told(desk, "referrer.enrolled"), await told(desk, "referral.sent")
    assert (enrolled["referrer"], enrolled["code"], enrolled["program"]) == ("c-dexter", code[1], "acme-friends")
    assert (sent["referral"], sent["personal"]["referee"]) == (link_in(letter)[3:], {"email": EMAIL})

    brie = door.person("198.51.100.7")
    landed = await brie.get(link_in(letter))
    assert "Dexter invites you to Acme" in landed.text
    thanked = await claim(brie, link_in(letter))
    assert (thanked.status_code, thanked.url.path) == (200, f"{link_in(letter)}/claimed")
    await door.work()
    (claimed,) = await told(desk, "referral.claimed")
    assert (claimed["referral"], claimed["consent"]) == (sent["referral"], True)
    assert (claimed["personal"]["referee"], claimed["personal"]["ip"]) == ({"email": EMAIL}, "198.51.100.7")
    assert await desk.judge(sent["referral"]) == "claimed"

    own = (await dexter.get("/me")).text
    assert "b•••@e•••.com" in own
    assert "Since " in own
    assert EMAIL.lower() not in own.lower()
    for page in (landed, thanked):
        assert [each for each in ("c-dexter", "dexter@example.com", code[1]) if each in page.text] == []


async def test_of_a_person_nothing_stays_here_but_a_mask_and_a_keyed_hash(door: Door) -> None:
    folder = door.parts.settings.data
    dexter = await door.referrer()
    await invite(dexter, name="Brie")
    assert EMAIL.encode() in everything(folder), "what waits to be sent needs the address"
    await door.work()
    await claim(door.person(), link_in(door.box.letters[0]))
    await door.work()
    left = everything(folder)
    assert [each for each in (EMAIL, EMAIL.lower(), "Brie", "203.0.113.9") if each.encode() in left] == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (link("c-dexter", secret="22" * 16), "This link is incomplete."),
        (link("c-dexter", lasts=timedelta(seconds=-1)), "no longer valid"),
        (link("c-dexter", lasts=timedelta(days=40)), "can&#39;t be used"),
        (link("dexter@example.com"), "can&#39;t be used"),
        (link("c-dexter").replace("acme-friends", "other"), "This link is incomplete."),
        ("/enrol?program=acme-friends&customer=c&expires=soon&signature=é", "This link is incomplete."),
        ("/enrol", "This link is incomplete."),
    ],
)
async def test_only_a_link_of_the_company_enrols(door: Door, desk: Desk, path: str, words: str) -> None:
    browser = door.person()
    page = await browser.get(path)
    assert (page.status_code, words in page.text) == (403, True)
    form = dict(httpx.URL(f"{HOME}{path}").params)
    assert (await browser.post("/enrol", data={**form, "agreed": "true"})).status_code == 403
    assert (await browser.get("/me")).status_code == 401
    await door.work()
    assert await told(desk, "referrer.enrolled") == []


async def test_whoever_enrolled_comes_back_by_another_link(door: Door, desk: Desk) -> None:
    await door.referrer()
    again = door.person()
    page = await again.get(link("c-dexter", lasts=timedelta(hours=2)))
    assert (page.url.path, page.status_code) == ("/me", 200)
    await door.work()
    assert len(await told(desk, "referrer.enrolled")) == 1


async def test_whom_nobody_may_write_to_gets_no_letter_and_nobody_learns_it(door: Door, desk: Desk) -> None:
    dexter, mira = await door.referrer(), await door.referrer("c-mira", "Mira")
    first = await invite(dexter)
    await door.work()
    stop = f"{link_in(door.box.letters[0])}/stop"
    assert "Send no more invitations" in (await door.person().get(stop)).text
    # As a mail program does it at one click, from wherever it is.
    one_click = door.person(Origin="https://mail.example", **{"Sec-Fetch-Site": "cross-site"})
    assert (await one_click.post(stop, data={"List-Unsubscribe": "One-Click"})).status_code == 200
    second = await invite(mira, "brielarson+x@example.com".replace("briel", "Brie.L"))
    assert (first.status_code, first.url) == (second.status_code, second.url)
    await door.work()
    assert len(door.box.letters) == 1
    assert "could not be delivered" in (await mira.get("/me")).text
    assert len(await told(desk, "referral.sent")) == 1


async def test_a_refused_letter_is_told_to_the_referrer_and_a_late_one_is_tried_again(door: Door, desk: Desk) -> None:
    dexter = await door.referrer()
    door.box.to_recipient += ["550 no such user", "451 greylisted"]
    await invite(dexter, "nobody@example.com")
    await door.work()
    assert "could not be delivered" in (await dexter.get("/me")).text
    await invite(dexter)
    await door.work()
    assert "waits to be sent" in (await dexter.get("/me")).text
    await door.later(timedelta(minutes=1))
    await door.work()
    assert [each["To"] for each in door.box.letters] == [EMAIL]
    assert len(await told(desk, "referral.sent")) == 1


async def test_a_referrer_invites_so_many_a_day_and_one_friend_once(door: Door) -> None:
    dexter = await door.referrer()
    for number in range(door.parts.settings.invitations_a_day):
        assert (await invite(dexter, f"b{number}@example.com")).status_code == 200
        if not number:
            assert (await invite(dexter, "B0+again@example.com")).status_code == 200
    page = await invite(dexter, "one-more@example.com")
    assert (page.status_code, "You can invite 20 friends a day." in page.text) == (429, True)
    await door.later(timedelta(days=1))
    assert (await invite(dexter, "one-more@example.com")).status_code == 200


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"consent": ""}, "We need your consent"),
        ({"email": "brie"}, "Enter your email address"),
        ({"website": "https://spam.example"}, "Leave the last field empty"),
        ({"stamp": ""}, "open for too long"),
        ({"stamp": "1.x.y"}, "open for too long"),
    ],
)
async def test_a_claim_that_a_machine_or_a_mistake_made_is_not_told(
    door: Door, desk: Desk, more: dict[str, str], words: str
) -> None:
    await door.referrer()
    door.box.letters.clear()
    code = (await door.parts.store.read(lambda c: c.execute("SELECT code FROM referrer").fetchone()))[0]
    page = await claim(door.person(), f"/r/{code}", **more)
    assert (page.status_code, words in page.text) == (422, True)
    await door.work()
    assert await told(desk, "referral.claimed") == []


async def test_a_claim_by_a_code_says_the_same_of_every_address_and_is_one_fact_if_sent_twice(
    door: Door, desk: Desk
) -> None:
    """Dexter's own address is known to the register, and his customer id; the other is known to nobody."""
    await door.referrer()
    code = (await door.parts.store.read(lambda c: c.execute("SELECT code FROM referrer").fetchone()))[0]
    browser, path = door.person(), f"/r/{code[:5].lower()}-{code[5:]}"
    pages = [await claim(browser, path, email) for email in ("dexter@example.com", "nobody@example.com")]
    assert len({(page.status_code, page.url, page.text) for page in pages}) == 1
    form = fields((await browser.get(path)).text)
    for _ in range(2):
        await browser.post(path, data={**form, "email": "twice@example.com", **CONSENTS})
    await door.work()
    claims = await told(desk, "referral.claimed")
    assert [each["personal"]["referee"]["email"] for each in claims] == [
        "dexter@example.com",
        "nobody@example.com",
        "twice@example.com",
    ]
    assert {(each["referrer_code"], each["channel"], each["program"]) for each in claims} == {
        (code, "link", "acme-friends")
    }


async def test_one_address_claims_so_often_and_another_still_can(door: Door) -> None:
    await door.referrer()
    code = (await door.parts.store.read(lambda c: c.execute("SELECT code FROM referrer").fetchone()))[0]
    busy = door.person("203.0.113.66")
    answers = [(await claim(busy, f"/r/{code}", f"b{number}@example.com")).status_code for number in range(13)]
    assert answers == [200] * 12 + [429]
    assert (await claim(door.person("203.0.113.67"), f"/r/{code}")).status_code == 200


async def test_while_the_api_is_silent_everything_waits_and_then_comes(desk: Desk, tmp_path: Path) -> None:
    token = await token_of_a_door(desk)
    async with front_door(settings_of(tmp_path / "site", "http://127.0.0.1:9", token)) as door:
        dexter = await door.referrer()
        await invite(dexter)
        await door.work()
        own = await dexter.get("/me")
        assert "We can't show it now" in own.text
        assert (await door.person().get("/readyz")).json() == {
            "store": "ok",
            "facts_waiting": 1,
            "facts_refused": 0,
        }
        assert door.box.letters == [], "nobody knows whether the program goes on"
    async with (
        at_an_address(desk.parts) as url,
        front_door(settings_of(tmp_path / "site", url, token)) as door,
    ):
        await door.later(timedelta(minutes=3))
        await door.work()
        await door.work()
        assert [each["To"] for each in door.box.letters] == [EMAIL]
        assert (len(await told(desk, "referrer.enrolled")), len(await told(desk, "referral.sent"))) == (1, 1)
        assert (await door.person().get("/readyz")).json()["facts_waiting"] == 0


async def test_what_the_api_refuses_is_kept_and_counted(desk: Desk, tmp_path: Path) -> None:
    async with at_an_address(desk.parts) as url:
        settings = settings_of(tmp_path / "site", url, await token_of_a_door(desk, "referral.sent"))
        async with front_door(settings) as door:
            await door.referrer()
            await door.work()
            ready = (await door.person().get("/readyz")).json()
            assert ready == {"store": "ok", "facts_waiting": 1, "facts_refused": 1}
            rights = {"sources": ["front-door"], "types": ["*"]}
            await desk.api.put("/v1/users/front-door/rights", json=rights, headers=desk.bearer("ada"))


async def test_a_page_shows_what_was_earned_and_what_is_missing(door: Door, desk: Desk) -> None:
    dexter = await door.referrer("dexter", "Dexter")
    await door.work()
    await desk.referral("b1")
    assert (await desk.decide("b1", "approve")).status_code == 201
    await desk.judge("b1")
    own = (await dexter.get("/me")).text
    assert "<strong>0.00 USD</strong> paid, <strong>25.00 USD</strong> approved and on its way" in own
    assert [each for each in ("b1@example.com", "c-b1", "o-b1") if each in own] == []


async def test_a_form_of_another_site_or_session_is_refused(door: Door) -> None:
    dexter = await door.referrer()
    form = {"csrf": fields((await dexter.get("/me")).text)["csrf"], "email": EMAIL}
    other = await (await door.referrer("c-mira", "Mira")).get("/me")
    for refused in (
        await dexter.post("/me/invitations", data={**form, "csrf": fields(other.text)["csrf"]}),
        await dexter.post("/me/invitations", data={"email": EMAIL}),
        await dexter.post("/me/invitations", data=form, headers={"Origin": "https://evil.example"}),
        await dexter.post("/me/invitations", data=form, headers={"Sec-Fetch-Site": "cross-site"}),
        await dexter.post("/me/invitations", data=form, headers={"Origin": "null"}),
    ):
        assert refused.status_code == 403
    assert (await dexter.post("/me/invitations", data={**form, "name": "x" * 20_000})).status_code == 413
    assert (await dexter.post("/me/invitations", data=form, headers={"Origin": HOME})).status_code == 200


async def test_every_answer_has_the_headers_and_no_page_a_script_or_a_style_of_its_own(door: Door) -> None:
    dexter = await door.referrer()
    for path in (
        "/",
        "/me",
        "/none-such",
        "/i/none-such",
        "/livez",
        link("c-x"),
        "/theme/acme-friends.css",
        "/static/site.css",
    ):
        page = await dexter.get(path)
        assert page.headers["Content-Security-Policy"].startswith(
            "default-src 'none'; style-src 'self'; img-src 'self'"
        )
        assert (page.headers["Referrer-Policy"], page.headers["X-Content-Type-Options"]) == ("no-referrer", "nosniff")
        assert re.findall(r"<script|<style|style=|\son\w+=", page.text) == []
    assert "sandbox" in (await dexter.get("/theme/acme-friends/logo")).headers["Content-Security-Policy"]
    cookie = next(iter(dexter.cookies.jar))
    assert (cookie.has_nonstandard_attr("HttpOnly"), cookie.get_nonstandard_attr("SameSite")) == (True, "lax")
    assert "--accent: #0b6b3a" in (await dexter.get("/theme/acme-friends.css")).text


@pytest.mark.parametrize(
    ("says", "words", "enrolled"),
    [
        ({"valid": True}, "Your link", 1),
        ({"valid": False}, "Your account can&#39;t take part.", 0),
        ({"valid": "yes"}, "We can&#39;t check your account now.", 0),
        ([], "We can&#39;t check your account now.", 0),
    ],
)
async def test_the_crm_says_who_may_enrol_and_its_silence_is_no_yes(
    desk: Desk, tmp_path: Path, says: Any, words: str, enrolled: int
) -> None:
    asked: list[bytes] = []

    async def crm(scope: Any, receive: Any, send: Any) -> None:
        asked.append((await receive())["body"])
        await reply(send, 200, json.dumps(says).encode())

    async with at_an_address(desk.parts) as url, served(crm) as crm_url:
        token = await token_of_a_door(desk)
        async with front_door(settings_of(tmp_path / "site", url, token, validation_url=crm_url)) as door:
            browser = door.person()
            form = fields((await browser.get(link("c-dexter"))).text)
            page = await browser.post("/enrol", data={**form, "agreed": "true"})
            assert words in page.text
            assert json.loads(asked[0]) == {"program": "acme-friends", "customer": "c-dexter"}
            await door.work()
            assert len(await told(desk, "referrer.enrolled")) == enrolled


async def test_an_ended_program_sends_no_letter_and_takes_no_claim(door: Door, desk: Desk) -> None:
    """It ends while an invitation waits; what it promises is asked for again after a few minutes."""
    dexter = await door.referrer()
    await invite(dexter)
    life = (await desk.get("/v1/programs/acme-friends/life")).json()
    ending = {"act": "end_program", "reason": "campaign_over", "note": "over", "digest": life["digest"]}
    made = await desk.api.post("/v1/programs/acme-friends/decisions", json=ending, headers=desk.bearer("paula"))
    assert made.status_code == 201, made.text
    await door.later(timedelta(minutes=6))
    await door.work()
    assert door.box.letters == []
    own = (await dexter.get("/me")).text
    assert "could not be delivered" in own
    assert "This program has ended" in own
    code = (await door.parts.store.read(lambda c: c.execute("SELECT code FROM referrer").fetchone()))[0]
    assert "an invitation can no longer be accepted" in (await door.person().get(f"/r/{code}")).text
