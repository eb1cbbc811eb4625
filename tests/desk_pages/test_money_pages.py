"""The pages on which money is decided on: payouts, clawback cases and cycles, each with the form for what it takes."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from referral_rewards.domain.programs.terms import Role
from tests import money
from tests.desk import PROGRAM, Browser, Desk
from tests.desk_pages.forms import text_of
from tests.money import CASE, CYCLE


@pytest.fixture
async def fiona(desk: Desk) -> AsyncIterator[Browser]:
    """Finance, before a referral of which one payout was refused, and the other is paid and under a clawback case."""
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    await money.stand(desk, "r1")
    async with desk.browser("fiona") as browser:
        yield browser


async def payout_of(desk: Desk, state: str) -> str:
    found = (await desk.get(f"/v1/payouts?state={state}")).json()["payouts"]
    return str(found[0]["payout"])


async def filled(desk: Desk, room: str, subject: str, **given: Any) -> dict[str, Any]:
    digest = (await desk.get(f"/v1/{room}/{subject}")).json()["digest"]
    return {"reason": "other", "note": "looked at it", "digest": digest, **given}


async def test_a_payout_shows_its_life_and_takes_a_decision_in_two_steps(desk: Desk, fiona: Browser) -> None:
    refused = await payout_of(desk, "refused")
    here = f"/payouts/{refused}"
    assert "The account is closed." in text_of(await fiona.get("/payouts?state=refused"))
    shown = text_of(await fiona.get(here))
    for said in ("The account is closed.", "then retry the payout", "Idempotency key", "Answer that changed nothing"):
        assert said in shown, said
    form = await filled(desk, "payouts", refused, kind="retry_payout", reason="details_corrected")
    incomplete = await fiona.send(here, **{**form, "note": " ", "reason": ""}, step="review")
    assert incomplete.status_code == 422
    assert "choose a reason" in text_of(incomplete).lower()
    review = await fiona.send(here, **form, step="review")
    assert "The payout is verified again" in text_of(review)
    made = await fiona.send(here, **form, step="record")
    assert (made.status_code, made.headers["location"]) == (303, f"{here}?recorded=2")
    after = text_of(await fiona.get(made.headers["location"]))
    assert "Recorded as decision 2" in after
    assert "signature valid" in after
    assert f"/payouts/{refused}" in (await fiona.get("/audit")).text


async def test_whoever_may_not_is_told_why_and_keeps_what_was_typed(desk: Desk, fiona: Browser) -> None:
    refused = await payout_of(desk, "refused")
    here = f"/payouts/{refused}"
    async with desk.browser("paula") as paula:
        assert "you need the role finance" in text_of(await paula.get(here))
        form = await filled(desk, "payouts", refused, kind="retry_payout", note="my words")
        for step in ("review", "record"):
            answer = await paula.send(here, **form, step=step)
            assert answer.status_code == 403
            assert "my words" in answer.text
    form = await filled(desk, "payouts", refused, kind="retry_payout")
    stale = await fiona.send(here, **{**form, "digest": "0" * 64}, step="record")
    assert (stale.status_code, "It changed since you looked at it" in text_of(stale)) == (409, True)
    assert (await fiona.get(f"/payouts/{uuid4()}")).status_code == 404
    assert (await fiona.get("/payouts/none")).status_code == 422


async def test_whoever_decides_second_is_told_who_was_first_before_anything_is_recorded(
    desk: Desk, fiona: Browser
) -> None:
    refused = await payout_of(desk, "refused")
    here = f"/payouts/{refused}"
    form = await filled(desk, "payouts", refused, kind="retry_payout")
    await desk.add_user("gail", Role.FINANCE)
    async with desk.browser("gail") as gail:
        assert (await gail.send(here, **form | {"kind": "cancel_payout"}, step="record")).status_code == 303
    told = await fiona.send(here, **form, step="review")
    assert told.status_code == 409
    assert "Payout cancelled by gail, " in text_of(told)


async def test_a_case_shows_what_is_proposed_and_takes_an_amount(desk: Desk, fiona: Browser) -> None:
    here = f"/clawbacks/{CASE}"
    shown = await fiona.get(here)
    assert "Proposed by the rules 10.00 USD" in text_of(shown)
    assert 'value="10.00"' in shown.text
    form = await filled(desk, "clawbacks", str(CASE), kind="write_off_clawback", amount="4.005")
    wrong = await fiona.send(here, **form, step="review")
    assert (wrong.status_code, "USD has 2 decimal places." in text_of(wrong)) == (422, True)
    too_much = await fiona.send(here, **{**form, "amount": "26.00"}, step="review")
    assert (too_much.status_code, "Only 25.00 USD remain." in text_of(too_much)) == (409, True)
    review = await fiona.send(here, **{**form, "amount": "4.00"}, step="review")
    assert "4.00 USD" in text_of(review)
    assert (await fiona.send(here, **{**form, "amount": "4.00"}, step="record")).status_code == 303
    assert "Write-off" in text_of(await fiona.get(here))


async def test_a_cycle_shows_its_list_and_is_released(desk: Desk, fiona: Browser) -> None:
    here = f"/cycles/{CYCLE}"
    assert "2026-07-01" in text_of(await fiona.get("/cycles?program=acme-friends"))
    shown = text_of(await fiona.get(here))
    for said in ("Finance has to release it", "Account credit", "1,234.00 USD", "Below the minimum per payee"):
        assert said in shown, said
    form = await filled(desk, "cycles", str(CYCLE), kind="release_cycle")
    assert "Every payout in the cycle is verified again" in text_of(await fiona.send(here, **form, step="review"))
    assert (await fiona.send(here, **form, step="record")).status_code == 303
    assert "Recorded as decision" in text_of(await fiona.get(f"{here}?recorded=2"))


async def test_the_claim_and_referral_pages_show_lives_and_cases(desk: Desk, fiona: Browser) -> None:
    for page in ("/claims/r1", "/referrals/r1"):
        shown = text_of(await fiona.get(page))
        for said in ("The account is closed.", "Idempotency key", "Clawback cases", "10.00 USD", "To do:"):
            assert said in shown, (page, said)


async def test_what_the_next_cycle_would_pay_is_seen_before_it_is_gathered(desk: Desk, fiona: Browser) -> None:
    monthly = PROGRAM.replace("timing: immediate", 'timing: {cycle: monthly, day: 15, minimum: "20.00"}')
    assert monthly != PROGRAM
    other = monthly.replace("program: acme-friends", "program: monthly-friends")
    await desk.publish(other)
    assert "/cycles/next/monthly-friends" in (await fiona.get("/cycles")).text
    shown = text_of(await fiona.get("/cycles/next/monthly-friends"))
    assert "Nothing is due" in shown
    assert (await fiona.get("/cycles/next/acme-friends")).status_code == 404


async def test_the_amount_of_a_case_that_only_returns_is_what_can_be_returned(desk: Desk, fiona: Browser) -> None:
    path = f"/v1/clawbacks/{CASE}"
    asked = await filled(desk, "clawbacks", CASE, act="reverse_clawback", amount_minor=1500)
    assert (await desk.api.post(f"{path}/decisions", json=asked, headers=desk.bearer("fiona"))).status_code == 201
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE clawback SET state = 'reversed', recovered_minor = amount_minor"))
    shown = (await desk.get(path)).json()
    assert (shown["takes"], shown["amounts"]) == (["return_clawback"], {"return_clawback": 1500})
    assert shown["room_minor"] == 1000
    page = (await fiona.get(f"/clawbacks/{CASE}")).text
    assert 'name="amount" inputmode="decimal" value="15.00"' in page
    assert "At most USD" in page or "At most 15.00" in page


async def test_a_payout_whose_rail_no_worker_reports_says_so(desk: Desk, fiona: Browser) -> None:
    payout = await payout_of(desk, "refused")
    for rail, why in (("stripe_transfer", "not connected"), ("account_credit", None)):
        async with desk.database.transaction() as connection:
            await connection.execute(
                text("UPDATE payout SET state = 'approved', why = NULL, rail = :rail WHERE id = :id"),
                {"rail": rail, "id": payout},
            )
        said = (await desk.get(f"/v1/payouts/{payout}")).json()["why"]
        assert (why in said) if why else said is None
    assert ("is not connected" in text_of(await fiona.get(f"/payouts/{payout}"))) is False
