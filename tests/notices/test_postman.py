"""What is told of a referral, to whom and when; once each, whatever breaks on the way."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from referral_rewards.domain.programs.terms import Role
from referral_rewards.notices.smtp import Smtp
from referral_rewards.register.people import users
from tests.desk import PROGRAM, Desk, days_ago, desk, event, furnish, life_of
from tests.notices.mailbox import SENDER, Mailbox, mailbox
from tests.notices.posting import HOME, brief, now, postman, sql, told
from tests.personal import bodies
from tests.snapshots import Snapshots
from worker.postman import _TRIES_MAX, Postman, pause_after

REFUND = {"kind": "refund", "amount": "10.00"}
CLOSED_HOURS = 'contact_hours: {start: "00:00", end: "00:00:01"}\n'


@pytest.fixture
async def open_desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with snapshots.of(furnish) as (url, furniture), desk(url, furniture) as opened:
        yield opened


@pytest.fixture
async def post(open_desk: Desk) -> AsyncIterator[tuple[Postman, Mailbox]]:
    async with mailbox() as (box, at), postman(open_desk, Smtp(at(), SENDER)) as man:
        yield man, box


async def denied(desk: Desk, name: str = "r1") -> None:
    """The letters of a denial alone: the survey that follows a day later has tests of its own (test_survey.py)."""
    await desk.referral(name)
    assert (await desk.decide(name, "deny", reason="evidence_insufficient")).status_code < 300
    assert await desk.judge(name) == "denied"
    await sql(desk, "DELETE FROM notice WHERE template = 'satisfaction_survey'")


async def test_a_denial_is_told_to_both_sides_with_its_reason_and_the_way_to_appeal(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, box = post
    await denied(open_desk)
    assert await brief(open_desk) == [("denied", "c-r1", "waiting"), ("denied", "dexter", "waiting")]
    assert await man.deliver(now()) == 2
    assert {letter["To"] for letter in box.letters} == {"r1@example.com", "dexter@example.com"}
    for letter in box.letters:
        body = letter.get_body(("plain",))
        assert body is not None
        words = body.get_content()
        assert "there was not enough evidence" in words
        assert "you can appeal: say why" in words
        assert f"{HOME}/status/" in words
    assert await brief(open_desk) == [("denied", "c-r1", "sent"), ("denied", "dexter", "sent")]
    assert await man.deliver(now() + timedelta(days=1)) == 0


async def test_what_was_written_is_on_record_without_the_readers_own_link(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, _ = post
    await denied(open_desk)
    await man.deliver(now())
    shown = (await open_desk.get("/v1/referrals/r1")).json()["communication"]
    assert [(each["what"], each["to"], each["state"]) for each in shown] == [
        ("denied", "referee", "sent"),
        ("denied", "referrer", "sent"),
    ]
    assert all("(the reader's own link)" in each["text"] and "/status/" not in each["text"] for each in shown)
    assert "@example.com" not in json.dumps(shown)
    kept = await bodies(open_desk.database, "subject_id IN (SELECT id FROM notice)")
    assert {body["to"] for body in kept} == {"r1@example.com", "dexter@example.com"}


async def test_what_was_told_is_told_once_however_often_it_is_judged(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, box = post
    await denied(open_desk)
    for _ in range(3):
        await open_desk.judge("r1")
        await man.deliver(now())
    assert len(box.letters) == 2


async def test_many_postmen_tell_each_message_once(open_desk: Desk, post: tuple[Postman, Mailbox]) -> None:
    man, box = post
    for number in range(4):
        await denied(open_desk, f"m{number}")
    await asyncio.gather(*(man.deliver(now()) for _ in range(8)))
    assert len(box.letters) == 8
    assert len({letter["Message-ID"] for letter in box.letters}) == 8


async def test_a_postman_who_dies_leaves_his_letters_to_the_next_after_his_lease(
    open_desk: Desk, post: tuple[Postman, Mailbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    man, box = post
    await denied(open_desk)

    async def killed(*_: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(man, "_carry_out", killed)
        with pytest.raises(asyncio.CancelledError):
            await man.deliver(now())
    assert await man.deliver(now()) == 0
    assert await man.deliver(now() + timedelta(minutes=4)) == 2
    assert len(box.letters) == 2


async def test_a_server_in_trouble_is_tried_again_ever_more_rarely_and_in_the_end_it_is_said_to_have_failed(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, box = post
    await denied(open_desk)
    await sql(open_desk, "DELETE FROM notice WHERE audience = 'referee'")
    box.to_recipient = ["451 later"] * _TRIES_MAX
    at = now()
    for tries in range(1, _TRIES_MAX + 1):
        assert await man.deliver(at) == 1
        at += pause_after(tries)
    [row] = await told(open_desk)
    assert (row.state, row.why, row.attempts, row.due_at) == (
        "failed",
        "the mail server answered 451",
        _TRIES_MAX,
        None,
    )
    assert timedelta(days=2) < at - now() < timedelta(days=4)
    assert box.letters == []


async def test_a_refusal_for_good_is_not_tried_again(open_desk: Desk, post: tuple[Postman, Mailbox]) -> None:
    man, box = post
    await denied(open_desk)
    box.to_recipient = ["550 no", "550 no"]
    await man.deliver(now())
    assert {(row.state, row.why) for row in await told(open_desk)} == {
        ("undeliverable", "the mail server answered 550")
    }


async def test_a_repeat_after_a_broken_connection_bears_the_same_message_id(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, box = post
    await denied(open_desk)
    await sql(open_desk, "DELETE FROM notice WHERE audience = 'referee'")
    box.to_data = [None]
    await man.deliver(now())
    await man.deliver(now() + timedelta(minutes=2))
    assert len({letter["Message-ID"] for letter in box.letters}) == 1
    assert len(box.letters) == 2
    assert [row.state for row in await told(open_desk)] == ["sent"]


async def test_without_a_mail_server_the_history_says_so(open_desk: Desk) -> None:
    await denied(open_desk)
    async with postman(open_desk, None) as man:
        await man.deliver(now())
    assert {(row.state, row.why) for row in await told(open_desk)} == {("undeliverable", "no mail server is connected")}


async def test_outside_contact_hours_a_letter_is_held_until_they_open(database_url: str) -> None:
    async with desk(database_url) as opened, mailbox() as (box, at), postman(opened, Smtp(at(), SENDER)) as man:
        hours = f"{PROGRAM.replace('program: acme-friends', 'program: by-day')}\n{CLOSED_HOURS}"
        await opened.publish(hours)
        who = {"customer": "c-h1", "email": "h1@example.com"}
        about = {"referral": "h1", "program": "by-day", "referrer": "dexter", "channel": "email", "referee": who}
        await opened.tell([event("h1-1", "referral.sent", days_ago(10), about)])
        await opened.tell([event("h1-2", "referral.withdrawn", days_ago(1), {"referral": "h1", "by": "referrer"})])
        assert await opened.judge("h1") == "withdrawn"
        await man.deliver(now())
        [row] = await told(opened, "h1")
        assert (row.state, row.why, row.attempts) == ("held", "The program's contact hours are closed.", 0)
        assert row.due_at > now()
        await man.deliver(row.due_at)
        [row] = await told(opened, "h1")
        assert (row.state, row.why) == ("undeliverable", "no address is on record")  # dexter enrolled elsewhere
        assert box.letters == []


def unclaimed(name: str, *further: dict[str, Any]) -> list[dict[str, Any]]:
    who = {"customer": f"c-{name}", "email": f"{name}@example.com"}
    about = {"referral": name, "program": "acme-friends", "referrer": "dexter", "channel": "email", "referee": who}
    bought = {"order": f"o-{name}", "kind": "purchase", "customer": who, "amount": "80.00", "currency": "USD"}
    return [
        event(f"{name}-1", "referral.sent", days_ago(10), about),
        event(f"{name}-2", "conversion.recorded", days_ago(5), bought),
        *further,
    ]


GRANTED = event("g", "consent.granted", days_ago(9), {"person": {"customer": "c-u1"}, "scope": "contact"})
REFUSED = event("w", "consent.withdrawn", days_ago(8), {"person": {"customer": "c-u1"}, "scope": "contact"})
ISSUE = event("i", "customer.issue_opened", days_ago(3), {"customer": {"customer": "c-u1"}, "issue": "i-9"})


@pytest.mark.parametrize(
    ("said", "state", "why"),
    [
        ([GRANTED], "sent", None),
        ([], "suppressed", "There is no consent to be contacted on record."),
        ([GRANTED, REFUSED], "suppressed", "Consent to be contacted was refused or withdrawn"),
        ([GRANTED, ISSUE], "suppressed", "A customer issue is unresolved: i-9."),
    ],
    ids=["consent", "none", "withdrawn", "issue"],
)
async def test_a_reminder_is_left_out_at_a_bad_time_and_the_reason_is_kept(
    open_desk: Desk, post: tuple[Postman, Mailbox], said: list[Any], state: str, why: str | None
) -> None:
    man, _ = post
    await open_desk.tell(unclaimed("u1", *said))
    assert await open_desk.judge("u1") == "purchased_unclaimed"
    await man.deliver(now())
    [row] = await told(open_desk, "u1")
    assert (row.template, row.state) == ("claim_reminder", state)
    assert (row.why or "").startswith(why or "")


async def test_an_issue_that_opens_after_the_reminder_was_planned_still_suppresses_it(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, box = post
    await open_desk.tell(unclaimed("u1", GRANTED))
    await open_desk.judge("u1")
    await open_desk.tell([ISSUE])
    await man.deliver(now())
    assert [row.state for row in await told(open_desk, "u1")] == ["suppressed"]
    assert box.letters == []


async def test_a_reminder_that_came_too_late_to_help_is_overtaken(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, _ = post
    await open_desk.tell(unclaimed("u1", GRANTED))
    await open_desk.judge("u1")
    claim = {"referral": "u1", "referee": {"customer": "c-u1"}, "consent": True}
    await open_desk.tell([event("u1-3", "referral.claimed", days_ago(1), claim)])
    await open_desk.judge("u1")
    await man.deliver(now())
    [row] = await told(open_desk, "u1")
    assert (row.state, row.why) == ("suppressed", "No longer needed: the referral is in return period by now.")


async def test_a_back_fill_writes_to_nobody_and_says_why(open_desk: Desk, post: tuple[Postman, Mailbox]) -> None:
    man, box = post
    who = {"customer": "c-b1", "email": "b1@example.com"}
    about = {"referral": "b1", "program": "acme-friends", "referrer": "dexter", "channel": "email", "referee": who}
    await open_desk.tell([event("b1-1", "referral.sent", days_ago(100), about)])
    assert await open_desk.judge("b1") == "expired"
    assert await man.deliver(now()) == 0
    [row] = await told(open_desk, "b1")
    assert (row.template, row.recipient, row.state) == ("expired", "dexter", "suppressed")
    assert "too long ago to tell anybody now" in row.why
    assert box.letters == []


async def test_a_request_for_evidence_is_told_to_both_sides(open_desk: Desk, post: tuple[Postman, Mailbox]) -> None:
    man, box = post
    await open_desk.referral("r1")
    assert (await open_desk.decide("r1", "request_evidence", note="is c-r1 a colleague?")).status_code < 300
    await man.deliver(now())
    assert await brief(open_desk) == [
        ("evidence_requested", "c-r1", "sent"),
        ("evidence_requested", "dexter", "sent"),
    ]
    assert all("colleague" not in letter.as_string() for letter in box.letters)


async def test_a_claim_that_waits_is_reminded_of_and_then_escalated_once_each(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, box = post
    async with open_desk.database.transaction() as connection:
        await users.set_contact(connection, "paula", "paula@acme.example")
    await open_desk.add_user("pia", Role.PROGRAM_OWNER)
    await open_desk.referral("r1")
    reminded = [("approval_reminder", "paula", "waiting"), ("approval_reminder", "pia", "waiting")]
    for days, expected in (
        (1.9, []),
        (2.1, reminded),
        (4.9, reminded),
        (5.1, [*[("approval_escalation", name, "waiting") for name in ("oscar", "paula", "pia")], *reminded]),
        (60, [*[("approval_escalation", name, "waiting") for name in ("oscar", "paula", "pia")], *reminded]),
    ):
        await sql(
            open_desk,
            "UPDATE referral SET waiting_since = now() - CAST(:days AS float) * interval '1 day',"
            " judged_at = now() - CAST(:days AS float) * interval '1 day'",
            days=days,
        )
        assert await open_desk.judge("r1") == "awaiting_approval"
        assert await brief(open_desk) == expected, days
    await man.deliver(now())
    assert [letter["To"] for letter in box.letters] == ["paula@acme.example"] * 2
    assert all(f"{HOME}/claims/r1" in letter.as_string() for letter in box.letters)
    assert {(row.recipient, row.why) for row in await told(open_desk, state="undeliverable")} == {
        ("oscar", "no address is on record"),
        ("pia", "no address is on record"),
    }


@pytest.mark.parametrize(("tries", "minutes"), [(1, 1), (2, 2), (5, 16), (9, 256), (10, 360), (20, 360), (100, 360)])
def test_the_pause_doubles_up_to_six_hours(tries: int, minutes: int) -> None:
    assert pause_after(tries) == timedelta(minutes=minutes)


async def test_the_metrics_count_messages_by_where_they_stand(open_desk: Desk, post: tuple[Postman, Mailbox]) -> None:
    man, box = post
    await denied(open_desk)
    await denied(open_desk, "r2")
    box.to_recipient = ["550 no"]
    await sql(open_desk, "UPDATE notice SET due_at = now() + interval '1 day' WHERE referral_id = 'r2'")
    await man.deliver(now())
    past = "planned_at = now() - interval '2 hours', due_at = now() - interval '1 minute'"
    await sql(open_desk, f"UPDATE notice SET {past} WHERE referral_id = 'r2' AND audience = 'referee'")
    said = await open_desk.metrics()
    for line in (
        'referrals_notices{state="waiting"} 2.0',
        'referrals_notices{state="sent"} 1.0',
        'referrals_notices{state="undeliverable"} 1.0',
        "referrals_notices_late 1.0",
    ):
        assert line in said.splitlines()


async def test_where_rewards_are_paid_once_a_month_an_approval_is_told_and_so_is_its_end(database_url: str) -> None:
    monthly = PROGRAM.replace("program: acme-friends", "program: monthly").replace(
        "timing: immediate", 'timing: {cycle: monthly, day: 15, minimum: "20.00"}'
    )
    async with desk(database_url) as opened, mailbox() as (box, at), postman(opened, Smtp(at(), SENDER)) as man:
        await opened.publish(monthly)
        joined = {"referrer": "dexter", "program": "monthly", "customer": "c-dexter", "email": "dexter@example.com"}
        await opened.tell([event("e-2", "referrer.enrolled", days_ago(300), joined)])
        facts = [
            {**each, "data": {**each["data"], **({"program": "monthly"} if "program" in each["data"] else {})}}
            for each in life_of("r1")
        ]
        await opened.tell(facts)
        assert await opened.judge("r1") == "awaiting_approval"
        await opened.decide("r1", "approve")
        assert await opened.judge("r1") == "approved"
        # A fact that changes nothing has it judged anew and found the same: nobody is told otherwise.
        await opened.tell([event("s", "satisfaction.rated", days_ago(1), {"referral": "r1", "score": 5})])
        assert await opened.judge("r1") == "approved"
        await man.deliver(now())
        assert await brief(opened) == [("approved", "c-r1", "sent"), ("approved", "dexter", "sent")]
        assert any("You receive 25.00 USD in account credit." in letter.as_string() for letter in box.letters)
        await opened.tell([event("r", "conversion.reversed", days_ago(0.5), {**REFUND, "order": "o-r1"})])
        assert await opened.judge("r1") == "awaiting_approval"
        await man.deliver(now())
        assert [row for row in await brief(opened) if row[0] == "approval_cancelled"] == [
            ("approval_cancelled", "c-r1", "sent"),
            ("approval_cancelled", "dexter", "sent"),
        ]


async def test_a_claim_that_changes_before_anybody_approved_it_cancels_nothing(
    open_desk: Desk, post: tuple[Postman, Mailbox]
) -> None:
    man, box = post
    await open_desk.referral("r1")
    await open_desk.tell([event("r", "conversion.reversed", days_ago(0.5), {**REFUND, "order": "o-r1"})])
    assert await open_desk.judge("r1") == "awaiting_approval"
    await man.deliver(now())
    assert box.letters == []
