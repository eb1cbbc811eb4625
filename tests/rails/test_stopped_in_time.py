"""A payment by hand is sent when its instruction is exported. What comes before stops it, what comes after is asked.

The API, the judgement and the payout's activity are real, over a real database; the bank is people.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from activities.inquiries import Inquiries
from activities.messages import PayoutProgress, PayoutRequest
from activities.payouts import Payouts
from referral_rewards.domain.payouts import bank_file
from referral_rewards.domain.payouts.states import Accepted, Answer, Declined, Paid, PaymentRequest
from referral_rewards.domain.programs.terms import Role
from referral_rewards.rails.manual import Manual
from referral_rewards.sources.http import RegisterSource
from tests.desk import PROGRAM, Desk, account, desk_after, event
from tests.notices.posting import now, sql
from tests.snapshots import Snapshots
from worker.build import rails

_TERMS = PROGRAM.replace("credit: account_credit", "credit: manual").replace(
    "effective_from: 2025-01-01", "effective_from: 2025-01-02"
)


@dataclass
class Bank:
    """The two payouts of r1, to the referrer and to the referee, which paula approved and people are to pay."""

    desk: Desk

    async def payouts(self) -> list[dict[str, Any]]:
        return list((await self.desk.get("/v1/payouts", "fiona")).json()["payouts"])

    async def of(self, payee: str) -> dict[str, Any]:
        (found,) = [each for each in await self.payouts() if each["payee"] == payee]
        return dict((await self.desk.get(f"/v1/payouts/{found['payout']}", "fiona")).json())

    async def states(self) -> dict[str, str]:
        return {each["payee"]: each["state"] for each in await self.payouts()}

    async def work(self) -> list[PayoutProgress]:
        """Each payout's workflow wakes once."""
        asking = Inquiries(self.desk.database, self.desk.parts.intake, {"register": RegisterSource()})
        keys = self.desk.parts.keys
        doing = Payouts(self.desk.database.worker, keys, rails(self.desk.database.worker, keys), asking, now)
        paid = [each["payout"] for each in await self.payouts()]
        return [await doing.send_payout(PayoutRequest(payout=each, now=now())) for each in paid]

    async def export(self, as_: str = "fiona", **asked: Any) -> Any:
        path = "/v1/payouts/instructions"
        return await self.desk.api.post(path, json=asked, headers=self.desk.bearer(as_))

    async def file(self) -> list[str]:
        answer = (await self.desk.get("/v1/payouts/instructions", "fiona")).json()
        return sorted(each["payee"] for each in answer["instructions"])

    async def asked(self, payee: str) -> Answer | None:
        """What the rail answers of a payout under its present key."""
        shown = await self.of(payee)
        (row,) = await sql(self.desk, "SELECT body FROM payout WHERE id = CAST(:id AS uuid)", id=shown["payout"])
        rail = Manual(self.desk.database, self.desk.parts.keys)
        return await rail.look_up(PaymentRequest.of(row.body), shown["key"])

    async def queue(self) -> list[str]:
        return sorted(each["exception"] for each in (await self.desk.get("/v1/claims", "fiona")).json()["claims"])

    async def refund(self) -> None:
        told = event("r1-back", "conversion.reversed", now(), {"order": "o-r1", "kind": "refund"})
        assert (await self.desk.tell([told])).status_code == 202

    async def say(self, payee: str, act: str, as_: str, reason: str = "other", **given: Any) -> Any:
        shown = await self.of(payee)
        about = {"act": act, "reason": reason, "note": "asked the bank", "digest": shown["digest"], **given}
        path = f"/v1/payouts/{shown['payout']}/decisions"
        return await self.desk.api.post(path, json=about, headers=self.desk.bearer(as_))


@pytest.fixture
async def bank(snapshots: Snapshots) -> AsyncIterator[Bank]:
    async with desk_after(snapshots, _approved) as opened:
        yield Bank(opened)


async def _approved(opened: Desk) -> None:
    for name in ("frank", "flora"):
        await opened.add_user(name, Role.FINANCE)
    await opened.publish(_TERMS)
    assert (await opened.tell([account("dexter"), account("c-r1")])).status_code == 202
    await opened.referral("r1")
    assert (await opened.decide("r1", "approve")).status_code < 300
    assert await opened.judge("r1") == "approved"


async def test_a_refund_before_the_export_stops_it_and_nobody_is_asked(bank: Bank) -> None:
    await bank.work()
    assert await bank.queue() == ["payout_approved", "payout_approved"]
    await bank.refund()
    assert await bank.desk.judge("r1") == "denied"
    answer = (await bank.export()).json()
    assert (answer["exported"], answer["left_out"], await bank.file(), await bank.queue()) == ([], [], [], [])
    shown = (await bank.desk.get("/v1/referrals/r1")).json()
    assert (shown["status"], shown["reason"]) == ("denied", "conversion_reversed")
    assert set((await bank.states()).values()) == {"cancelled"}


async def test_a_refund_that_nobody_judged_yet_stops_the_export_too(bank: Bank) -> None:
    await bank.refund()
    answer = (await bank.export()).json()
    assert answer["exported"] == []
    assert len(answer["left_out"]) == 2
    assert await sql(bank.desk, "SELECT * FROM payment_instruction") == []
    assert await bank.desk.judge("r1") == "denied"


async def test_an_export_sends_each_instruction_once_and_shows_it_again(bank: Bank) -> None:
    first = (await bank.export()).json()
    assert (len(first["exported"]), first["left_out"], first["next"]) == (2, [], None)
    assert (await bank.export("frank")).json() == {"exported": [], "left_out": [], "next": None}
    shown = (await bank.desk.get("/v1/payouts/instructions", "frank")).json()["instructions"]
    assert [each["exported_by"] for each in shown] == ["fiona", "fiona"]
    assert {each["key"] for each in shown} == {f"{payout}-1" for payout in first["exported"]}
    assert await bank.desk.judge("r1") == "paying"
    assert set((await bank.states()).values()) == {"accepted"}
    noted = await sql(bank.desk, "SELECT actor, subject FROM audit_event WHERE act = 'instruction.exported'")
    assert sorted((each.actor, each.subject) for each in noted) == [
        ("fiona", each) for each in sorted(first["exported"])
    ]


async def test_an_export_goes_on_where_the_last_request_ended(bank: Bank) -> None:
    first = (await bank.export(limit=1)).json()
    assert len(first["exported"]) == 1
    second = (await bank.export(limit=1, after=first["next"])).json()
    assert len({*first["exported"], *second["exported"]}) == 2


async def test_two_people_who_export_at_once_write_each_instruction_once(bank: Bank) -> None:
    answers = await asyncio.gather(bank.export("fiona"), bank.export("frank"))
    exported = [each for answer in answers for each in answer.json()["exported"]]
    assert sorted(exported) == sorted(each["payout"] for each in await bank.payouts())
    sent = await sql(bank.desk, "SELECT payout_id FROM payout_step WHERE act = 'sent'")
    assert len(sent) == 2


async def test_an_instruction_that_the_register_refuses_is_a_bug_and_sends_nothing(bank: Bank) -> None:
    await sql(bank.desk, "ALTER TABLE payment_instruction ADD CONSTRAINT ck_for_test CHECK (false)")
    assert (await bank.export()).status_code == 500
    assert set((await bank.states()).values()) == {"approved"}
    assert await sql(bank.desk, "SELECT * FROM payout WHERE first_sent_at IS NOT NULL") == []


async def test_the_file_for_the_bank_has_names_and_accounts_in_clear_and_each_look_is_on_record(bank: Bank) -> None:
    await bank.export()
    answer = await bank.desk.api.post("/v1/payouts/instructions/file", json={}, headers=bank.desk.bearer("frank"))
    lines = {each["payee"]: (each["destination"], each["missing"]) for each in answer.json()["lines"]}
    assert lines == {"dexter": ("account-of-dexter", None), "c-r1": ("account-of-c-r1", None)}
    noted = await sql(bank.desk, "SELECT actor, subject, details FROM audit_event WHERE act = 'payee.seen'")
    assert sorted((each.actor, each.subject, each.details["because"]) for each in noted) == [
        ("frank", "c-r1", "bank_file"),
        ("frank", "dexter", "bank_file"),
    ]


_NOWHERE = (
    "UPDATE payout SET body = jsonb_set(body, '{destination}', '\"x-9\"') WHERE payee = 'dexter'",
    "UPDATE payment_instruction SET destination = 'x-9' WHERE payee = 'dexter'",
)


async def test_an_instruction_without_an_account_in_words_is_not_for_the_bank(bank: Bank) -> None:
    """Nobody told this account of the payee: the row was written by hand."""
    await bank.export()
    for statement in _NOWHERE:
        await sql(bank.desk, statement)
    answer = await bank.desk.api.post("/v1/payouts/instructions/file", json={}, headers=bank.desk.bearer("frank"))
    missing = {each["payee"]: (each["destination"], each["missing"]) for each in answer.json()["lines"]}
    assert missing["dexter"] == (None, "its payee has told no such destination")


async def test_the_desk_exports_them_and_shows_what_to_pay(bank: Bank) -> None:
    async with bank.desk.browser("fiona") as fiona:
        assert "2 instructions wait" in (await fiona.get("/payouts/instructions")).text
        assert "/payouts/instructions" in (await fiona.get("/payouts")).text
        shown = await fiona.send("/payouts/instructions")
        assert (shown.status_code, f"{(await bank.of('dexter'))['payout']}-1" in shown.text) == (200, True)
        assert "instructions wait" not in shown.text
    async with bank.desk.browser("paula") as paula:
        assert (await paula.get("/payouts/instructions")).status_code == 403
        assert (await paula.send("/payouts/instructions")).status_code == 403


async def test_the_desk_hands_out_the_file_for_the_bank_and_each_look_is_on_record(bank: Bank) -> None:
    await bank.export()
    async with bank.desk.browser("fiona") as fiona:
        assert 'action="/payouts/instructions/file"' in (await fiona.get("/payouts/instructions")).text
        file = await fiona.send("/payouts/instructions/file")
    assert (file.status_code, file.headers["cache-control"]) == (200, "no-store")
    assert file.headers["content-disposition"].startswith('attachment; filename="instructions-')
    rows = list(csv.DictReader(io.StringIO(file.text)))
    dexter = await bank.of("dexter")
    paid = {each["payee"]: (each["destination"], each["instruction"]) for each in rows}
    assert paid["dexter"] == ("account-of-dexter", dexter["key"])
    assert list(rows[0]) == list(bank_file.COLUMNS)
    noted = await sql(bank.desk, "SELECT actor, subject, details FROM audit_event WHERE act = 'payee.seen'")
    assert sorted((each.actor, each.subject, each.details["because"]) for each in noted) == [
        ("fiona", "c-r1", "bank_file"),
        ("fiona", "dexter", "bank_file"),
    ]
    async with bank.desk.browser("paula") as paula:
        assert (await paula.send("/payouts/instructions/file")).status_code == 403


async def test_the_desk_names_what_has_nowhere_to_go_before_it_hands_out_the_others(bank: Bank) -> None:
    await bank.export()
    for statement in _NOWHERE:
        await sql(bank.desk, statement)
    async with bank.desk.browser("fiona") as fiona:
        page = await fiona.send("/payouts/instructions/file")
        assert "its payee has told no such destination" in page.text
        assert "content-disposition" not in page.headers
        file = await fiona.send("/payouts/instructions/file", others="yes")
    assert [each["payee"] for each in csv.DictReader(io.StringIO(file.text))] == ["c-r1"]


async def test_only_finance_exports(bank: Bank) -> None:
    for who in ("paula", "ada", "oscar"):
        assert (await bank.export(who)).status_code == 403
    assert (await bank.desk.get("/v1/payouts/instructions", "paula")).status_code == 403
    assert await bank.file() == []


async def test_nothing_is_exported_while_its_rail_is_halted(bank: Bank) -> None:
    halted = "INSERT INTO rail_halt (rail, halted_at, probed_at, why) VALUES ('manual', :at, :at, 'restored')"
    await sql(bank.desk, halted, at=now())
    answer = (await bank.export()).json()
    assert answer["exported"] == []
    assert all("restored" in each["why"] for each in answer["left_out"])
    # Past the time of the probe too: what a person takes away is no probe.
    await sql(bank.desk, "UPDATE rail_halt SET probed_at = probed_at - interval '1 day'")
    assert (await bank.export()).json()["exported"] == []


async def test_what_was_exported_before_a_refund_is_one_question_to_two_people(bank: Bank) -> None:
    await bank.export()
    await bank.work()
    await bank.refund()
    assert await bank.desk.judge("r1") == "paying"
    assert (await bank.file(), set((await bank.states()).values())) == ([], {"manual_review"})
    assert await bank.queue() == ["payout_manual_review", "payout_manual_review"]


async def test_carried_out_settles_it_and_opens_the_clawback_case(bank: Bank) -> None:
    await bank.export()
    await bank.refund()
    await bank.desk.judge("r1")
    said = {"act": "settle_payout", "reference": "BANK-7"}
    assert (await bank.say("dexter", as_="fiona", **said)).status_code == 201
    await bank.work()
    shown = await bank.of("dexter")
    assert (shown["state"], "another person must say the same" in shown["why"]) == ("manual_review", True)
    again = await bank.say("dexter", as_="fiona", **said)
    assert (again.status_code, again.json()["rule"]) == (409, "different_people")
    assert (await bank.say("dexter", as_="frank", **said)).status_code == 201
    await bank.work()
    assert ((await bank.of("dexter"))["state"], (await bank.of("dexter"))["reference"]) == ("settled", "BANK-7")
    await bank.desk.judge("r1")
    assert "clawback" in await bank.queue()
    settled = await sql(bank.desk, "SELECT sum(amount_minor) AS paid FROM posting WHERE account = 'clearing:manual'")
    assert -int(settled[0].paid) == shown["amount_minor"]


async def test_whoever_said_it_does_not_confirm_it_before_a_worker_looked_either(bank: Bank) -> None:
    await bank.export()
    await bank.refund()
    await bank.desk.judge("r1")
    said = {"act": "settle_payout", "reference": "BANK-7"}
    assert (await bank.say("dexter", as_="fiona", **said)).status_code == 201
    assert (await bank.say("dexter", as_="fiona", **said)).status_code == 409
    assert (await bank.say("dexter", as_="frank", **said)).status_code == 201
    third = await bank.say("dexter", as_="flora", **said)
    assert (third.status_code, third.json()["rule"]) == (409, "decided_meanwhile")


async def test_people_who_contradict_each_other_settle_nothing(bank: Bank) -> None:
    await bank.export()
    await bank.refund()
    await bank.desk.judge("r1")
    assert (await bank.say("dexter", "settle_payout", "fiona", reference="BANK-7")).status_code == 201
    assert (await bank.say("dexter", "refuse_payout", "frank")).status_code == 201
    await bank.work()
    assert (await bank.of("dexter"))["state"] == "manual_review"
    assert (await bank.say("dexter", "refuse_payout", "flora")).status_code == 201
    await bank.work()
    assert (await bank.of("dexter"))["state"] == "refused"


async def test_one_word_among_others_does_not_count_because_those_agree(bank: Bank) -> None:
    """All three speak before a worker looks."""
    await bank.export()
    await bank.refund()
    await bank.desk.judge("r1")
    assert (await bank.say("dexter", "settle_payout", "fiona", reference="BANK-7")).status_code == 201
    assert (await bank.say("dexter", "refuse_payout", "frank")).status_code == 201
    assert (await bank.say("dexter", "refuse_payout", "flora")).status_code == 201
    await bank.work()
    assert (await bank.of("dexter"))["state"] == "refused"


async def test_another_reference_confirms_nothing_until_it_is_corrected(bank: Bank) -> None:
    await bank.export()
    await bank.refund()
    await bank.desk.judge("r1")
    assert (await bank.say("dexter", "settle_payout", "fiona", reference="BANK-7")).status_code == 201
    assert (await bank.say("dexter", "settle_payout", "frank", reference="BANK-1")).status_code == 201
    await bank.work()
    shown = await bank.of("dexter")
    assert (shown["state"], "under BANK-1" in shown["why"]) == ("manual_review", True)
    assert (await bank.say("dexter", "settle_payout", "frank", reference="BANK-7")).status_code == 201
    await bank.work()
    assert ((await bank.of("dexter"))["state"], (await bank.of("dexter"))["reference"]) == ("settled", "BANK-7")


async def test_the_rail_shows_what_two_people_said_also_once_one_of_them_left(bank: Bank) -> None:
    """Reconciling asks the rail; what was settled or refused by two people is no difference."""
    await bank.export()
    await bank.refund()
    await bank.desk.judge("r1")
    for who in ("fiona", "frank"):
        assert (await bank.say("dexter", "settle_payout", who, reference="BANK-7")).status_code == 201
        assert (await bank.say("c-r1", "refuse_payout", who)).status_code == 201
        if who == "fiona":
            assert isinstance(await bank.asked("dexter"), Accepted)
            assert isinstance(await bank.asked("c-r1"), Accepted)
    await bank.work()
    await sql(bank.desk, "UPDATE app_user SET barred_at = now() WHERE name = 'frank'")
    shown = await bank.of("dexter")
    assert await bank.asked("dexter") == Paid("BANK-7", shown["amount_minor"], "USD", shown["destination"])
    assert isinstance(await bank.asked("c-r1"), Declined)


async def test_a_refund_at_the_same_instant_as_the_export_is_before_it_or_after_it(bank: Bank) -> None:
    exported, _ = await asyncio.gather(bank.export(), bank.refund())
    status = await bank.desk.judge("r1")
    done = exported.json()["exported"]
    assert await bank.file() == []
    if done:
        assert status == "paying"
        states = {each["payout"]: each["state"] for each in await bank.payouts()}
        assert all(states[each] == "manual_review" for each in done)
    else:
        assert status == "denied"


async def not_carried_out(bank: Bank) -> None:
    """Both instructions were exported, and two people say that the bank carried out neither."""
    for payee in ("dexter", "c-r1"):
        for who in ("fiona", "frank"):
            said = await bank.say(payee, "refuse_payout", who)
            assert said.status_code == 201, said.text
    await bank.work()
    assert set((await bank.states()).values()) == {"refused"}


async def test_not_carried_out_is_a_definitive_refusal_and_the_refund_denies_the_claim(bank: Bank) -> None:
    await bank.export()
    await bank.refund()
    assert await bank.desk.judge("r1") == "paying"
    await not_carried_out(bank)
    assert await bank.desk.judge("r1") == "denied"
    assert (await bank.desk.get("/v1/referrals/r1")).json()["reason"] == "conversion_reversed"
    assert (await bank.queue(), set((await bank.states()).values())) == ([], {"cancelled"})
    owed = await sql(bank.desk, "SELECT account, sum(amount_minor) AS left FROM posting GROUP BY 1")
    assert {int(each.left) for each in owed} == {0}
    assert (await bank.export()).json()["exported"] == []


async def refused(bank: Bank) -> None:
    """Both instructions were exported, and somebody said of each that the bank did not carry it out."""
    await bank.export()
    assert await bank.desk.judge("r1") == "paying"
    for payee in ("dexter", "c-r1"):
        assert (await bank.say(payee, "refuse_payout", "fiona")).status_code == 201
    await bank.work()
    assert await bank.desk.judge("r1") == "paying"


async def test_while_no_payment_counts_the_claim_is_denied_as_before_the_first(bank: Bank) -> None:
    await refused(bank)
    denied = await bank.desk.decide("r1", "deny")
    assert denied.status_code == 201, denied.text
    assert await bank.desk.judge("r1") == "denied"
    assert set((await bank.states()).values()) == {"cancelled"}


async def test_a_hold_and_its_release_bring_it_back_as_refused_and_a_person_retries_it(bank: Bank) -> None:
    await refused(bank)
    assert (await bank.desk.decide("r1", "hold")).status_code == 201
    assert await bank.desk.judge("r1") == "on_hold"
    assert set((await bank.states()).values()) == {"cancelled"}
    assert (await bank.desk.decide("r1", "release")).status_code == 201
    assert await bank.desk.judge("r1") == "approved"
    assert set((await bank.states()).values()) == {"refused"}
    assert (await bank.export()).json()["exported"] == []
    for payee in ("dexter", "c-r1"):
        assert (await bank.say(payee, "retry_payout", "frank")).status_code == 201
    await bank.work()
    assert len((await bank.export()).json()["exported"]) == 2
    assert await bank.desk.judge("r1") == "paying"
    assert {each["key"][-2:] for each in (await bank.payouts())} == {"-2"}


async def test_a_refund_stops_a_payment_that_was_refused_and_retried(bank: Bank) -> None:
    await refused(bank)
    for payee in ("dexter", "c-r1"):
        assert (await bank.say(payee, "retry_payout", "frank")).status_code == 201
    await bank.work()
    assert set((await bank.states()).values()) == {"approved"}
    await bank.refund()
    assert (await bank.export()).json()["exported"] == []
    assert await bank.desk.judge("r1") == "denied"
    assert set((await bank.states()).values()) == {"cancelled"}


async def test_while_one_payment_counts_the_claim_stays_as_it_was_paid(bank: Bank) -> None:
    await bank.export()
    assert await bank.desk.judge("r1") == "paying"
    assert (await bank.say("dexter", "refuse_payout", "fiona")).status_code == 201
    await bank.work()
    denied = await bank.desk.decide("r1", "deny")
    assert (denied.status_code, denied.json()["rule"]) == (409, "payment_committed")
    await bank.refund()
    assert await bank.desk.judge("r1") == "paying"
    assert await bank.states() == {"dexter": "refused", "c-r1": "manual_review"}
