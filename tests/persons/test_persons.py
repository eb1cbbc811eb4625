"""What is on record of a person is shown on request, and erased: the chains hold, and the marks stay."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from referral_rewards.audit.accuracy import accuracy, examined
from referral_rewards.audit.evidence import Span
from referral_rewards.audit.loading import Means
from referral_rewards.personal import PersonalKeys
from referral_rewards.register.decisions import chain
from referral_rewards.register.persons import payloads, resealing
from tests import personal
from tests.audit.paid import ACME, lived
from tests.audit.test_money import found
from tests.desk import Desk, days_ago, desk_after, event, life_of
from tests.snapshots import Snapshots
from worker.erasing import Erasing


async def asked(desk: Desk, what: str, as_: str = "ada", **by: str) -> httpx.Response:
    body = {name: [value] for name, value in by.items()}
    return await desk.api.post(f"/v1/persons/{what}", json=body, headers=desk.bearer(as_))


async def rows(desk: Desk, statement: str, **given: Any) -> list[Any]:
    async with desk.database.transaction() as connection:
        return list((await connection.execute(text(statement), given)).all())


@pytest.fixture
async def paid(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, lived) as opened:
        yield opened


async def test_a_person_is_shown_with_all_that_is_kept_and_that_is_on_record(desk: Desk) -> None:
    await desk.referral("r1", first_name="Brie Larsen")
    for by in ({"customer": "c-r1"}, {"email": "R1+shop@Example.com"}):
        shown = (await asked(desk, "export", **by)).json()
        assert {each["type"] for each in shown["facts"]} == {
            "referral.sent",
            "referral.claimed",
            "conversion.recorded",
        }
        assert "Brie Larsen" in [each["told"].get("referee", {}).get("first_name") for each in shown["facts"]]
        assert [each["state"] for each in shown["referrals"]] == ["awaiting_approval"]
        assert "dexter@example.com" not in str(shown), "what is known of the other side is not theirs"
    assert [each["act"] for each in shown["looks"]] == ["person.exported"]
    told = await rows(desk, "SELECT actor, subject, details FROM audit_event WHERE act = 'person.exported'")
    assert [row.actor for row in told] == ["ada", "ada"]
    assert "example" not in str(told).lower()
    referrer = (await asked(desk, "export", referrer="dexter")).json()
    assert [each["type"] for each in referrer["facts"]] == ["referrer.enrolled"]
    assert "r1@example.com" not in str(referrer)


@pytest.mark.parametrize(
    ("by", "status", "where"),
    [
        ({}, 422, None),
        ({"email": "n/a"}, 422, "email"),
        ({"phone": "555 0100"}, 422, "phone"),
        ({"customer": "brie@example.com"}, 422, "customer"),
        ({"customer": "nobody"}, 404, None),
    ],
)
async def test_who_can_not_be_found_is_refused_without_repeating_what_was_said(
    desk: Desk, by: dict[str, str], status: int, where: str | None
) -> None:
    for what in ("export", "erase"):
        answer = await asked(desk, what, **by)
        assert answer.status_code == status, answer.text
        assert where is None or where in answer.text
        assert "brie@example.com" not in answer.text
        assert "0100 " not in answer.text.replace("415 555 0100", "")


async def test_whoever_claims_under_anothers_address_is_shown_nothing_of_the_other(desk: Desk) -> None:
    """Mallory claims with her own id and Brie's address, and asks for what is kept of her."""
    await desk.referral("r1", first_name="Brie Larsen")
    typed = {"customer": "c-mallory", "email": "r1@example.com"}
    data = {"program": "acme-friends", "referrer": "dexter", "channel": "link", "referee": typed}
    await desk.tell([event("m", "referral.claimed", days_ago(1), data)])
    shown = (await asked(desk, "export", customer="c-mallory")).json()
    assert ([each["type"] for each in shown["facts"]], shown["referrals"]) == (["referral.claimed"], [])
    assert shown["known_by"] == ["customer:c-mallory"]
    assert [each.partition(":")[0] for each in shown["left_out"]] == ["email"]
    assert "Brie" not in str(shown)


@pytest.mark.parametrize(
    "body",
    [
        b'{"to": "Brie+Shop@example.com"}',
        b'{"to": "brie\\u002bshop\\u0040example.com"}',
        b"to=brie%2Bshop%40example.com",
        b"\xff brie+shop@example.com",
    ],
)
def test_an_address_is_found_however_a_sender_writes_it(body: bytes) -> None:
    assert "brie+shop@example.com" in payloads.plain(body)


async def test_only_administrators_see_and_erase(desk: Desk) -> None:
    for what in ("export", "erase"):
        assert (await asked(desk, what, "fiona", referrer="dexter")).status_code == 403
    assert (await desk.get("/v1/persons/erasures", "paula")).status_code == 403


async def test_erasing_waits_for_an_open_claim_and_goes_on_by_itself(desk: Desk) -> None:
    await desk.referral("r1")
    waiting = (await asked(desk, "erase", email="r1@example.com")).json()
    assert (waiting["erased_at"], waiting["waits"]) == (None, ["referral r1 is awaiting approval"])
    assert await personal.bodies(desk.database, "p.sealed IS NOT NULL") != []
    await desk.decide("r1", "deny", reason="evidence_insufficient")
    assert await desk.judge("r1") == "denied"
    erasing = Erasing(desk.database.worker)
    assert await erasing.turn() == 0.0
    assert await erasing.turn() > 0, "nothing is left to try"
    (done,) = (await desk.get("/v1/persons/erasures", "ada")).json()
    assert (done["id"], done["waits"]) == (waiting["id"], [])
    assert done["erased_at"] is not None
    assert "r1@example.com" not in str(await personal.bodies(desk.database))
    assert "dexter@example.com" in str(await personal.bodies(desk.database)), "the other side's stays"


async def test_after_erasing_the_chains_hold_and_the_marks_stay(paid: Desk) -> None:
    shown = (await asked(paid, "export", referrer="dexter")).json()
    assert [each["state"] for each in shown["payouts"] if each["state"] not in ("settled", "cancelled")] == []
    for by in ({"referrer": "dexter"}, *({"customer": f"c-r{number}"} for number in (1, 2, 3, 4))):
        done = await asked(paid, "erase", **by)
        assert done.json()["waits"] == [], done.text
    said = str(await personal.bodies(paid.database))
    assert "@example.com" not in said.replace("fiona@example.com", "")
    # Idempotent: what is gone is gone, and nothing else is touched.
    again = (await asked(paid, "erase", referrer="dexter")).json()
    assert (again["texts_blanked"], again["payloads_blanked"]) == (0, 0)
    empty = (await asked(paid, "export", referrer="dexter")).json()
    assert {each["told"] is None for each in empty["facts"]} == {True}
    # The chain of decisions, the books, and the audit of every paid reward, as `referrals audit` reads them.
    async with paid.database.reading() as connection:
        assert await chain.chain_problems(connection, paid.parts.keys) == []
        means = Means(paid.parts.keys.keys, paid.parts.intake.marker)
        its = accuracy([each async for each in examined(connection, Span(ACME), means)])
    assert its.failing == ()
    assert its.paid > 0
    assert await found(paid) == []
    # The marks still tell a self-referral and a repeated claim.
    who = {"customer": "c-new", "email": "dexter@example.com"}
    sent, claimed, bought = life_of("r9")
    claimed["data"]["referee"] = who
    bought["data"]["customer"] = who
    sent["data"]["referee"] = who
    await paid.tell([sent, claimed, bought])
    assert await paid.judge("r9") in ("awaiting_approval", "denied")
    flags = await rows(paid, "SELECT flags FROM queue_entry WHERE referral_id = 'r9'")
    assert "self_referral" in str(flags)


async def test_what_is_erased_never_comes_back_and_what_is_kept_is_not_rewritten(desk: Desk) -> None:
    await asked(desk, "erase", referrer="dexter")
    about = {"person": {"customer": "c-x"}, "scope": "contact"}
    await desk.tell([event("e-other", "consent.granted", days_ago(1), about)])
    for change in (
        "SET sealed = '\\x00', erased_at = NULL WHERE sealed IS NULL",
        "SET sealed = NULL WHERE sealed IS NOT NULL",
        "SET commitment = ''",
    ):
        await desk.tell(
            [event("e-other", "consent.granted", days_ago(1), {"person": {"customer": "c-x"}, "scope": "contact"})]
        )
        with pytest.raises(DBAPIError, match="only what is sealed is renewed or erased"):
            await rows(desk, f"UPDATE personal_data {change} RETURNING 1")


async def test_an_earlier_key_is_taken_away_once_all_is_sealed_with_the_new_one(desk: Desk) -> None:
    await desk.referral("r1")
    new = PersonalKeys([b"n" * 32, personal.KEY])
    desk.parts.database._personal = new
    before = await personal.bodies(desk.database)
    async with desk.parts.database.transaction() as connection:
        first = await resealing.reseal(connection, resealing.BEGINNING, 2)
        assert (first.rows, first.next is not None) == (2, True)
    # Interrupted here, it begins anew, and seals what is left.
    place: dict[str, Any] = {}
    while True:
        answer = await desk.api.post("/v1/persons/keys/reseal", json=place, headers=desk.bearer("ada"))
        done = answer.json()
        if done["table"] is None:
            break
        place = {"table": done["table"], "after": done["after"]}
    assert done["left"] == 0
    (only,) = (await desk.get("/v1/persons/keys", "ada")).json()
    assert (only["key"], only["is_newest"]) == (new.newest.hex(), True)
    desk.database._personal = PersonalKeys([b"n" * 32])
    assert await personal.bodies(desk.database) == before
