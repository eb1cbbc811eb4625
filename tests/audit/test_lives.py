"""Honest lives of payments, by the product's own doors: an audit of each finds nothing."""

from collections.abc import AsyncIterator

import pytest

from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.payouts.states import PayoutState
from tests.audit.paid import Cashier, begun, cashier_of
from tests.audit.test_money import found
from tests.desk import desk_after, life_of
from tests.snapshots import Snapshots

A, S = MoneyAct, PayoutState


@pytest.fixture
async def cashier(snapshots: Snapshots) -> AsyncIterator[Cashier]:
    async with desk_after(snapshots, begun) as desk, cashier_of(desk) as opened:
        yield opened


async def _settled(cashier: Cashier, referral: str = "r1") -> None:
    await cashier.approved(referral)
    await cashier.paid(referral)


async def _clear(cashier: Cashier) -> None:
    assert await found(cashier.desk) == []


async def test_an_offset_that_was_written_off_instead_has_no_finding(cashier: Cashier) -> None:
    await _settled(cashier)
    cases = await cashier.refunded("r1")
    await cashier.take(cases["referrer"], A.OFFSET_CLAWBACK, 2000)
    await cashier.take(cases["referrer"], A.WRITE_OFF_CLAWBACK, 2500)
    await cashier.judge("r1")
    await _clear(cashier)


async def test_an_offset_that_was_kept_in_part_and_reversed_for_the_rest_has_no_finding(cashier: Cashier) -> None:
    await _settled(cashier)
    cases = await cashier.refunded("r1")
    await cashier.take(cases["referee"], A.OFFSET_CLAWBACK, 500)
    await cashier.take(cases["referee"], A.REVERSE_CLAWBACK, 600)
    await cashier.take(cases["referee"], A.REVERSE_CLAWBACK, 200)
    await cashier.judge("r1")
    await _clear(cashier)


@pytest.mark.forges
async def test_what_offsets_were_released_from_and_nobody_took_is_found(cashier: Cashier) -> None:
    await _settled(cashier)
    cases = await cashier.refunded("r1")
    await cashier.take(cases["referrer"], A.OFFSET_CLAWBACK, 2500)
    await cashier.take(cases["referrer"], A.WRITE_OFF_CLAWBACK, 1000)
    await cashier.sql("UPDATE clawback SET released_minor = 1500 WHERE kind = 'offset'")
    said = {each.what for each in await found(cashier.desk)}
    assert "its offsets were released from 1500 minor units; the books moved 1000" in said


async def test_what_was_taken_back_and_went_back_again_has_no_finding(cashier: Cashier) -> None:
    await _settled(cashier)
    cases = await cashier.refunded("r1")
    await cashier.take(cases["referee"], A.REVERSE_CLAWBACK, 800)
    await cashier.judge("r1")
    await _clear(cashier)
    await cashier.act(SubjectKind.CLAWBACK_CASE, cases["referee"], A.RETURN_CLAWBACK, amount_minor=800)
    await _clear(cashier)
    (row,) = await cashier.sql("SELECT id FROM payout WHERE returns IS NOT NULL")
    assert await cashier.step(row.id) == "settled"
    await cashier.judge("r1")
    await _clear(cashier)


async def test_a_dismissed_case_has_no_finding(cashier: Cashier) -> None:
    await _settled(cashier)
    cases = await cashier.refunded("r1")
    await cashier.act(SubjectKind.CLAWBACK_CASE, cases["referee"], A.DISMISS_CLAWBACK)
    await _clear(cashier)


async def test_a_case_that_a_person_opened_has_no_finding(cashier: Cashier) -> None:
    await _settled(cashier)
    (leg,) = await cashier.sql("SELECT id FROM leg WHERE role = 'referee'")
    await cashier.act(SubjectKind.REWARD, leg.id, A.OPEN_CLAWBACK, amount_minor=300)
    await _clear(cashier)
    (case,) = await cashier.sql("SELECT id FROM clawback_case")
    await cashier.take(case.id, A.REVERSE_CLAWBACK, 300)
    await cashier.judge("r1")
    await _clear(cashier)


async def test_what_came_back_and_was_paid_again_has_no_finding(cashier: Cashier) -> None:
    await _settled(cashier)
    payout = await cashier.payout("r1")
    assert await cashier.hears(payout, S.RETURNED) == S.RETURNED
    await cashier.judge("r1")
    await _clear(cashier)
    await cashier.act(SubjectKind.PAYOUT, payout, A.RETRY_PAYOUT)
    assert await cashier.step(payout) == "approved"
    await cashier.export()
    assert await cashier.step(payout) == "accepted"
    await cashier.act(SubjectKind.PAYOUT, payout, A.CONFIRM_PAYOUT, reference="BANK-again")
    assert await cashier.step(payout) == "settled"
    await cashier.judge("r1")
    await _clear(cashier)


async def test_what_came_back_and_was_given_up_has_no_finding(cashier: Cashier) -> None:
    await _settled(cashier)
    payout = await cashier.payout("r1")
    await cashier.hears(payout, S.RETURNED)
    await cashier.act(SubjectKind.PAYOUT, payout, A.CANCEL_PAYOUT)
    assert await cashier.step(payout) == "cancelled"
    await cashier.judge("r1")
    await _clear(cashier)


async def test_what_was_given_up_and_paid_after_all_has_no_finding(cashier: Cashier) -> None:
    await _settled(cashier)
    payout = await cashier.payout("r1")
    await cashier.hears(payout, S.RETURNED)
    await cashier.act(SubjectKind.PAYOUT, payout, A.CANCEL_PAYOUT)
    await cashier.step(payout)
    assert await cashier.hears(payout, S.SETTLED, "BANK-late") == S.MANUAL_REVIEW
    await cashier.act(SubjectKind.PAYOUT, payout, A.SETTLE_PAYOUT, reference="BANK-late")
    assert await cashier.step(payout) == "settled"
    await cashier.judge("r1")
    await _clear(cashier)
    assert await cashier.hears(payout, S.RETURNED) == S.RETURNED
    await _clear(cashier)


async def test_an_adjusted_reward_has_no_finding(cashier: Cashier) -> None:
    told = await cashier.desk.tell(life_of("r1"))
    assert told.status_code == 202, told.text
    await cashier.judge("r1")
    adjusted = await cashier.desk.decide("r1", "adjust", "oscar", leg="referrer", amount_minor=1000)
    assert adjusted.status_code == 201, adjusted.text
    await cashier.judge("r1")
    for person in ("fiona", "paula"):
        approved = await cashier.desk.decide("r1", "approve", person)
        assert approved.status_code == 201, approved.text
    await cashier.judge("r1")
    await cashier.paid("r1")
    await _clear(cashier)


async def test_an_approver_who_was_barred_since_is_no_finding(cashier: Cashier) -> None:
    await _settled(cashier)
    await cashier.sql("UPDATE app_user SET barred_at = now() WHERE name IN ('fiona', 'paula', 'felix')")
    await _clear(cashier)
