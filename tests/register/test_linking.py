"""Which facts a referral hears of does not depend on the order in which they came."""

import itertools
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from models.session import Database
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.register.facts.intake import Intake
from tests.installation import PEPPER

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BRIE = {"customer": "c-brie", "email": "brie@example.com"}
DEXTER = {"program": "acme-friends", "referrer": "dexter"}


def fact(number: int, type_: str, **data: Any) -> dict[str, Any]:
    when = (NOW + timedelta(hours=number)).isoformat()
    return {"specversion": "1.0", "id": f"f{number}", "source": "test", "type": type_, "time": when, "data": data}


ENROLLED = fact(0, "referrer.enrolled", **DEXTER, code="DEX", customer="c-dexter")
ENROLLED_LATER = fact(1, "referrer.enrolled", program="acme-friends", referrer="mallory", code="DEX", customer="c-m")
ENROLLED_ALIKE = fact(1, "referrer.enrolled", program="acme-friends", referrer="mallory", code="d-ex", customer="c-m")
ENROLLED_AFTER = fact(5, "referrer.enrolled", **DEXTER, code="de x", customer="c-dexter")
ENROLLED_LAST = fact(6, "referrer.enrolled", program="acme-friends", referrer="mallory", code="DEX", customer="c-m")
SENT = fact(2, "referral.sent", **DEXTER, referral="r1", channel="email", referee={"email": "Brie@example.com"})
CLAIMED = fact(3, "referral.claimed", referral="r1", referee=BRIE)
BY_CODE = fact(3, "referral.claimed", program="acme-friends", referrer_code="DEX", referral="r2", referee=BRIE)
BOUGHT = fact(4, "conversion.recorded", order="o1", kind="purchase", amount="80.00", currency="USD", customer=BRIE)
RETURNED = fact(5, "conversion.reversed", order="o1", kind="return")
REQUESTED = fact(6, "reward.requested", **DEXTER, referee={"customer": "c-brie"}, order="o1")
TO_ANNA = fact(2, "referral.sent", **DEXTER, referral="r3", channel="email", referee={"email": "c+anna@example.com"})
BY_BERT = fact(
    4, "conversion.recorded", order="o2", kind="purchase", amount="80.00", currency="USD",
    customer={"customer": "c-bert", "email": "c+bert@example.com"},
)  # fmt: skip
BY_ANNA = fact(3, "referral.claimed", referral="r3", referee={"customer": "c-anna", "email": "c+anna@example.com"})
OF_ANOTHER = fact(7, "reward.requested", program="acme-friends", referrer="mallory", referee=BRIE)


class _Undo(Exception):
    """Takes a transaction back: facts are never deleted."""


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize(
    ("facts", "referral", "heard", "referrer", "merged"),
    [
        ([ENROLLED, SENT, BOUGHT, RETURNED], "r1", {"f0", "f2", "f4", "f5"}, "dexter", 0),
        ([SENT, CLAIMED, BOUGHT, REQUESTED], "r1", {"f2", "f3", "f4", "f6"}, "dexter", 1),
        ([SENT, CLAIMED, OF_ANOTHER], "r1", {"f2", "f3"}, "dexter", 0),
        ([ENROLLED, ENROLLED_LATER, BY_CODE], "r2", {"f0", "f1", "f3"}, None, 0),
        ([ENROLLED, ENROLLED_ALIKE, BY_CODE], "r2", {"f0", "f1", "f3"}, "dexter", 0),
        ([ENROLLED_ALIKE, BY_CODE], "r2", {"f1", "f3"}, "mallory", 0),
        ([ENROLLED_AFTER, BY_CODE, ENROLLED_LAST], "r2", {"f3", "f5", "f6"}, "dexter", 0),
        # Whose the order is follows from what both sides say together: until then the referral has to hear of it.
        ([TO_ANNA, BY_ANNA, BY_BERT], "r3", {"f2", "f3", "f4"}, "dexter", 0),
    ],
    ids=[
        "enrolment, order, return",
        "a request that means the referee",
        "another's request",
        "a code given out twice",
        "a code spelled alike",
        "a code typed otherwise",
        "a code given out later",
        "a mailbox shared by tags",
    ],
)
@pytest.mark.suite_has(4)
async def test_in_any_order_and_batch_a_referral_hears_the_same_facts(
    database_url: str,
    facts: Sequence[dict[str, Any]],
    referral: str,
    heard: set[str],
    referrer: str | None,
    merged: int,
    batch: int,
) -> None:
    database, intake = Database.at(database_url), Intake(PEPPER)
    try:
        for order in itertools.permutations(map(parse_event, facts)):
            with suppress(_Undo):
                async with database.transaction() as connection:
                    for first in range(0, len(order), batch):
                        await intake.record(connection, order[first : first + batch], received_at=NOW)
                    found = set((await connection.execute(_HEARD, {"referral": referral})).scalars())
                    row = (await connection.execute(_ROW, {"referral": referral})).one()
                    assert (found, *row) == (heard, referrer, merged), [each.event_id for each in order]
                    raise _Undo
    finally:
        await database.close()


_HEARD = text("SELECT f.event_id FROM referral_fact JOIN fact f ON f.id = fact_id WHERE referral_id = :referral")
_ROW = text("""
SELECT referrer, (SELECT count(*) FROM referral x WHERE x.merged_into = r.id) FROM referral r WHERE id = :referral
""")
