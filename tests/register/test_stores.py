"""Two shops share an order number: each order is rewarded once, and one order is never rewarded twice (SPEC §3, §5)."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models.session import Database
from referral_rewards.domain.claims.approval import Approver, DecisionKind
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.errors import DecisionRefused
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.referrals.closing import closing_digest
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.recording.record import record
from referral_rewards.register.referrals import rows as referrals
from tests.patience import PATIENCE_SECONDS
from tests.register.crowd import CONNECTIONS, EVERY_ROLE, NOW, Crowd, enrolment, life

Facts = list[dict[str, Any]]


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    database = Database.at(database_url, pool_size=CONNECTIONS, patience_seconds=PATIENCE_SECONDS)
    yield Crowd(database)
    await database.close()


def in_store(facts: Facts, store: str | None) -> Facts:
    """The same facts; what names an order names the store as well."""
    for each in facts:
        if store is not None and "order" in each["data"]:
            each["data"]["store"] = store
    return facts


async def legs(crowd: Crowd) -> list[tuple[str, str, list[str]]]:
    statement = "SELECT referral_id, order_key, stores FROM leg WHERE state <> 'cancelled' ORDER BY referral_id"
    return [(row.referral_id, row.order_key, row.stores) for row in await crowd.rows(statement)]


async def queue(crowd: Crowd) -> list[tuple[str, str, str]]:
    statement = "SELECT referral_id, exception, coalesce(order_id, '') AS id FROM queue_entry ORDER BY 1, 2"
    return [(row.referral_id, row.exception, row.id) for row in await crowd.rows(statement)]


async def test_two_shops_share_a_number_and_both_orders_are_rewarded(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live(
        enrolment("dexter")
        + in_store(life("a", "dexter", referee="otto", order="1001"), "de")
        + in_store(life("b", "dexter", referee="ines", order="1001"), "fr")
    )
    await crowd.approve_together(["a", "b"])
    assert await legs(crowd) == [("a", "1001", ["de"]), ("b", "1001", ["fr"])]


@pytest.mark.parametrize(
    ("stores", "expected"),
    [
        (("de", "fr"), ["de", "fr"]),
        (("de", None), ["de"]),
    ],
    ids=["two stores", "a store and none"],
)
async def test_one_customer_under_one_number_is_one_order_and_rewarded_once(
    crowd: Crowd, stores: Sequence[str | None], expected: list[str]
) -> None:
    """Two referrers claim the customer in two programs, and each system tells the order in its own way."""
    await crowd.publish("friends")
    await crowd.publish("partners")
    one = life("a", "dexter", referee="otto", order="1001")
    other = life("b", "mia", referee="otto", order="1001", program="partners")
    lives = enrolment("dexter") + enrolment("mia", "partners")
    await crowd.live(lives + in_store(one, stores[0]) + in_store(other, stores[1]))
    assert await crowd.flagged("evidence_conflict", 1000) == 2
    assert await crowd.flagged("disputed_attribution", 1000) == 2
    await crowd.approve_together(["a", "b"])
    ((_, order, found),) = await legs(crowd)
    assert (order, sorted(found)) == ("1001", expected)
    assert await crowd.outcomes() == {("approved", None): 1, ("denied", "attribution_lost"): 1}


_PLACES: Final = [
    ([], [], True),
    ([], ["de"], True),
    (["de"], [], True),
    (["de"], ["de"], True),
    (["de"], ["fr"], False),
    (["de"], ["de-2"], False),
    (["de", "fr"], ["fr", "it"], True),
    (["de", "fr"], ["it"], False),
    (["!"], ["~"], False),
    (["~"], [], True),
]


async def test_the_database_itself_refuses_a_second_live_leg_of_one_order(crowd: Crowd) -> None:
    await crowd.publish("friends")
    await crowd.live(enrolment("dexter") + life("a", "dexter", referee="otto", order="1001"))
    await crowd.approve_together(["a"])
    for number, (one, other, refused) in enumerate(_PLACES):
        for order, row in ((f"{number}", other), (f"{number}x", one), (f"{number}x!", other)):
            await _copy_leg(crowd, referral=str(uuid4()), order_key=f"order {order}".replace(" ", "-"), stores=row)
        its = {"order_key": f"order-{number}", "stores": one}
        if refused:
            with pytest.raises(IntegrityError, match="uq_leg_live"):
                await _copy_leg(crowd, referral=str(uuid4()), **its)
        else:
            await _copy_leg(crowd, referral=str(uuid4()), **its)
        await _copy_leg(crowd, referral=str(uuid4()), **its, role="referee")
        await _copy_leg(crowd, referral=str(uuid4()), **its, program="partners")
        await _copy_leg(crowd, referral=str(uuid4()), **its, state="cancelled")


async def _copy_leg(crowd: Crowd, *, referral: str, **changed: Any) -> None:
    """Puts the leg of referral a on record once more, changed, as whoever holds no lock at all would."""
    statement = text("""
    INSERT INTO leg
    SELECT (jsonb_populate_record(l, CAST(:changed AS jsonb))).* FROM leg l WHERE referral_id = 'a'
    """)
    said = {"id": str(uuid4()), "referral_id": referral, **changed}
    async with crowd.database.transaction() as connection:
        await connection.execute(statement, {"changed": json.dumps(said)})


async def test_a_source_of_one_store_tells_it_by_configuration(crowd: Crowd) -> None:
    intake = Intake(b"a pepper for tests only", None, {"test": "de"})
    bought = life("a", "dexter", referee="otto", order="1001")[1]
    other = {**in_store(life("b", "dexter", referee="ines", order="1001"), "fr")[1]}
    elsewhere = {**life("c", "dexter", referee="anna", order="1001")[1], "source": "another"}
    enrolled = enrolment("dexter")[0]
    events = [parse_event(each) for each in (bought, other, elsewhere, enrolled)]
    async with crowd.database.transaction() as connection:
        await intake.record(connection, events, received_at=NOW)
    rows = await crowd.rows("SELECT event_id, data->>'store' AS store FROM fact ORDER BY 1")
    assert [(row.event_id, row.store) for row in rows] == [
        ("a-2", "de"), ("b-2", "fr"), ("c-2", None), ("dexter-friends", None),
    ]  # fmt: skip
    # The same again is repeated, whatever the configuration says by now
    async with crowd.database.transaction() as connection:
        again = await Intake(b"a pepper for tests only").record(connection, events, received_at=NOW)
    assert (again.new, again.repeated, again.conflicts) == (0, 4, ())


async def test_who_closed_because_an_order_is_in_doubt_stands_in_the_queue_until_answered(crowd: Crowd) -> None:
    """Nobody tells the store: the earlier record names the customer, and the other's referral closes by time."""
    await crowd.publish("friends")
    lives = enrolment("dexter") + life("a", "dexter", referee="otto", order="1001")
    lives += life("b", "dexter", referee="ines", order="1001")
    lives[-1]["time"] = (NOW.replace(month=5, day=1)).isoformat()
    await crowd.live(lives)
    assert await crowd.flagged("evidence_conflict", 1000) == 1
    assert await queue(crowd) == [("a", "approval", "1001"), ("b", "closed_in_conflict", "1001")]
    await _decide(crowd, "b", DecisionKind.DENY, "other")
    assert await queue(crowd) == [("a", "approval", "1001")]


async def test_an_order_in_doubt_is_rewarded_once_whoever_asks_a_person_first(crowd: Crowd) -> None:
    await crowd.publish("friends")
    lives = enrolment("dexter") + life("a", "dexter", referee="otto", order="1001")
    lives += life("b", "dexter", referee="ines", order="1001")
    lives[-1]["time"] = (NOW.replace(month=5, day=1)).isoformat()
    await crowd.live(lives)
    await crowd.approve_together(["a"])
    await _decide(crowd, "b", DecisionKind.REOPEN, "other")
    assert ("b", "approval", "1001") in await queue(crowd)
    with pytest.raises(DecisionRefused, match="referral a was rewarded for the same order"):
        await crowd.approve("b", "paula")
    assert await legs(crowd) == [("a", "1001", [])]


async def test_both_are_rewarded_once_their_stores_are_told(crowd: Crowd) -> None:
    await crowd.publish("friends")
    one, other = (life(name, "dexter", referee=who, order="1001") for name, who in (("a", "otto"), ("b", "ines")))
    await crowd.live(enrolment("dexter") + one + other)
    again = [in_store([{**each[1], "id": f"{each[1]['id']} again", "data": dict(each[1]["data"])}], store)
             for each, store in ((one, "de"), (other, "fr"))]  # fmt: skip
    await crowd.live([*again[0], *again[1]])
    await _decide(crowd, "b", DecisionKind.REOPEN, "other")
    assert Counter((await crowd.outcomes()).keys()) == {("awaiting_approval", None): 1}
    await crowd.approve("b", "fiona")
    await crowd.approve_together(["a", "b"])
    assert await legs(crowd) == [("a", "1001", ["de"]), ("b", "1001", ["fr"])]


async def _decide(crowd: Crowd, referral: str, kind: DecisionKind, reason: str) -> None:
    """Has one person answer a closing."""
    async with crowd.database.transaction() as connection:
        row = await referrals.row(connection, referral)
        assert row is not None
        asked = Asked(referral, kind, reason, "asked the shop", closing_digest(row))
        approver = Approver("paula", EVERY_ROLE)
        await record(connection, asked, approver, now=crowd.now, keys=crowd.keys, signer=crowd.signer)
    await crowd.judge_woken()
