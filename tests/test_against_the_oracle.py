"""Our reading of SPEC §4 against an independent one: thousands of random referrals, on and beside every boundary."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from models.session import Database
from referral_rewards.domain.facts.events import Fact, parse_event
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.programs.terms import Terms, load_terms
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.register import programs
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.referrals import rows
from tests import oracle, population, telling
from tests.seeds import seeds

PEPPER = b"a pepper for tests only"


@pytest.mark.parametrize("seed", seeds(2, of=40))
async def test_the_register_comes_to_the_oracles_verdicts(database_url: str, seed: int) -> None:
    """Through intake, matching, links, origin, terms and judgement, shuffled into batches of random size."""
    raw, events = population.population(seed, size=40)
    now = max(oracle.at(event) for event in events) + timedelta(days=400)
    database = Database.at(database_url)
    try:
        await take_in(database, raw, events, random.Random(seed))
        judgement = Judgement(KeyRing.of([]))
        found, wanted = {}, {}
        for referral in population.referrals(events):
            async with database.transaction() as connection:
                standing = await judgement.judge(connection, referral, now)
                row = await rows.row(connection, referral)
            found[referral] = (standing.status.value, standing.reason, row.order_id, row.net_minor)
            wanted[referral] = _wanted(oracle.verdict(events, raw, referral, now))
        assert found == wanted
    finally:
        await database.close()


def _wanted(verdict: dict[str, Any] | None) -> tuple[Any, ...]:
    assert verdict is not None
    # Ours judges by time alone here; the claim that a person waits for is assembled elsewhere.
    status = "in_review" if verdict["status"] == "awaiting_approval" else verdict["status"]
    return (status, verdict["reason"], verdict["order"], verdict["net_minor"])


async def take_in(database: Database, raw: dict[str, Any], events: list[Any], rng: random.Random) -> None:
    intake, received_at = Intake(PEPPER), datetime.now(UTC) + timedelta(days=3650)
    facts = list(events)
    async with database.transaction() as connection:
        await programs.publish(connection, yaml.safe_dump(raw), by="tester", at=received_at)
        batch = await file_intake.open_batch(connection, "population", received_at)
    while facts:
        size = rng.randint(1, 25)
        async with database.transaction() as connection:
            await telling.record(intake, connection, facts[:size], received_at, batch)
        facts = facts[size:]
    async with database.transaction() as connection:
        await file_intake.finish(connection, batch, received_at)


@pytest.mark.parametrize("seed", seeds(2, of=60))
@pytest.mark.suite_has(2)
def test_the_periods_come_to_the_oracles_verdicts_at_every_instant(seed: int) -> None:
    """Beside every deadline and every fact of each referral: status, reason, deadline, order and net amount."""
    raw, events = population.population(seed, size=30)
    terms, marker = load_terms(yaml.safe_dump(raw)), Marker(PEPPER)
    differing = {}
    for referral in population.referrals(events):
        facts = [fact_of(event, marker) for event in oracle.concerning(events, referral)]
        for now in population.instants(raw, events, referral):
            found = _found(facts, terms, now)
            wanted = oracle.verdict(events, raw, referral, now)
            if found != wanted and not _waits_out_the_allowance(found, wanted):
                differing[referral, now] = (found, wanted)
    assert not differing


def _waits_out_the_allowance(found: dict[str, Any] | None, wanted: dict[str, Any] | None) -> bool:
    """We let a denial that the offer's own end brings wait for late arrivals; the oracle does not."""
    if found is None or wanted is None:
        return False
    denied = (wanted["status"], wanted["reason"]) == ("denied", "conversion_reversed")
    return denied and found["status"] == "claimed"


def fact_of(event: dict[str, Any], marker: Marker) -> Fact:
    parsed = parse_event(event)
    return Fact(
        id=parsed.fact_id,
        source=parsed.source,
        event_id=parsed.event_id,
        type=parsed.type,
        occurred_at=parsed.occurred_at,
        received_at=parsed.occurred_at,
        data=parsed.public,
        marks=parsed.marks(marker),
        awaits_stragglers=False,
        teller=telling.teller(event),
    )


def _found(facts: list[Fact], terms: Terms, now: datetime) -> dict[str, Any] | None:
    begun = origin(facts, now)
    if begun is None:
        return None
    stood = periods.course(facts, terms, now, origin=begun)
    q = stood.conversion
    return {
        "status": "awaiting_approval" if stood.status == "in_review" else stood.status,
        "reason": stood.reason,
        "deadline": stood.deadline,
        "order": q.order if q else None,
        "net_minor": q.net_minor if q else None,
    }
