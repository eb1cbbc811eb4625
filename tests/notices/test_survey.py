"""How satisfied people are: asked once, over the channel of the letters, answered on one's own page, and reported."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from referral_rewards.notices.smtp import Smtp
from tests.desk import PROGRAM, Desk, days_ago, desk, event, furnish
from tests.notices.mailbox import SENDER, Mailbox, mailbox
from tests.notices.posting import HOME, now, postman, sql, told
from tests.snapshots import Snapshots
from worker.postman import Postman

_SURVEY = "satisfaction_survey"
_A_DAY = timedelta(days=1, minutes=1)


@pytest.fixture
async def open_desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with snapshots.of(furnish) as (url, furniture), desk(url, furniture) as opened:
        yield opened


@pytest.fixture
async def post(open_desk: Desk) -> AsyncIterator[tuple[Postman, Mailbox]]:
    async with mailbox() as (box, at), postman(open_desk, Smtp(at(), SENDER)) as man:
        yield man, box


async def denied(desk: Desk, name: str = "r1") -> None:
    await desk.referral(name)
    assert (await desk.decide(name, "deny", reason="evidence_insufficient")).status_code < 300
    assert await desk.judge(name) == "denied"


async def reopened(desk: Desk, name: str = "r1") -> None:
    assert (await desk.decide(name, "reopen", reason="appeal_upheld")).status_code < 300
    assert await desk.judge(name) == "awaiting_approval"


async def states(desk: Desk) -> list[tuple[str, str, str | None]]:
    return [(row.audience, row.state, row.why) for row in await told(desk, template=_SURVEY)]


def words(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def page_of(letter: EmailMessage) -> str:
    found = re.search(rf"{HOME}(/status/\S+)", words(letter))
    assert found is not None
    return found[1]


async def satisfaction(desk: Desk) -> dict[str, Any]:
    report = (await desk.get("/v1/reports/program/acme-friends")).json()
    found: dict[str, Any] = report["measures"]["referrer_satisfaction"]
    return found


async def test_after_a_denial_the_referrer_is_asked_answers_on_their_page_and_is_in_the_report(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, box = post
    await denied(open_desk)
    await man.deliver(now())
    assert [letter["Subject"] for letter in box.letters if "satisfied" in letter["Subject"]] == []
    await man.deliver(now() + _A_DAY)
    asked = {letter["To"]: letter for letter in box.letters if "satisfied" in letter["Subject"]}
    assert set(asked) == {"dexter@example.com", "r1@example.com"}
    letter = asked["dexter@example.com"]
    assert "There was no reward for this referral." in words(letter)
    page = await open_desk.api.get(page_of(letter), headers={"Accept": "text/html"})
    assert "How satisfied are you" in page.text
    assert "<script" not in page.text
    answer = await open_desk.api.post(f"{page_of(letter)}/rating", data={"score": "2"})
    assert answer.status_code == 303
    its = await satisfaction(open_desk)
    assert (its["asked"], its["n"], its["mean"], its["scores"]) == (1, 1, 2.0, {"2": 1})


async def test_who_answered_after_being_asked_counts_in_the_rate(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, _ = post
    for name in ("r1", "r2"):
        await denied(open_desk, name)
    await man.deliver(now() + _A_DAY)
    await sql(open_desk, "UPDATE notice SET settled_at = settled_at - interval '3 days' WHERE template = :t", t=_SURVEY)
    rated = {"referral": "r1", "by": "referrer", "score": 4}
    await open_desk.tell([event("s1", "satisfaction.rated", days_ago(0.1), rated)])
    await open_desk.judge("r1")
    its = await satisfaction(open_desk)
    assert (its["asked"], its["answered"], its["answer_rate"], its["n"], its["mean"]) == (2, 1, 0.5, 1, 4.0)


async def test_a_referral_that_ends_twice_asks_once(open_desk: Desk, post: tuple[Postman, Mailbox]) -> None:
    man, _ = post
    await denied(open_desk)
    await man.deliver(now() + _A_DAY)
    await reopened(open_desk)
    assert (await open_desk.decide("r1", "deny", reason="evidence_insufficient")).status_code < 300
    assert await open_desk.judge("r1") == "denied"
    await man.deliver(now() + _A_DAY)
    assert sorted(await states(open_desk), key=str) == [
        ("referee", "sent", None),
        ("referee", "suppressed", "They were asked before."),
        ("referrer", "sent", None),
        ("referrer", "suppressed", "They were asked before."),
    ]


async def test_who_has_answered_is_not_asked(open_desk: Desk, post: tuple[Postman, Mailbox]) -> None:
    man, _ = post
    await denied(open_desk)
    rated = {"referral": "r1", "score": 1}  # without a word of whose answer it is: the referrer's
    await open_desk.tell([event("s1", "satisfaction.rated", days_ago(0.1), rated)])
    await man.deliver(now() + _A_DAY)
    assert sorted(await states(open_desk), key=str) == [
        ("referee", "sent", None),
        ("referrer", "suppressed", "They have answered already."),
    ]


async def test_nobody_is_asked_who_may_not_be_contacted_or_whose_denial_was_taken_back(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, _ = post
    await denied(open_desk)
    no = {"person": {"email": "dexter@example.com"}, "scope": "contact"}
    await open_desk.tell([event("no", "consent.withdrawn", days_ago(0.1), no)])
    await denied(open_desk, "r2")
    await reopened(open_desk, "r2")
    await man.deliver(now() + _A_DAY)
    (dexter,) = await told(open_desk, template=_SURVEY, audience="referrer")
    assert (dexter.state, "Consent to be contacted" in dexter.why) == ("suppressed", True)
    whys = {row.why for row in await told(open_desk, "r2", template=_SURVEY)}
    assert whys == {"No longer needed: the referral is awaiting approval by now."}


async def test_a_program_may_leave_the_survey_out(database_url: str) -> None:
    async with desk(database_url) as opened:
        quiet = PROGRAM.replace("program: acme-friends", "program: quiet")
        await opened.publish(f"{quiet}\nsatisfaction_survey: false\n")
        who = {"customer": "c-q1", "email": "q1@example.com"}
        enrolled = {"referrer": "mia", "program": "quiet", "customer": "c-mia", "email": "mia@example.com"}
        sent = {"referral": "q1", "program": "quiet", "referrer": "mia", "channel": "email", "referee": who}
        bought = {"order": "o-q1", "kind": "purchase", "customer": who, "amount": "80.00", "currency": "USD"}
        await opened.tell([
            event("q0", "referrer.enrolled", days_ago(90), enrolled),
            event("q1", "referral.sent", days_ago(60), sent),
            event("q2", "referral.claimed", days_ago(50), {"referral": "q1", "referee": who, "consent": True}),
            event("q3", "conversion.recorded", days_ago(40), bought | {"new_customer": False}),
        ])  # fmt: skip
        assert await opened.judge("q1") == "denied"
        assert await told(opened, "q1", template=_SURVEY) == []
        assert len(await told(opened, "q1", template="denied")) == 2
