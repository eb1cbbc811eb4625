"""What people decide on a program over the API: its referrals, claims, payouts and budget follow."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text

from activities.inquiries import Inquiries
from activities.messages import PayoutRequest
from activities.payouts import Payouts
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.programs.life import program_id
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions import program_acts
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.program_life import subject as program_subject
from referral_rewards.register.program_life import waking
from referral_rewards.register.recording.record import record
from referral_rewards.sources.http import RegisterSource
from tests.desk import PEPPER, PROGRAM, Desk
from worker.build import rails

_ACME: Final = "acme-friends"
_ZONE: Final = ZoneInfo("America/New_York")


async def act(desk: Desk, kind: str, as_: str = "paula", **given: Any) -> httpx.Response:
    """A decision on the program against what is shown of it now."""
    shown = (await desk.get(f"/v1/programs/{_ACME}/life", as_)).json()
    asked = {"act": kind, "reason": "other", "note": "looked at it", "digest": shown["digest"], **given}
    return await desk.api.post(f"/v1/programs/{_ACME}/decisions", json=asked, headers=desk.bearer(as_))


async def acted(desk: Desk, kind: str, as_: str = "paula", **given: Any) -> dict[str, Any]:
    """A decision that is recorded, and whose wake-ups are delivered."""
    made = await act(desk, kind, as_, **given)
    assert made.status_code == 201, made.text
    await wake(desk)
    return dict(made.json())


async def wake(desk: Desk) -> None:
    """Wakes what the acts concern, as the program's workflow does."""
    async with desk.database.transaction() as connection:
        await waking.wake_page(connection, _ACME, datetime.now(UTC), desk.parts.keys, None, None)


async def rows(desk: Desk, statement: str, **values: Any) -> list[Any]:
    async with desk.database.transaction() as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def woken(desk: Desk, kind: str = "fact") -> set[str]:
    return {row.target for row in await rows(desk, "SELECT target FROM outbox WHERE kind = :kind", kind=kind)}


async def send(desk: Desk, payout: str) -> Any:
    """Sends a payout as its workflow does; how it went."""
    paying = Payouts(
        desk.database,
        desk.parts.keys,
        rails(desk.database.worker, desk.parts.keys),
        Inquiries(desk.database, Intake(PEPPER), {"register": RegisterSource()}),
        lambda: datetime.now(UTC),
    )
    return await paying.send_payout(PayoutRequest(payout=payout, now=datetime.now(UTC)))


def event(name: str, type_: str, time: datetime, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": name, "source": "site", "type": type_, "time": time.isoformat(), "data": data}


def invited(name: str, at: datetime, channel: str = "email") -> dict[str, Any]:
    referee = {"email": f"{name}@example.com"}
    return event(f"{name}-sent", "referral.sent", at, referral=name, program=_ACME, referrer="dexter", channel=channel,
                 referee=referee)  # fmt: skip


async def tell(desk: Desk, *events: dict[str, Any]) -> None:
    told = await desk.tell(list(events))
    assert told.status_code == 202, told.text


async def test_an_end_is_signed_by_the_program_owner_and_denies_what_begins_after_it(desk: Desk) -> None:
    before = datetime.now(UTC)
    await tell(desk, invited("r-before", before))
    assert await desk.judge("r-before") == "invited"
    made = await acted(desk, "end_program", reason="campaign_over")
    assert (made["user"], made["program"], made["roles"]) == ("paula", _ACME, ["program_owner"])
    ended_at = datetime.fromisoformat(made["at"])
    await tell(desk, invited("r-after", datetime.now(UTC)), invited("r-at", ended_at))
    for name in ("r-after", "r-at"):
        assert await desk.judge(name) == "denied"
        [row] = await rows(desk, "SELECT reason FROM referral WHERE id = :id", id=name)
        assert row.reason == "program_not_active"
        shown = (await desk.get(f"/v1/referrals/{name}")).json()
        assert f"ended on {ended_at.astimezone(_ZONE).day} " in shown["told"]["why"]
    assert await desk.judge("r-before") == "invited"
    async with desk.database.transaction() as connection:
        assert await decisions.chain_problems(connection, desk.parts.keys) == []


async def test_what_was_claimed_before_the_end_is_paid_after_it(desk: Desk) -> None:
    await desk.referral("r1")
    await acted(desk, "end_program")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    [payout] = await rows(desk, "SELECT id FROM payout WHERE payee = 'dexter'")
    assert (await send(desk, str(payout.id))).state == "settled"


async def test_a_back_fill_after_the_end_ends_as_a_life_did(desk: Desk) -> None:
    """Whatever arrives after the end and occurred before it lives on, and what occurred after it does not."""
    made = await acted(desk, "end_program")
    assert await desk.referral("r1") == "awaiting_approval"
    ended_at = datetime.fromisoformat(made["at"])
    await tell(desk, invited("late", ended_at + timedelta(microseconds=1)))
    assert await desk.judge("late") == "denied"


async def test_a_claim_at_the_very_instant_of_the_end_is_too_late_and_one_before_is_not(desk: Desk) -> None:
    made = await acted(desk, "end_program")
    ended_at = datetime.fromisoformat(made["at"])
    for name, at in (("at", ended_at), ("before", ended_at - timedelta(microseconds=1))):
        claim = {"program": _ACME, "referrer": "dexter", "channel": "link", "referee": {"email": f"{name}@x.example"}}
        await tell(desk, event(name, "referral.claimed", at, **claim, consent=True))
    found = {row.began_at: row.id for row in await rows(desk, "SELECT id, began_at FROM referral")}
    assert await desk.judge(found[ended_at]) == "denied"
    assert await desk.judge(found[ended_at - timedelta(microseconds=1)]) == "claimed"


async def test_an_end_wakes_what_may_still_be_claimed_and_gives_it_a_last_day(desk: Desk) -> None:
    sent_at = datetime.now(UTC)
    await tell(desk, invited("spoken", sent_at, "word_of_mouth"), invited("mailed", sent_at))
    for name in ("spoken", "mailed"):
        assert await desk.judge(name) == "invited"
    [spoken] = await rows(desk, "SELECT deadline FROM referral WHERE id = 'spoken'")
    assert spoken.deadline is None
    made = await acted(desk, "end_program")
    assert await woken(desk) >= {"spoken", "mailed"}
    assert await desk.judge("spoken") == "invited"
    [spoken] = await rows(desk, "SELECT deadline, wake_at FROM referral WHERE id = 'spoken'")
    ended_at = datetime.fromisoformat(made["at"])
    assert timedelta(days=29) < spoken.deadline - ended_at < timedelta(days=31)
    assert spoken.wake_at is not None


async def test_a_decision_by_somebody_without_the_role_is_refused_and_noted(desk: Desk) -> None:
    for by in ("fiona", "oscar", "ada"):
        refused = await act(desk, "end_program", by)
        assert (refused.status_code, "program owner" in refused.json()["detail"]) == (403, True), refused.text
    assert await rows(desk, "SELECT 1 FROM decision") == []
    noted = await rows(desk, "SELECT actor FROM audit_event WHERE act = 'decision.refused' ORDER BY actor")
    assert [row.actor for row in noted] == ["ada", "fiona", "oscar"]


@pytest.mark.forges
async def test_a_row_that_nobody_signed_ends_nothing(desk: Desk) -> None:
    made = await acted(desk, "end_program")
    async with desk.database.transaction() as connection:
        await connection.execute(text("ALTER TABLE decision DISABLE TRIGGER USER"))
        await connection.execute(text("UPDATE decision SET decided_at = decided_at - interval '1 day'"))
        life = await program_acts.of_program(connection, _ACME, desk.parts.keys)
    assert made["at"]
    assert life.ended_at is None


async def test_a_time_before_the_decision_is_bad_input_and_an_end_is_final(desk: Desk) -> None:
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    refused = await act(desk, "end_program", at=past)
    assert (refused.status_code, refused.json()["problems"][0]["where"]) == (422, "at"), refused.text
    await acted(desk, "end_program", at=(datetime.now(UTC) + timedelta(days=3)).isoformat())
    again = await act(desk, "end_program")
    assert (again.status_code, again.json()["rule"]) == (409, "not_now"), again.text


async def test_a_pause_refuses_approvals_and_voids_none(desk: Desk) -> None:
    await desk.add_user("pat", Role.PROGRAM_OWNER)
    await desk.referral("r1")
    await desk.referral("r2")
    await desk.decide("r1", "approve")
    await acted(desk, "pause_program", reason="fraud")
    refused = await desk.decide("r2", "approve")
    assert (refused.status_code, refused.json()["rule"]) == (409, "program_paused"), refused.text
    assert "is paused until somebody resumes it" in refused.json()["detail"]
    assert (await desk.decide("r2", "hold")).status_code == 201
    assert await desk.judge("r1") == "approved"
    await acted(desk, "resume_program", reason="cleared")
    await desk.decide("r2", "release")
    assert (await desk.decide("r2", "approve")).status_code == 201


async def test_a_pause_between_approval_and_payment_holds_it_until_the_program_is_resumed(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    [payout] = await rows(desk, "SELECT id FROM payout WHERE payee = 'dexter'")
    await acted(desk, "pause_program")
    held = await send(desk, str(payout.id))
    assert (held.state, "is paused" in held.why, held.again_after) == ("approved", True, None)
    [row] = await rows(desk, "SELECT first_sent_at, state FROM payout WHERE payee = 'dexter'")
    assert (row.first_sent_at, row.state) == (None, "approved")
    await rows(desk, "DELETE FROM outbox")
    await acted(desk, "resume_program", reason="cleared")
    assert str(payout.id) in await woken(desk, "payout_due")
    assert (await send(desk, str(payout.id))).state == "settled"


async def test_a_planned_resumption_says_when_a_payout_goes_on(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    await acted(desk, "pause_program")
    until = datetime.now(UTC) + timedelta(hours=2)
    await acted(desk, "resume_program", reason="cleared", at=until.isoformat())
    [payout] = await rows(desk, "SELECT id FROM payout WHERE payee = 'dexter'")
    held = await send(desk, str(payout.id))
    assert f"until {until:%Y-%m-%d %H:%M} UTC" in held.why
    async with desk.database.transaction() as connection:
        woken_ = await waking.wake_page(connection, _ACME, datetime.now(UTC), desk.parts.keys, None, None)
    assert woken_.again_at == until
    [row] = await rows(desk, "SELECT due_at FROM program_life")
    assert row.due_at == until


@pytest.mark.forges
async def test_a_payout_that_was_sent_is_looked_up_while_the_program_is_paused(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    await rows(
        desk, "UPDATE payout SET state = 'unknown', first_sent_at = now(), key_used_at = now() WHERE payee = 'dexter'"
    )
    await acted(desk, "pause_program")
    [payout] = await rows(desk, "SELECT id FROM payout WHERE payee = 'dexter'")
    went = await send(desk, str(payout.id))
    assert "paused" not in (went.why or "")


async def flags(desk: Desk, referral: str) -> list[str]:
    shown = (await desk.get(f"/v1/referrals/{referral}")).json()
    return [each["flag"] for each in shown["claim"]["flags"]]


_TIGHT: Final = PROGRAM.replace("effective_from: 2025-01-01", "effective_from: 2025-01-02")


async def test_the_budget_is_raised_by_two_people_for_what_waits_too(desk: Desk) -> None:
    await desk.publish(_with_budget("30.00"))
    await desk.referral("r1")
    assert await flags(desk, "r1") == ["cap_limited"]
    amount = {"amount_minor": 500_00, "currency": "USD"}
    await acted(desk, "add_budget", "fiona", **amount)
    assert await desk.judge("r1") == "awaiting_approval"
    assert await flags(desk, "r1") == ["cap_limited"]
    again = await act(desk, "add_budget", "fiona", **amount)
    assert again.status_code == 200
    await acted(desk, "add_budget", "paula", **amount)
    assert "r1" in await woken(desk)
    assert await desk.judge("r1") == "awaiting_approval"
    assert await flags(desk, "r1") == []
    life = (await desk.get(f"/v1/programs/{_ACME}/life")).json()
    assert (life["budget_minor"], life["budget_of_terms_minor"]) == (530_00, 30_00)


async def test_two_additions_add_up(desk: Desk) -> None:
    await desk.publish(_with_budget("30.00"))
    for amount_minor in (100, 250):
        for by in ("fiona", "paula"):
            await acted(desk, "add_budget", by, amount_minor=amount_minor, currency="USD")
    assert (await desk.get(f"/v1/programs/{_ACME}/life")).json()["budget_minor"] == 3350


async def test_a_budget_of_newer_terms_counts_for_what_waits_too(desk: Desk) -> None:
    await desk.publish(_with_budget("30.00"))
    await desk.referral("r1")
    assert await flags(desk, "r1") == ["cap_limited"]
    now = f"effective_from: {datetime.now(UTC).isoformat()}"
    await desk.publish(re.sub("effective_from: .*", now, _with_budget("500.00")))
    assert await woken(desk, "program_due") == {_ACME}
    await wake(desk)
    assert await desk.judge("r1") == "awaiting_approval"
    assert await flags(desk, "r1") == []


def _with_budget(amount: str) -> str:
    lines = [line for line in _TIGHT.splitlines() if not line.strip().startswith("budget:")]
    place = next(number for number, line in enumerate(lines) if line.startswith("limits:"))
    return "\n".join([*lines[: place + 1], f'  budget: "{amount}"', *lines[place + 1 :]])


async def test_the_database_finds_a_program_by_the_id_that_is_signed(desk: Desk) -> None:
    [row] = await rows(desk, "SELECT CAST(md5('program:' || CAST(:name AS text)) AS uuid) AS id", name=_ACME)
    assert row.id == program_id(_ACME)


async def test_a_program_that_nobody_knows_takes_nothing(desk: Desk) -> None:
    shown = await desk.get("/v1/programs/acme-freinds/life")
    assert (shown.status_code, "did you mean 'acme-friends'" in shown.json()["detail"]) == (404, True)


async def test_an_overdue_act_is_woken_by_the_sweep(desk: Desk) -> None:
    from referral_rewards.register import overdue

    assert (await act(desk, "pause_program")).status_code == 201
    await rows(desk, "DELETE FROM outbox")
    async with desk.database.transaction() as connection:
        await overdue.sweep(connection, datetime.now(UTC) + timedelta(minutes=5))
    assert await woken(desk, "program_due") == {_ACME}


@pytest.mark.parametrize("kind", ["release_cycle", "approve", "pay_below_minimum"])
async def test_a_program_takes_no_other_decisions(desk: Desk, kind: str) -> None:
    refused = await act(desk, kind)
    assert refused.status_code == 422, refused.text


async def test_a_payment_waits_for_a_pause_that_is_being_recorded_and_then_sees_it(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"
    [payout] = await rows(desk, "SELECT id FROM payout WHERE payee = 'dexter'")
    parts = desk.parts
    async with desk.database.transaction() as connection:
        shown = await program_subject.shown(connection, _ACME, datetime.now(UTC), parts.keys)
    asked = Asked(_ACME, MoneyAct.PAUSE_PROGRAM, "other", "looked at it", shown.digest)
    async with desk.database.transaction() as connection:
        owner = Approver("paula", frozenset({Role.PROGRAM_OWNER}))
        await record(connection, asked, owner, now=datetime.now(UTC), keys=parts.keys, signer=parts.signer)
        sending = asyncio.create_task(send(desk, str(payout.id)))
        while not await rows(desk, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            assert not sending.done()
            await asyncio.sleep(0.01)
    went = await sending
    assert (went.state, "is paused" in went.why) == ("approved", True)
    [row] = await rows(desk, "SELECT first_sent_at FROM payout WHERE payee = 'dexter'")
    assert row.first_sent_at is None
