"""A report as of a past moment, recomputed from what was on record then: it is what the sums said at that moment."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.domain.books import ledger
from referral_rewards.domain.measures.measures import Days, Measures
from referral_rewards.register.books.ledger import post
from referral_rewards.register.measures import past, sums
from referral_rewards.register.measures.sums import Asked, Step
from tests.desk import Desk, days_ago, event, life_of

ASKED = Asked("acme-friends")
WEEK = Days(days_ago(45).date(), days_ago(38).date())


async def _now(desk: Desk) -> tuple[Measures, Measures]:
    """What the sums say now, of all time and of a week that cuts through the events."""
    async with desk.database.reading() as connection:
        now = datetime.now(UTC)
        whole = await sums.measures(connection, ASKED, now)
        week = await sums.measures(connection, ASKED._replace(days=WEEK), now)
    return whole.measures, week.measures


async def _then(desk: Desk, moment: datetime) -> tuple[Measures, Measures]:
    async with desk.database.reading() as connection:
        found = await past.past(connection, ASKED, moment)
    return found.measures(Days()), found.measures(WEEK)


async def _execute(desk: Desk, statement: str, **asked: object) -> None:
    async with desk.database.transaction() as connection:
        await connection.execute(text(statement), asked)


async def _refund(desk: Desk, referral: str, amount: str, id_: str) -> None:
    back = {"order": f"o-{referral}", "kind": "refund", "amount": amount}
    await desk.tell([event(id_, "conversion.reversed", days_ago(20), back)])
    await desk.judge(referral)


async def _settled(desk: Desk, referral: str) -> None:
    """Has the referrer's payout settle, as its rail's answer would."""
    await _execute(
        desk,
        "UPDATE payout p SET state = 'settled', settled_at = now(), updated_at = now() FROM payout_leg pl JOIN leg l"
        " ON l.id = pl.leg_id WHERE pl.payout_id = p.id AND l.role = 'referrer' AND l.referral_id = :referral",
        referral=referral,
    )
    await _execute(desk, "UPDATE leg SET state = 'paid' WHERE role = 'referrer' AND referral_id = :id", id=referral)
    await _execute(
        desk,
        "WITH moved AS (UPDATE referral SET status = 'rewarded', rewarded_at = now(), judged_at = now() WHERE id = :id"
        " RETURNING id, facts_version) INSERT INTO referral_step (referral_id, at, status, facts_version)"
        " SELECT id, now(), 'rewarded', facts_version FROM moved",
        id=referral,
    )


async def _cancelled(desk: Desk, referral: str) -> None:
    """Has the referee's leg be cancelled, with its entry in the books."""
    async with desk.database.transaction() as connection:
        leg = (
            await connection.execute(
                text("UPDATE leg SET state = 'cancelled' WHERE role = 'referee' AND referral_id = :id RETURNING id"),
                {"id": referral},
            )
        ).scalar_one()
        entry = ledger.released(str(leg), "acme-friends", f"c-{referral}", 800, "USD")
        await post(connection, entry, program="acme-friends", referral=referral, at=datetime.now(UTC))


async def _recovered(desk: Desk, minor: int) -> None:
    """Has a part of the referrer's reward taken back by its rail, with its entry in the books."""
    async with desk.database.transaction() as connection:
        names = (
            await connection.execute(
                text(
                    "INSERT INTO clawback (id, case_id, leg_id, payout_id, referral_id, payee, kind, amount_minor,"
                    " currency, recovered_minor, body, body_hash, generation, provider_key, state, decision_id,"
                    " created_at, updated_at) SELECT gen_random_uuid(), gen_random_uuid(), l.id, pl.payout_id,"
                    " l.referral_id, l.beneficiary, 'reverse', :minor, l.currency, 0, '{}', '', 1, gen_random_uuid(),"
                    " 'approved', gen_random_uuid(), now(), now()"
                    " FROM leg l JOIN payout_leg pl ON pl.leg_id = l.id WHERE l.role = 'referrer' AND l.state = 'paid'"
                    " RETURNING id"
                ),
                {"minor": minor},
            )
        ).scalars()
        name = next(iter(names))
    async with desk.database.transaction() as connection:
        entry = ledger.recovered(str(name), "account_credit", "dexter", minor, "USD")
        await post(connection, entry, program="acme-friends", referral="r1", at=datetime.now(UTC))
        await connection.execute(
            text("UPDATE clawback SET recovered_minor = amount_minor, state = 'reversed', updated_at = :at"),
            {"at": datetime.now(UTC)},
        )


def _acts(desk: Desk) -> list[Callable[[], Awaitable[Any]]]:
    """What happens, one after the other, in a program of four referrals."""
    in_time = life_of("r4")
    for fact, days in zip(in_time, (3, 2, 1), strict=True):
        fact["time"] = days_ago(days).isoformat()
    suspended = {"referrer": "dexter", "program": "acme-friends"}
    return [
        lambda: desk.referral("r1"),
        lambda: desk.tell(life_of("r2")[:2]),
        lambda: desk.judge("r2"),
        lambda: desk.referral("r3"),
        lambda: _refund(desk, "r1", "30.00", "b1"),
        lambda: desk.decide("r1", "approve"),
        lambda: desk.judge("r1"),
        lambda: _settled(desk, "r1"),
        lambda: _cancelled(desk, "r1"),
        lambda: desk.decide("r3", "hold"),
        lambda: desk.judge("r3"),
        lambda: desk.decide("r3", "deny"),
        lambda: desk.judge("r3"),
        lambda: desk.tell(
            [event("s1", "satisfaction.rated", days_ago(2), {"referral": "r1", "by": "referrer", "score": 4})]
        ),
        lambda: _recovered(desk, 700),
        lambda: desk.tell(in_time),
        lambda: desk.judge("r4"),
        lambda: desk.tell([event("gone", "referrer.suspended", days_ago(45), suspended)]),
        lambda: desk.referral("r5"),
    ]


async def test_at_each_moment_of_a_history_the_past_is_what_was_told_then(desk: Desk) -> None:
    """And as of now both ways say the same."""
    told: list[tuple[int, datetime, tuple[Measures, Measures]]] = []
    for number, act in enumerate(_acts(desk)):
        await act()
        told.append((number, datetime.now(UTC), await _now(desk)))

    for number, moment, said in told:
        assert (number, await _then(desk, moment)) == (number, said)
    assert await _then(desk, datetime.now(UTC)) == await _now(desk)


async def test_the_past_by_days_is_that_of_the_charts(desk: Desk) -> None:
    await desk.referral("r1")
    await _refund(desk, "r1", "30.00", "b1")
    async with desk.database.reading() as connection:
        now = datetime.now(UTC)
        found = await past.past(connection, ASKED, now)
        for step in Step:
            assert found.over_time(step, WEEK) == await sums.over_time(connection, ASKED._replace(days=WEEK), step, now)


async def test_of_one_referrer_only_theirs_is_read(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.database.reading() as connection:
        found = await past.past(connection, ASKED._replace(referrers=["mia"]), datetime.now(UTC))
    assert found.sums(Days()).of == {}


async def test_nothing_was_on_record_before_the_first_fact(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.database.reading() as connection:
        assert (await past.past(connection, ASKED, days_ago(30))).sums(Days()).of == {}


async def test_a_report_is_of_the_moment_that_is_asked_for_and_says_so(desk: Desk) -> None:
    await desk.referral("r1")
    path, then = "/v1/reports/program/acme-friends", _said(datetime.now(UTC))
    before = (await desk.get(path)).json()
    await desk.decide("r1", "approve")
    assert await desk.judge("r1") == "approved"

    told = (await desk.get(f"{path}?as_of={then}")).json()
    now = (await desk.get(path)).json()
    sheet = await desk.get(f"{path}?as_of={then}&format=csv")
    budget = (await desk.get(f"/v1/reports/budget/acme-friends?as_of={then}")).json()

    assert told == {**before, "as_of": then}
    assert (now["measures"]["claims_approved"], told["measures"]["claims_approved"]) == (1, 0)
    assert now["budget"]["spending"][0]["used_minor"] == 3300
    assert (budget["as_of"], budget["budget"]) == (then, told["budget"])
    assert {line.split(",")[3] for line in sheet.text.splitlines()[1:]} == {then.replace("Z", "+00:00")}


def _said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def test_the_budget_is_that_of_the_acts_that_were_signed_by_then(desk: Desk) -> None:
    then = _said(datetime.now(UTC))
    life = (await desk.get("/v1/programs/acme-friends/life")).json()
    for user in ("fiona", "paula"):
        act = {"act": "add_budget", "reason": "other", "note": "more", "amount_minor": 5_000, "currency": "USD"}
        answer = await desk.api.post(
            "/v1/programs/acme-friends/decisions", json={**act, "digest": life["digest"]}, headers=desk.bearer(user)
        )
        assert answer.status_code == 201, answer.text
    told = [(await desk.get(f"/v1/reports/budget/acme-friends{asked}")).json() for asked in ("", f"?as_of={then}")]
    assert [each["budget"]["budget_minor"] for each in told] == [10_005_000, 10_000_000]


async def test_a_moment_before_the_program_has_no_budget(desk: Desk) -> None:
    report = (await desk.get("/v1/reports/program/acme-friends?as_of=2020-01-31")).json()
    assert (report["budget"], report["as_of"]) == (None, "2020-02-01T05:00:00Z")
    assert (await desk.get("/v1/reports/budget/acme-friends?as_of=2020-01-31")).status_code == 404


@pytest.mark.parametrize("path", ["program/acme-friends", "budget/acme-friends"])
@pytest.mark.parametrize("said", ["soon", "2999-01-01", "2026-01-01T00:00:00"])
async def test_a_moment_that_is_none_is_refused(desk: Desk, path: str, said: str) -> None:
    refused = await desk.get(f"/v1/reports/{path}?as_of={said}")
    assert (refused.status_code, refused.json()["problems"][0]["where"]) == (422, "as_of")


async def test_behind_each_figure_of_a_past_report_stand_the_referrals_that_added_to_it(desk: Desk) -> None:
    for name in ("r1", "r2"):
        await desk.referral(name)
    then = _said(datetime.now(UTC))
    assert (await desk.decide("r1", "approve")).status_code == 201
    await desk.judge("r1")
    await desk.referral("r3")
    path = "/v1/reports/program/acme-friends/referrals"
    figures = {"claims_created": ["r1", "r2"], "claims_waiting": ["r1", "r2"], "claims_approved": []}
    for figure, names in figures.items():
        told = (await desk.get(f"{path}?figure={figure}&as_of={then}")).json()
        assert ([each["referral"] for each in told["referrals"]], told["next"]) == (names, None)
    first = (await desk.get(f"{path}?figure=claims_created&as_of={then}&limit=1")).json()
    rest = (await desk.get(f"{path}?figure=claims_created&as_of={then}&limit=1&after={first['next']}")).json()
    assert [each["referrals"][0]["referral"] for each in (first, rest)] == ["r1", "r2"]
    async with desk.browser("paula") as browser:
        page = (await browser.get(f"/reports/program/acme-friends/behind/claims_waiting?as_of={then}")).text
    assert ("/referrals/r2" in page, "/referrals/r3" in page, "added to this figure by" in page) == (True, False, True)


async def test_the_page_says_that_it_is_of_the_past(desk: Desk) -> None:
    await desk.referral("r1")
    async with desk.browser("paula") as browser:
        now = (await browser.get("/reports/program/acme-friends?every=true")).text
        past_ = (await browser.get("/reports/program/acme-friends?every=true&as_of=2020-01-31")).text
        sheet = (await browser.get("/reports/program/acme-friends/csv?as_of=2020-01-31")).text
        then = (await browser.get(f"/reports/program/acme-friends?every=true&as_of={_said(datetime.now(UTC))}")).text
    assert ("what was on record" in past_, "/behind/" in past_) == (True, False)
    assert ("what was on record" in now, "/behind/claims_created" in now, "?as_of=" in now) == (False, True, False)
    assert "/behind/claims_created?as_of=" in then
    assert "2020-02-01T05:00:00" in sheet
