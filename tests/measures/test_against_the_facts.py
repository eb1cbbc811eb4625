"""The figures of a report against a recomputation from raw facts: funnel, conversions, revenue and refund rate.

The population stands on every boundary of the periods; the second reading of them (`tests.oracle`) says which order a
referral converted with, and what is left of it.
"""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from models.session import Database
from referral_rewards.audit.reading import orders, periods
from referral_rewards.audit.reading.told import Told
from referral_rewards.domain.measures.figures import Figure, Stage
from referral_rewards.domain.measures.measures import Days, Measures
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.measures import keeping, past, sums
from referral_rewards.register.measures.sums import Asked, Step
from tests import oracle, population
from tests.seeds import seeds
from tests.test_against_the_oracle import take_in

ASKED = Asked(population.PROGRAM)


@pytest.mark.parametrize("seed", seeds(2, of=20))
async def test_the_figures_are_those_of_the_facts(database_url: str, seed: int) -> None:
    raw, events = population.population(seed, size=40)
    for each in events:
        # Which order is meant where several stores have it is another matter; here an order id is one order.
        each["data"].pop("store", None)
    now = max(oracle.at(event) for event in events) + timedelta(days=400)
    names = population.referrals(events)
    database = Database.at(database_url)
    try:
        await take_in(database, raw, events, random.Random(seed))
        for referral in names:
            await database.write(Judgement(KeyRing.of([])).judge, referral, now)
        later = datetime.now(UTC) + timedelta(days=4000)
        measured = await _measured(database, later)
        started = await _started(database, later)
    finally:
        await database.close()
    stood = {name: oracle.verdict(events, raw, name, now) for name in names}
    assert measured.funnel[Stage.BEGAN] == len(names)
    assert started == Counter(_day_of_r(events, name, raw) for name in names)
    _compare(measured, {name: each for name, each in stood.items() if each is not None}, events)


def _compare(measured: Measures, stood: dict[str, dict[str, Any]], events: list[Any]) -> None:
    """A referral that closed because its conversion was reversed has converted, whatever is left of its order."""
    standing = {name: each["order"] for name, each in stood.items() if each["order"] is not None}
    lost = [name for name, each in stood.items() if each["reason"] == "conversion_reversed"]
    assert measured.funnel[Stage.CONVERTED] == len(standing) + len(lost)
    worth = [_worth(events, name, order) for name, order in standing.items()]
    found = {each.currency: each.converted_minor for each in measured.referred_revenue if each.converted_minor}
    possible = [_orders(events, name) for name in lost]
    assert found in [_by_currency([*worth, *left]) for left in product(*possible)]
    refunded = sum(each.net < each.gross for each in worth)
    share = (measured.refund_rate or 0.0) * measured.funnel[Stage.CONVERTED]
    assert refunded <= round(share) <= refunded + len(lost)


class _Worth(NamedTuple):
    """What an order is worth in minor units: what is left of it, and its latest amount."""

    currency: str
    net: int
    gross: int


def _orders(events: list[Any], referral: str) -> list[_Worth]:
    """Every order of a referee, any of which may have been the conversion that was lost."""
    return [_worth(events, referral, order) for order in orders.earliest(_known(events, referral))]


def _worth(events: list[Any], referral: str, order: str) -> _Worth:
    known = _known(events, referral)
    record = orders.earliest(known)[order]
    net, gross = periods.net(record, known), orders.amounts(record, known).latest
    currency = record.data.get("currency", "")
    scale = 1 if currency == "JPY" else 100
    return _Worth(currency, int((net or 0) * scale), int((gross or 0) * scale))


def _known(events: list[Any], referral: str) -> list[Told]:
    return periods.concerning(oracle.all_told(events), referral)


def _by_currency(worth: Iterable[_Worth]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for each in worth:
        found[each.currency] += each.net
    return {currency: minor for currency, minor in found.items() if minor}


def _day_of_r(events: list[dict[str, Any]], referral: str, raw: dict[str, Any]) -> Any:
    """`R` is when a referral was first sent, and without that its first claim."""
    own = [each for each in events if each["data"].get("referral") == referral]
    for kind in ("referral.sent", "referral.claimed"):
        moments = [oracle.at(each) for each in own if each["type"] == kind]
        if moments:
            return min(moments).astimezone(ZoneInfo(raw["timezone"])).date()
    raise AssertionError(referral)


async def _measured(database: Database, moment: datetime) -> Measures:
    """The measures, by the sums and as recomputed for that moment: both are the same, before and after catching up."""
    async with database.reading() as connection:
        before = (await sums.measures(connection, ASKED, moment)).measures
        looked = (await past.past(connection, ASKED, moment)).measures(Days())
    while await database.write(keeping.catch_up, moment):
        pass
    async with database.reading() as connection:
        after = (await sums.measures(connection, ASKED, moment)).measures
    assert before == after == looked
    return after


async def _started(database: Database, moment: datetime) -> Counter[Any]:
    async with database.reading() as connection:
        by_day = await sums.over_time(connection, ASKED, Step.DAY, moment)
    began = {day: its.count(Figure.STARTED, Stage.BEGAN) for day, its in by_day}
    return Counter({day: count for day, count in began.items() if count})
