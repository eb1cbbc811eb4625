"""Finding in the queue what one is looking for, and deciding on many claims at once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.programs.terms import Role
from referral_rewards.reporting.queue import search as queue_search
from tests.desk import Desk, Furniture, days_ago, event, furnish, life_of
from tests.desk import desk as open_desk
from tests.snapshots import Snapshots


async def _names(desk: Desk, query: str = "", as_: str = "paula") -> list[str]:
    answer = await desk.get(f"/v1/claims?{query}", as_=as_)
    assert answer.status_code == 200, answer.text
    return [each["referral"] for each in answer.json()["claims"]]


@pytest.fixture
async def full(snapshots: Snapshots) -> AsyncIterator[Desk]:
    """Three claims of growing amounts, one of them flagged, and a late fact."""
    async with snapshots.of(_filled) as (url, furniture), open_desk(url, furniture) as desk:
        yield desk


async def _filled(database_url: str) -> Furniture:
    return await furnish(database_url, also=_fill)


async def _fill(desk: Desk) -> None:
    await desk.publish_another()
    for name, amount in (("a", "80.00"), ("b", "200.00"), ("c", "400.00")):
        life = life_of(name)
        life[2]["data"]["amount"] = amount
        if name == "c":
            life[1]["data"].pop("consent")
        await desk.tell(life)
        await desk.judge(name)
    await desk.tell(life_of("d")[:1])
    await desk.judge("d")
    await desk.tell([event("d-late", "referral.appealed", days_ago(1), {"referral": "d", "by": "referrer"})])
    await desk.judge("d")
    async with desk.database.transaction() as connection:
        for days, name in enumerate("dcba"):
            await connection.execute(
                text("UPDATE queue_entry SET since = now() - make_interval(days => :days) WHERE referral_id = :name"),
                {"days": 2 * days + 1, "name": name},
            )
        await connection.execute(
            text("UPDATE queue_entry SET remind_at = since + interval '4 days' WHERE remind_at IS NOT NULL")
        )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abcd"),
        ("program=acme-friends", "abcd"),
        ("program=other", ""),
        ("program=&flag=&amount_min=", "abcd"),
        ("exception=approval", "abc"),
        ("exception=appeal", "d"),
        ("flag=consent_unclear", "c"),
        ("flag=none&exception=approval", "ab"),
        ("flag=fraud_suspected", ""),
        ("recommendation=approve", "ab"),
        ("recommendation=review", "c"),
        ("route=program_owner", "abc"),
        ("route=finance", ""),
        ("overdue=true", "ab"),
        ("older_than_days=4", "ab"),
        ("older_than_days=4&exception=appeal", ""),
        ("mine=true", "abc"),
        ("q=a", "a"),
        ("q=o-b", "b"),
        ("q=c-", "abcd"),
        ("q=dexter", "abcd"),
        ("q=ext", ""),
        ("q=%25", ""),
        ("amount_min=33", "abc"),
        ("amount_min=33.01&program=acme-friends", "bc"),
        ("amount_max=33&currency=USD", "a"),
        ("amount_min=1&currency=EUR", ""),
        ("sort=newest", "dcba"),
        ("sort=amount_high", "cba"),
        ("sort=amount_low", "abc"),
        ("sort=deadline", "abc"),
        ("sort=amount_high&flag=none", "ba"),
    ],
)
@pytest.mark.suite_has(15)
async def test_the_queue_is_searched(full: Desk, query: str, found: str) -> None:
    assert "".join(await _names(full, query)) == found
    # Each page holds what follows the one before, whichever way the search goes about it.
    for few in (queue_search.FEW, -1):
        pages, after, queue_search.FEW = "", "", few  # type: ignore[misc]
        try:
            while True:
                answer = (await full.get(f"/v1/claims?{query}&limit=1{after}")).json()
                pages += "".join(each["referral"] for each in answer["claims"])
                if answer["next"] is None:
                    break
                after = f"&after={answer['next']}"
        finally:
            queue_search.FEW = 1_000  # type: ignore[misc]
        assert pages == found


async def test_what_one_has_signed_is_no_longer_ones_own_to_decide(full: Desk) -> None:
    assert await _names(full, "mine=true", as_="oscar") == []
    await full.decide("b", "approve")
    assert await _names(full, "mine=true") == ["a", "c"]


async def test_the_counts_are_of_everything_and_stop_at_a_thousand(full: Desk) -> None:
    counts = (await full.get("/v1/claims?q=a")).json()["counts"]
    one, three = {"count": 1, "at_least": False}, {"count": 3, "at_least": False}
    assert counts == {
        "all": {"count": 4, "at_least": False},
        "overdue": {"count": 2, "at_least": False},
        "conflicts": {"count": 0, "at_least": False},
        "exceptions": {"approval": three, "appeal": one},
        "programs": {"acme-friends": {"count": 4, "at_least": False}},
    }
    async with full.database.transaction() as connection:
        await connection.execute(_MANY)
    counts = (await full.get("/v1/claims?limit=1")).json()["counts"]
    assert counts["all"] == counts["exceptions"]["reported"] == {"count": 1000, "at_least": True}


_MANY = text("""
INSERT INTO queue_entry (referral_id, exception, subject, program, status, amount_minor, since)
SELECT 'd', 'reported', i::text, 'acme-friends', 'x', 0, now() FROM generate_series(1, 1001) AS i
""")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("after=nonsense", "after"),
        ("after=%00", "after"),
        ("after=W10", "after"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("flag=handsome", "flag"),
        ("sort=best", "sort"),
        ("q=%00", "q"),
        ("program=a%00", "program"),
        ("older_than_days=-1", "older_than_days"),
        ("amount_min=-1", "amount_min"),
        ("amount_min=nan", "amount_min"),
        ("amount_min=1e400", "amount_min"),
        ("currency=XXQ", "currency"),
        ("after=WyJuZXdlc3QiXQ", "after"),
        ("amount_min=1&program=none-such", "amount_min"),
    ],
)
async def test_what_makes_no_sense_is_said(desk: Desk, query: str, where: str) -> None:
    answer = await desk.get(f"/v1/claims?{query}")
    assert answer.status_code == 422, answer.text
    assert where in {each["where"].split(".")[0] for each in answer.json()["problems"]}


async def test_every_flag_and_role_has_an_index_in_which_its_entries_are_in_order(desk: Desk) -> None:
    async with desk.database.transaction() as connection:
        found = await connection.execute(text("SELECT indexname FROM pg_indexes WHERE tablename = 'queue_entry'"))
        names = set(found.scalars())
    assert {f"ix_queue_entry_flag_{flag}" for flag in Flag} <= names
    assert {f"ix_queue_entry_route_{role}" for role in Role if role is not Role.ADMINISTRATOR} <= names


async def _together(desk: Desk, *chosen: tuple[str, str], as_: str = "paula", **given: str) -> Any:
    body = {
        "kind": "approve",
        "reason": "terms_met",
        "note": "looked at them",
        "claims": [{"referral": referral, "digest": digest} for referral, digest in chosen],
        **given,
    }
    return await desk.api.post("/v1/claims/decisions", json=body, headers=desk.bearer(as_))


async def _shown(desk: Desk) -> list[tuple[str, str]]:
    found = (await desk.get("/v1/claims?exception=approval")).json()["claims"]
    return [(each["referral"], each["approval"]["digest"]) for each in found]


async def test_each_claim_of_many_gets_a_decision_of_its_own_and_the_rest_is_left_out(full: Desk) -> None:
    shown = await _shown(full)
    await full.tell([event("b-again", "conversion.reversed", days_ago(1), _partly("b"))])
    await full.judge("b")
    answer = await _together(full, *shown, ("d", "0" * 64), ("nobody", "0" * 64))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [(each["referral"], each["outcome"], (each["problem"] or {}).get("rule")) for each in told["outcomes"]] == [
        ("a", "recorded", None),
        ("b", "left_out", "claim_changed"),
        ("c", "left_out", "flagged"),
        ("d", "left_out", "closed"),
        ("nobody", "left_out", "not_found"),
    ]
    assert (told["recorded"], told["repeated"], told["left_out"]) == (1, 0, 4)
    assert [await full.judge(name) for name in "abc"] == ["approved", "awaiting_approval", "awaiting_approval"]
    again = (await _together(full, *shown)).json()
    assert (again["recorded"], again["repeated"], again["left_out"]) == (0, 1, 2)
    assert again["outcomes"][0]["decision"] == told["outcomes"][0]["decision"]


def _partly(name: str) -> dict[str, str]:
    return {"order": f"o-{name}", "kind": "refund", "amount": "20.00"}


async def test_who_may_not_decide_on_a_claim_may_not_among_many(full: Desk) -> None:
    (first, *_) = await _shown(full)
    told = (await _together(full, first, as_="fiona")).json()
    assert [(each["outcome"], each["problem"]["rule"]) for each in told["outcomes"]] == [("left_out", "role_missing")]
    assert (await _together(full, first, as_="site")).status_code == 403


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"kind": "reopen", "reason": "other"}, "kind"),
        ({"kind": "reassign", "reason": "other"}, "kind"),
        ({"reason": "fraud"}, "reason"),
        ({"note": " "}, "note"),
    ],
)
async def test_nothing_is_decided_if_the_words_are_wrong(full: Desk, given: dict[str, str], where: str) -> None:
    answer = await _together(full, *await _shown(full), **given)
    assert (answer.status_code, answer.json()["problems"][0]["where"]) == (422, where)
    async with full.database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM decision"))).scalar_one() == 0


async def test_a_claim_named_twice_and_none_at_all_are_refused(full: Desk) -> None:
    shown = await _shown(full)
    assert (await _together(full, shown[0], shown[0])).status_code == 422
    assert (await _together(full)).status_code == 422
