"""A batch of facts costs the same few statements however many facts it holds and whatever they say."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final

import pytest
from sqlalchemy import text

from models.session import Database
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.register.facts.intake import Intake
from tests.installation import PEPPER
from tests.statements import Sent, counted

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PROGRAM = "acme-friends"
FACTS: Final = 500
#: For a batch of any facts; one without requests, codes and tax forms takes seven.
STATEMENTS_MAX: Final = 14


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database.at(database_url)
    yield opened
    await opened.close()


def _fact(type_: FactType, number: int, **data: Any) -> dict[str, Any]:
    at = (NOW + timedelta(seconds=number - FACTS)).isoformat()
    return {"specversion": "1.0", "id": f"{type_}-{number}", "source": "shop", "type": type_, "time": at, "data": data}


def _of_every_type(number: int) -> Iterator[dict[str, Any]]:
    """Yield a fact of each type, about one referral, its referrer, order and payee."""
    fact = {kind: partial(_fact, kind, number) for kind in FactType}
    referral, order, referrer = {"referral": f"r{number}"}, {"order": f"o{number}"}, f"f{number}"
    program = {"program": PROGRAM, "referrer": referrer}
    person = {"customer": f"c{number}", "email": f"brie{number}@example.com", "phone": f"+1 415 555 {number:04}"}
    payee = {"payee": referrer}
    yield fact[FactType.REFERRER_ENROLLED](**program, code=f"CODE{number}", customer=f"c-{referrer}")
    yield fact[FactType.REFERRER_SUSPENDED](**program)
    yield fact[FactType.REFERRER_REINSTATED](**program)
    yield fact[FactType.REFERRAL_SENT](**referral, **program, channel="email", referee={"email": person["email"]})
    yield fact[FactType.REFERRAL_CLAIMED](program=PROGRAM, referrer_code=f"CODE{number}", referee=person, ip="::1")
    yield fact[FactType.REFERRAL_WITHDRAWN](**referral, by="referee")
    yield fact[FactType.REFERRAL_APPEALED](**referral, by="referrer")
    yield fact[FactType.CONVERSION_RECORDED](
        **order, kind="purchase", amount="80.00", currency="USD", customer=person, new_customer=True
    )
    yield fact[FactType.CONVERSION_REPORTED](**referral, **order, by="referee")
    yield fact[FactType.CONVERSION_REVERSED](**order, kind="refund", amount="8.00", reversal=f"re{number}")
    yield fact[FactType.REVERSAL_FAILED](**order, reversal=f"re{number}")
    yield fact[FactType.CONVERSION_AMENDED](**order, amount="90.00")
    yield fact[FactType.DISPUTE_OPENED](**order)
    yield fact[FactType.DISPUTE_CLOSED](**order, outcome="won")
    yield fact[FactType.REWARD_REQUESTED](**program, referee=person, **order)
    yield fact[FactType.ATTRIBUTION_CHANGED](**referral, from_referrer=referrer, to_referrer="mallory")
    yield fact[FactType.ISSUE_OPENED](customer=person, issue=f"i{number}")
    yield fact[FactType.ISSUE_RESOLVED](customer=person, issue=f"i{number}")
    yield fact[FactType.CONSENT_GRANTED](person=person, scope="contact")
    yield fact[FactType.CONSENT_WITHDRAWN](person=person, scope="contact")
    yield fact[FactType.METHOD_SET](**payee, rail="manual", reference=f"ref{number}")
    yield fact[FactType.METHOD_REMOVED](**payee, rail="manual")
    yield fact[FactType.TAX_FORM_FILED](**payee, form="W-9")
    yield fact[FactType.SATISFACTION_RATED](**referral, by="referrer", score=5)


def _all_kinds(size: int = FACTS, first: int = 0) -> list[Event]:
    every = (each for number in range(first, first + size) for each in _of_every_type(number))
    return [parse_event(each) for each in islice(every, size)]


def _of_kind(*kinds: FactType) -> list[Event]:
    every = (each for number in range(FACTS) for each in _of_every_type(number) if each["type"] in kinds)
    return [parse_event(each) for each in islice(every, FACTS)]


def _contradicting(events: Sequence[Event]) -> list[Event]:
    return [
        parse_event(
            {
                "specversion": "1.0",
                "id": each.event_id,
                "source": each.source,
                "type": each.type,
                "time": each.occurred_at.isoformat(),
                "data": {**each.data, "note": "another"},
            }
        )
        for each in events
    ]


async def _record(database: Database, events: Sequence[Event]) -> None:
    """Record in batches. An empty one connects, so that what a new connection asks is not counted."""
    intake = Intake(PEPPER)
    for first in range(0, max(1, len(events)), FACTS):
        async with database.transaction() as connection:
            await intake.record(connection, events[first : first + FACTS], received_at=NOW)


async def _legs_wait_for_forms(database: Database) -> None:
    """Have each referrer's leg wait for a tax form, so that a form has somebody to wake."""
    async with database.transaction() as connection:
        await connection.execute(_HOLD_LEGS, {"facts": FACTS, "program": PROGRAM})


async def _sent_for(database: Database, events: Sequence[Event]) -> Sent:
    with counted() as sent:
        await _record(database, events)
    assert sent.commits == 1
    return sent


def test_the_facts_are_of_every_type() -> None:
    assert {each.type for each in _all_kinds()} == set(FactType)


@pytest.mark.parametrize(
    ("before", "batch"),
    [
        (list, _all_kinds),
        (_all_kinds, _all_kinds),
        (_all_kinds, lambda: _contradicting(_all_kinds())),
        (_all_kinds, lambda: [*_all_kinds(200), *_contradicting(_all_kinds(100)), *_all_kinds(200, first=50)]),
        (lambda: _of_kind(FactType.REFERRAL_SENT), _all_kinds),
        (lambda: _of_kind(FactType.REWARD_REQUESTED), _all_kinds),
        (lambda: _of_kind(FactType.REFERRAL_SENT), lambda: _of_kind(FactType.REWARD_REQUESTED)),
        (lambda: _of_kind(FactType.REFERRAL_SENT), lambda: _of_kind(FactType.TAX_FORM_FILED)),
        (list, lambda: _of_kind(FactType.CONVERSION_RECORDED)),
    ],
    ids=[
        "all new",
        "all repeated",
        "all conflicting",
        "new, repeated and conflicting",
        "of known referrals",
        "after requests that mean their referees",
        "requests that mean known referees",
        "forms of payees who wait",
        "purchases of nobody known",
    ],
)
@pytest.mark.suite_has(3)
async def test_a_batch_takes_few_statements(
    database: Database, before: Callable[[], list[Event]], batch: Callable[[], list[Event]]
) -> None:
    await _legs_wait_for_forms(database)
    await _record(database, before())

    sent = await _sent_for(database, batch())

    assert len(sent.statements) <= STATEMENTS_MAX, sent


_HOLD_LEGS: Final = text("""
INSERT INTO leg (id, referral_id, claim_id, digest, program, referrer, order_key, role, beneficiary, kind, amount_minor,
                 currency, rail, state, approved_at)
SELECT gen_random_uuid(), 'r' || n, gen_random_uuid(), '', :program, 'f' || n, 'o' || n, 'referrer', 'f' || n, 'credit',
       1000, 'USD', 'manual', 'tax_hold', now()
FROM generate_series(0, :facts) AS n
""")
