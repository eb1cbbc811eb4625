"""Payout cycles at every phase: stopped and resumed, changed before the send, and by whom they may be released."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.payouts.states import Answer, PaymentRequest, body_hash
from referral_rewards.domain.programs.terms import Role
from referral_rewards.rails.account_credit import AccountCredit
from referral_rewards.register.cycles import rows
from tests.desk import Desk, account, days_ago, desk_after, event, life_of, marks
from tests.desk import desk as open_desk
from tests.patience import PATIENCE_SECONDS
from tests.register.cycling import Cycling, in_cycles
from tests.seeds import partly
from tests.snapshots import Snapshots
from tests.workflows.scenes import books

RELEASE, STOP, RESUME = MoneyAct.RELEASE_CYCLE, MoneyAct.STOP_CYCLE, MoneyAct.RESUME_CYCLE
DUE = {"dexter": 5000, "c-r1": 800, "c-r2": 800}


@pytest.fixture
async def cycling(snapshots: Snapshots) -> AsyncIterator[Cycling]:
    """A desk whose program pays in cycles, with two referrals approved."""
    async with desk_after(snapshots, _two_approved) as desk:
        yield Cycling(desk)


async def _two_approved(desk: Desk) -> None:
    await desk.publish(in_cycles())
    await desk.add_user("finn", Role.FINANCE)
    await Cycling(desk).approved("r1", "r2")


PHASES = ("opened", "gathered in part", "frozen", "released", "approved", "sent in part")


async def standing(cycling: Cycling, *referrals: str) -> list[str]:
    return [await cycling.desk.judge(each) for each in referrals]


async def test_what_finance_released_is_paid_once(cycling: Cycling) -> None:
    cycle = await cycling.frozen()
    assert await cycling.amounts(cycle) == DUE
    assert set((await cycling.send(cycle)).values()) == {"planned"}
    assert await cycling.decided(cycle, RELEASE) == "released"
    assert set((await cycling.send(cycle)).values()) == {"settled"}
    assert await cycling.settle(cycle) == "done"
    assert await standing(cycling, "r1", "r2") == ["rewarded", "rewarded"]
    assert await cycling.money() == books("r1", "r2")
    assert (await cycling.act(cycle, RELEASE)).status_code == 409
    again = await cycling.open(days=1)
    assert (await cycling.settle(again), await cycling.payouts(again)) == ("done", {})


@pytest.mark.parametrize("phase", partly(PHASES, suite=("frozen", "sent in part")))
async def test_stopped_and_resumed_at_any_phase_a_cycle_pays_everybody_once(
    cycling: Cycling, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("referral_rewards.register.cycles.gathering._PAYEES_AT_ONCE", 1)
    monkeypatch.setattr("referral_rewards.register.cycles.steps._PAYOUTS_AT_ONCE", 1)
    cycle, sent = await cycling.open(), "dexter" if phase == "sent in part" else None
    if phase == "gathered in part":
        assert await cycling.step(cycle)
    elif phase != "opened":
        assert await cycling.settle(cycle) == "frozen"
    if phase in ("released", "approved", "sent in part"):
        assert (await cycling.act(cycle, RELEASE)).status_code == 201
        await cycling.step(cycle)
        await cycling.step(cycle)
    if phase in ("approved", "sent in part"):
        assert await cycling.settle(cycle) == "released"
    if sent:
        await cycling.send(cycle, only={sent})
    assert (await cycling.act(cycle, STOP, as_="oscar")).status_code == 201
    # From the moment at which it is on record nothing goes out, whether or not the cycle has noticed it.
    assert "settled" not in {state for payee, state in (await cycling.send(cycle)).items() if payee != sent}
    assert await cycling.settle(cycle) == "stopped"
    states = await cycling.send(cycle)
    assert {state for payee, state in states.items() if payee != sent} <= {"planned"}
    stopped = await standing(cycling, "r1", "r2")
    assert stopped == (["paying"] * 2 if sent else ["approved"] * 2)
    resumed = await cycling.decided(cycle, RESUME)
    if resumed == "frozen":
        assert set((await cycling.send(cycle)).values()) == {"planned"}
        assert await cycling.decided(cycle, RELEASE) == "released"
    await cycling.send(cycle)
    assert await cycling.settle(cycle) == "done"
    assert await standing(cycling, "r1", "r2") == ["rewarded", "rewarded"]
    assert await cycling.money() == books("r1", "r2")


async def test_stopped_while_a_payment_is_at_its_rail_a_cycle_pays_that_one_once_and_the_others_when_it_goes_on(
    cycling: Cycling, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, opened, pay = asyncio.Event(), asyncio.Event(), AccountCredit.pay

    async def gated(rail: AccountCredit, request: PaymentRequest, key: str) -> Answer:
        reached.set()
        await opened.wait()
        return await pay(rail, request, key)

    cycle = await cycling.frozen()
    await cycling.decided(cycle, RELEASE)
    monkeypatch.setattr(AccountCredit, "pay", gated)
    sending = asyncio.create_task(cycling.send(cycle, only={"dexter"}))
    await asyncio.wait_for(reached.wait(), PATIENCE_SECONDS)
    assert await cycling.decided(cycle, STOP, "oscar") == "stopped"
    opened.set()
    assert await sending == {"dexter": "settled", "c-r1": "planned", "c-r2": "planned"}
    assert await cycling.decided(cycle, RESUME) == "released"
    assert set((await cycling.send(cycle)).values()) == {"settled"}
    assert await cycling.settle(cycle) == "done"
    assert await cycling.money() == books("r1", "r2")


async def test_payouts_that_come_to_rest_at_one_time_wake_their_cycle(cycling: Cycling) -> None:
    """Neither transaction sees that the other one's payout is at rest, and yet the later one wakes the cycle."""
    cycle = await cycling.frozen()
    assert await cycling.decided(cycle, RELEASE) == "released"
    assert (await cycling.send(cycle, only={"dexter"}))["dexter"] == "settled"
    await cycling.rows("DELETE FROM outbox")
    at_rest = text("UPDATE payout SET state = 'cancelled' WHERE cycle_id = :cycle AND payee = :payee")
    database = cycling.desk.database
    async with database.transaction() as one, database.transaction() as other:
        for connection, payee in ((one, "c-r1"), (other, "c-r2")):
            await connection.execute(at_rest, {"cycle": cycle, "payee": payee})
            await rows.wake_once_over(connection, cycle)
    woken = await cycling.rows("SELECT target FROM outbox WHERE kind = 'cycle_due'")
    assert [row.target for row in woken] == [str(cycle)] * 2


async def test_it_can_be_stopped_more_than_once_by_the_same_person(cycling: Cycling) -> None:
    cycle = await cycling.frozen()
    for _ in range(2):
        assert await cycling.decided(cycle, STOP) == "stopped"
        assert await cycling.decided(cycle, RESUME) == "frozen"
    assert await cycling.decided(cycle, RELEASE) == "released"
    for _ in range(2):
        assert await cycling.decided(cycle, STOP) == "stopped"
        assert await cycling.decided(cycle, RESUME) == "released"
    assert set((await cycling.send(cycle)).values()) == {"settled"}


async def test_two_workers_on_one_cycle_gather_release_and_pay_once(cycling: Cycling) -> None:
    cycle = await cycling.open()
    await asyncio.gather(*(cycling.settle(cycle) for _ in range(3)))
    assert await cycling.amounts(cycle) == DUE
    assert (await cycling.act(cycle, RELEASE)).status_code == 201
    await asyncio.gather(*(cycling.settle(cycle) for _ in range(3)))
    await asyncio.gather(*(cycling.send(cycle) for _ in range(3)))
    assert await cycling.settle(cycle) == "done"
    assert await cycling.money() == books("r1", "r2")


async def refunded(cycling: Cycling, referral: str) -> None:
    about = {"order": f"o-{referral}", "kind": "refund"}
    await cycling.desk.tell([event(f"{referral}-refund", "conversion.reversed", days_ago(0), about)])


@pytest.mark.parametrize("judged", [True, False], ids=["judged before", "found out by the payout"])
@pytest.mark.parametrize("released", [True, False], ids=["after the release", "before it"])
@pytest.mark.suite_has(2)
async def test_a_refund_before_the_send_takes_its_leg_out_and_the_others_are_paid(
    cycling: Cycling, judged: bool, released: bool
) -> None:
    cycle = await cycling.frozen()
    listed = (await cycling.row(cycle)).digest
    if released:
        await cycling.decided(cycle, RELEASE)
    await refunded(cycling, "r2")
    if judged:
        assert await standing(cycling, "r2") == ["denied"]
        assert await cycling.amounts(cycle) == {"dexter": 2500, "c-r1": 800}
    if not released:
        assert await cycling.decided(cycle, RELEASE) == "released"
    await cycling.send(cycle)
    assert await standing(cycling, "r2") == ["denied"]
    assert await cycling.send(cycle) == {"dexter": "settled", "c-r1": "settled", "c-r2": "cancelled"}
    assert await cycling.settle(cycle) == "done"
    assert await cycling.money() == books("r1")
    assert (await cycling.row(cycle)).digest == listed


async def test_a_hold_and_a_denial_take_the_legs_out_while_the_list_is_gathered(cycling: Cycling) -> None:
    cycle = await cycling.open()
    assert await cycling.step(cycle)
    await cycling.desk.decide("r1", "hold")
    await cycling.desk.decide("r2", "deny")
    assert await standing(cycling, "r1", "r2") == ["on_hold", "denied"]
    assert (await cycling.settle(cycle), await cycling.amounts(cycle)) == ("done", {})
    await cycling.desk.decide("r1", "release")
    assert await standing(cycling, "r1") == ["approved"]
    after = await cycling.frozen(days=1)
    assert await cycling.amounts(after) == {"dexter": 2500, "c-r1": 800}


async def test_after_the_send_a_refund_opens_a_clawback_case_and_stops_what_waits(cycling: Cycling) -> None:
    cycle = await cycling.frozen()
    await cycling.decided(cycle, RELEASE)
    await cycling.send(cycle, only={"dexter"})
    await refunded(cycling, "r1")
    assert await standing(cycling, "r1") == ["paying"]
    [case] = await cycling.rows("SELECT c.*, l.role FROM clawback_case c JOIN leg l ON l.id = c.leg_id")
    assert (case.referral_id, case.role) == ("r1", "referrer")
    # What waits of it comes before a person, in a payout of its own.
    [aside] = await cycling.rows("SELECT * FROM payout WHERE referral_id = 'r1'")
    assert (aside.payee, aside.state, aside.amount_minor) == ("c-r1", "manual_review", 800)
    assert await cycling.send(cycle) == {"dexter": "settled", "c-r1": "cancelled", "c-r2": "settled"}
    assert await cycling.settle(cycle) == "done"
    assert await standing(cycling, "r2") == ["rewarded"]
    assert (await cycling.money())["credit:dexter"] == -5000
    shown = (await cycling.desk.get("/v1/referrals/r1")).json()
    assert {(each["role"], each["state"]) for each in shown["payouts"]} == {
        ("referrer", "settled"),
        ("referee", "manual_review"),
        ("referee", "cancelled"),
    }


async def test_half_of_a_reward_failing_neither_blocks_nor_repeats_the_other(cycling: Cycling) -> None:
    cycle = await cycling.frozen()
    await cycling.decided(cycle, RELEASE)
    await cycling.rows("UPDATE payout SET body = body || '{\"payee\": \"mallory\"}' WHERE payee = 'c-r1'")
    states = await cycling.send(cycle)
    assert states == {"dexter": "settled", "c-r1": "manual_review", "c-r2": "settled"}
    assert await cycling.settle(cycle) == "done"
    assert await standing(cycling, "r1", "r2") == ["paying", "rewarded"]
    assert await cycling.send(cycle) == states
    assert (await cycling.money())["credit:dexter"] == -5000


# Minimum, tax and other programs.


async def test_below_the_minimum_legs_wait_until_cycles_later(database_url: str) -> None:
    async with open_desk(database_url) as desk:
        await desk.publish(in_cycles("50.00"))
        cycling = Cycling(desk)
        await cycling.approved("r1")
        first = await cycling.open()
        assert await cycling.settle(first) == "done"
        assert (await cycling.row(first)).summary["carried"] == [
            {"why": "below_minimum", "currency": "USD", "legs": 2, "amount_minor": 3300}
        ]
        await cycling.approved("r2")
        second = await cycling.frozen(days=1)
        assert await cycling.amounts(second) == {"dexter": 5000}
        # One leg falls away: what is left is below the minimum, and waits on.
        await refunded(cycling, "r2")
        await standing(cycling, "r2")
        assert await cycling.amounts(second) == {}
        await cycling.decided(second, RELEASE)
        assert await cycling.settle(second) == "done"
        await cycling.approved("r3")
        third = await cycling.frozen(days=2)
        assert await cycling.amounts(third) == {"dexter": 5000}
        await cycling.decided(third, RELEASE)
        assert await cycling.send(third) == {"dexter": "settled"}
        assert await standing(cycling, "r1", "r3") == ["paying", "paying"]
        preview = (await desk.get("/v1/cycles/preview?program=acme-friends")).json()
        assert {each["payee"] for each in preview["carried"]} == {"c-r1", "c-r3"}


async def test_a_leg_that_waits_for_a_tax_form_goes_into_the_next_cycle_once_it_is_filed(database_url: str) -> None:
    terms = {
        '{from_rewarded: 0, amount: "25.00"}': '{from_rewarded: 0, amount: "2500.00"}',
        'amount: "1000.00", period': 'amount: "10000.00", period',
        'four_eyes_from: "500.00"': 'four_eyes_from: "5000.00"',
    }
    async with open_desk(database_url) as desk:
        await desk.publish(in_cycles(**terms))
        cycling = Cycling(desk)
        await cycling.approved("r1")
        first = await cycling.frozen()
        assert await cycling.amounts(first) == {"c-r1": 800}
        [carried] = (await cycling.row(first)).summary["carried"]
        assert (carried["why"], carried["amount_minor"]) == ("tax_hold", 250000)
        filed = {"payee": "dexter", "form": "W-9", "valid_from": days_ago(1).date().isoformat()}
        assert (await desk.tell([event("w9", "payee.tax_form_filed", days_ago(0), filed)])).status_code == 202
        assert await standing(cycling, "r1") == ["approved"]
        second = await cycling.frozen(days=1)
        assert await cycling.amounts(second) == {"dexter": 250000}


async def test_two_programs_pay_one_payee_each_in_its_own_cycle(cycling: Cycling) -> None:
    desk = cycling.desk
    await desk.publish(in_cycles(**{"program: acme-friends": "program: acme-pals"}))
    about = {"referrer": "dexter", "program": "acme-pals", "customer": "c-dexter", "email": "dexter@example.com"}
    await desk.tell([event("e-pals", "referrer.enrolled", days_ago(300), about)])
    facts = life_of("p1")
    facts[0]["data"]["program"] = "acme-pals"
    await desk.tell(facts)
    await desk.judge("p1")
    await desk.decide("p1", "approve")
    assert await desk.judge("p1") == "approved"
    friends, pals = await cycling.frozen(), await cycling.open("acme-pals")
    assert await cycling.settle(pals) == "frozen"
    assert (await cycling.amounts(friends), await cycling.amounts(pals)) == (DUE, {"dexter": 2500, "c-p1": 800})
    await cycling.decided(pals, RELEASE)
    assert set((await cycling.send(pals)).values()) == {"settled"}
    assert set((await cycling.send(friends)).values()) == {"planned"}


# Who may, and what was only written.


async def test_only_finance_releases_and_nobody_what_they_are_paid_by(cycling: Cycling) -> None:
    await cycling.desk.add_user("dora", Role.FINANCE, marks=marks(email="dexter@example.com"))
    await cycling.desk.add_user("cleo", Role.FINANCE, marks=marks(customer="c-r1"))
    cycle = await cycling.frozen()
    for person in ("paula", "oscar", "ada"):
        assert (await cycling.act(cycle, RELEASE, person)).status_code == 403
    for person in ("dora", "cleo"):
        refused = await cycling.act(cycle, RELEASE, person)
        assert (refused.status_code, "own_claim" in refused.text) == (409, True)
    assert (await cycling.act(cycle, RELEASE, digest="0" * 64)).status_code == 409
    before = (await cycling.desk.get(f"/v1/cycles/{cycle}")).json()["digest"]
    await cycling.decided(cycle, STOP)
    await cycling.decided(cycle, RESUME)
    stale = await cycling.act(cycle, RELEASE, digest=before)
    assert (stale.status_code, "cycle stopped by fiona" in stale.text) == (409, True)
    assert set((await cycling.send(cycle)).values()) == {"planned"}


@pytest.mark.parametrize("resumed", [False, True], ids=["released", "resumed since"])
async def test_whoever_let_a_cycle_out_does_not_confirm_what_it_had_paid_by_hand(
    database_url: str, resumed: bool
) -> None:
    async with open_desk(database_url) as desk:
        await desk.publish(in_cycles(**{"credit: account_credit": "credit: manual"}))
        await desk.add_user("finn", Role.FINANCE)
        await desk.add_user("fi", Role.FINANCE, marks=marks(email="fiona@example.com"))
        await desk.add_user("faye", Role.FINANCE)
        cycling = Cycling(desk)
        await cycling.rows(
            "UPDATE app_user SET marks = (SELECT marks FROM app_user WHERE name = 'fi') WHERE name = 'fiona'"
        )
        assert (await desk.tell([account("dexter"), account("c-r1")])).status_code == 202
        await cycling.approved("r1")
        cycle = await cycling.frozen()
        await cycling.decided(cycle, RELEASE)
        if resumed:
            await cycling.decided(cycle, STOP, "oscar")
            await cycling.decided(cycle, RESUME, "finn")
        assert set((await cycling.send(cycle)).values()) == {"approved"}
        exported = await desk.api.post("/v1/payouts/instructions", json={}, headers=desk.bearer("faye"))
        assert len(exported.json()["exported"]) == 2
        assert set((await cycling.send(cycle)).values()) == {"accepted"}
        path = f"/v1/payouts/{(await cycling.payouts(cycle))['dexter'].id}"
        asked = {"act": "confirm_payout", "reason": "bank_statement", "note": "seen", "reference": "BANK-7"}
        asked["digest"] = (await desk.get(path)).json()["digest"]

        async def confirmed(user: str) -> tuple[int, str | None]:
            answer = await desk.api.post(f"{path}/decisions", json=asked, headers=desk.bearer(user))
            return answer.status_code, answer.json().get("rule")

        for user in ("fiona", "fi", *(["finn"] if resumed else [])):
            assert await confirmed(user) == (409, "different_people"), user
        assert (await confirmed("faye"))[0] == 201
        # Who turns out to be one with them afterwards has confirmed nothing either, and keeps nobody from it.
        as_fiona = "UPDATE app_user SET marks = (SELECT marks FROM app_user WHERE name = :of) WHERE name = 'faye'"
        await cycling.rows(as_fiona, of="fiona")
        assert (await cycling.send(cycle, only={"dexter"}))["dexter"] == "accepted"
        await desk.add_user("fred", Role.FINANCE)
        assert (await confirmed("fred"))[0] == 201
        assert (await cycling.send(cycle, only={"dexter"}))["dexter"] == "settled"


@pytest.mark.forges
@pytest.mark.parametrize(
    "forgery",
    [
        pytest.param("UPDATE payout_cycle SET state = 'released', cursor = NULL", id="the cycle's row"),
        pytest.param("UPDATE payout SET state = 'approved'", id="its payouts"),
        pytest.param(
            "UPDATE payout SET state = 'sending', first_sent_at = now(), key_used_at = now()", id="as if sent"
        ),
        pytest.param(
            "INSERT INTO decision (seq, id, referral_id, claim_id, digest, kind, username, roles, reason,"
            " note_commitment, decided_at, previous_hash, hash, key_id, signature)"
            " SELECT d.seq + 100, gen_random_uuid(), 'program acme-friends', c.id, :digest, 'release_cycle', 'fiona',"
            " '{finance}', 'list_checked', d.note_commitment, d.decided_at, d.previous_hash, repeat('f', 64), d.key_id,"
            " d.signature FROM decision d, payout_cycle c ORDER BY d.seq LIMIT 1",
            id="a decision without a signature",
        ),
    ],
)
async def test_what_was_only_written_releases_nothing(cycling: Cycling, forgery: str) -> None:
    cycle = await cycling.frozen()
    owed = await cycling.money()
    shown = (await cycling.desk.get(f"/v1/cycles/{cycle}")).json()
    await cycling.rows(forgery, **({"digest": shown["digest"]} if ":digest" in forgery else {}))
    await cycling.settle(cycle)
    assert "settled" not in (await cycling.send(cycle)).values()
    assert await cycling.money() == owed


@pytest.mark.forges
async def test_what_a_cycle_paid_is_not_paid_by_the_next_whatever_the_rows_say(cycling: Cycling) -> None:
    first = await cycling.frozen()
    await cycling.decided(first, RELEASE)
    await cycling.send(first)
    assert await cycling.settle(first) == "done"
    paid = await cycling.money()
    await cycling.rows("UPDATE leg SET state = 'reserved'")
    await cycling.rows("UPDATE payout_leg SET live = false")
    await cycling.rows("UPDATE referral SET status = 'paying'")
    second = await cycling.frozen(days=1)
    await cycling.decided(second, RELEASE)
    assert set((await cycling.send(second)).values()) == {"manual_review"}
    assert await cycling.money() == paid


async def test_a_list_that_was_added_to_after_it_was_frozen_is_not_released(cycling: Cycling) -> None:
    cycle = await cycling.frozen()
    await cycling.approved("r3")
    [late] = await cycling.rows("SELECT * FROM leg WHERE referral_id = 'r3' AND role = 'referrer'")
    payout = (await cycling.payouts(cycle))["dexter"].id
    await cycling.rows("INSERT INTO payout_leg VALUES (:payout, :leg, true)", payout=payout, leg=late.id)
    assert await cycling.decided(cycle, RELEASE) == "frozen"
    assert (await cycling.row(cycle)).summary["refused"]
    assert set((await cycling.send(cycle)).values()) == {"planned"}


async def test_what_was_added_to_a_list_after_its_release_is_not_paid_and_the_others_are(cycling: Cycling) -> None:
    cycle = await cycling.frozen()
    await cycling.decided(cycle, RELEASE)
    await cycling.approved("r3")
    [late] = await cycling.rows("SELECT * FROM leg WHERE referral_id = 'r3' AND role = 'referrer'")
    its = (await cycling.payouts(cycle))["dexter"]
    await cycling.send(cycle, only={"c-r1"})
    body = {**its.body, "amount_minor": its.amount_minor + late.amount_minor}
    more = {"minor": body["amount_minor"], "body": json.dumps(body), "hash": body_hash(body), "id": its.id}
    await cycling.rows("INSERT INTO payout_leg VALUES (:payout, :leg, true)", payout=its.id, leg=late.id)
    await cycling.rows(
        "UPDATE payout SET amount_minor = :minor, body = CAST(:body AS jsonb), body_hash = :hash WHERE id = :id", **more
    )
    assert await cycling.send(cycle) == {"c-r1": "settled", "c-r2": "settled", "dexter": "manual_review"}


async def test_a_released_payout_whose_legs_somebody_took_away_comes_before_a_person(cycling: Cycling) -> None:
    cycle = await cycling.frozen()
    await cycling.decided(cycle, RELEASE)
    payout = (await cycling.payouts(cycle))["dexter"].id
    await cycling.rows("UPDATE payout_leg SET live = false WHERE payout_id = :id", id=payout)
    assert (await cycling.send(cycle))["dexter"] == "manual_review"
    assert (await cycling.payouts(cycle))["dexter"].why == "it pays no leg"


async def test_what_somebody_released_who_was_barred_since_waits_for_another(cycling: Cycling) -> None:
    cycle = await cycling.frozen()
    await cycling.decided(cycle, RELEASE)
    await cycling.rows("UPDATE app_user SET barred_at = now() WHERE name = 'fiona'")
    assert set((await cycling.send(cycle)).values()) == {"planned"}
    assert await cycling.decided(cycle, STOP, "finn") == "stopped"
    assert await cycling.decided(cycle, RESUME, "finn") == "released"
    assert set((await cycling.send(cycle)).values()) == {"settled"}
    assert await cycling.money() == books("r1", "r2")


# Reading them.


async def test_cycles_are_listed_previewed_and_opened_by_the_api(cycling: Cycling) -> None:
    desk = cycling.desk
    preview = (await desk.get("/v1/cycles/preview?program=acme-friends&limit=2")).json()
    assert {each["payee"]: each["amount_minor"] for each in preview["payouts"]} == {"c-r1": 800, "c-r2": 800}
    rest = (await desk.get(f"/v1/cycles/preview?program=acme-friends&after={preview['next']}")).json()
    assert rest["next"] is None
    assert [(each["payee"], each["legs"], each["referrals"]) for each in rest["payouts"]] == [
        ("dexter", 2, ["r1", "r2"])
    ]
    asked = {"program": "acme-friends"}
    made = await desk.api.post("/v1/cycles", json=asked, headers=desk.bearer("fiona"))
    again = await desk.api.post("/v1/cycles", json=asked, headers=desk.bearer("oscar"))
    assert (made.status_code, again.status_code) == (201, 200)
    cycle = UUID(made.json()["cycle"])
    assert (await desk.api.post("/v1/cycles", json=asked, headers=desk.bearer("ada"))).status_code == 403
    unknown = await desk.api.post("/v1/cycles", json={"program": "nowhere"}, headers=desk.bearer("fiona"))
    assert unknown.status_code == 404
    await cycling.settle(cycle)
    [listed] = (await desk.get("/v1/cycles?program=acme-friends")).json()["cycles"]
    assert (listed["cycle"], listed["state"], listed["summary"]["totals"][0]["amount_minor"]) == (
        str(cycle),
        "frozen",
        6600,
    )
    assert (await desk.get(f"/v1/cycles/{uuid4()}")).status_code == 404
    assert (await desk.get("/v1/cycles/preview?program=nowhere")).status_code == 404
    assert (await desk.get(f"/v1/cycles?after={cycle}")).json() == {"cycles": [], "next": None, "totals": None}
