"""A referral that is judged as its facts arrive, and one whose facts arrive together, end alike (SPEC §4)."""

from datetime import timedelta
from typing import Any, Final

import pytest

from models.session import Database
from tests.register.crowd import NOW, Crowd, enrolment, told

_BRIE: Final = {"customer": "c-brie"}
_DEXTER: Final = {"referrer": "dexter", "program": "friends"}
_REFERRAL: Final = [
    *enrolment("dexter"),
    told(
        "claimed",
        "referral.claimed",
        60,
        {**_DEXTER, "referral": "a", "channel": "link", "referee": _BRIE, "consent": True},
    ),
    told(
        "bought",
        "conversion.recorded",
        50,
        {"order": "o", "kind": "purchase", "customer": _BRIE, "amount": "80.00", "currency": "USD"},
    ),
]
_CONTACT: Final = {"person": _BRIE, "scope": "contact"}
#: What denies the claim by rule before its review begins, 36 days ago, and what undoes that 20 days ago.
_DENIED: Final = {
    "referrer_suspended": (
        told("takes", "referrer.suspended", 40, {**_DEXTER, "reason": "investigated"}),
        told("gives", "referrer.reinstated", 20, {**_DEXTER, "reason": "cleared"}),
    ),
    "consent_withdrawn": (
        told("takes", "consent.withdrawn", 40, _CONTACT),
        told("gives", "consent.granted", 20, _CONTACT),
    ),
}


@pytest.mark.parametrize("arrival", ["as it happened", "together", "the later first"])
@pytest.mark.parametrize("reason", _DENIED)
async def test_what_lifts_a_denial_by_rule_too_late_waits_for_a_person_however_the_facts_arrive(
    database_url: str, reason: str, arrival: str
) -> None:
    takes, gives = _DENIED[reason]
    database = Database.at(database_url)
    try:
        crowd = Crowd(database)
        await crowd.publish("friends")
        await _arrive(crowd, takes, gives, arrival)
        (row,) = await crowd.rows("SELECT status, reason, late_facts FROM referral")
        assert (row.status, row.reason, row.late_facts) == ("denied", reason, 1)
    finally:
        await database.close()


async def _arrive(crowd: Crowd, takes: dict[str, Any], gives: dict[str, Any], arrival: str) -> None:
    if arrival == "together":
        await crowd.live([*_REFERRAL, takes, gives])
    elif arrival == "as it happened":
        crowd.now = NOW - timedelta(days=30)
        await crowd.live([*_REFERRAL, takes])
        crowd.now = NOW
        await crowd.live([gives])
    else:
        await crowd.live([*_REFERRAL, gives])
        await crowd.live([takes])
