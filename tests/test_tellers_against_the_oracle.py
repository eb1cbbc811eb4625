"""What restores an order, told by people who may not tell everything: our reading against the oracles'."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from referral_rewards.audit.reading import disputes, orders
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.domain.referrals.disputes import DisputeState
from tests import oracle, telling
from tests.domain.build import BRIE, acme
from tests.seeds import seeds
from tests.test_against_the_oracle import fact_of

Event = dict[str, Any]

_MARKER, _TERMS = Marker(b"a pepper for tests only"), acme()
_BEGAN = datetime(2026, 7, 1, 12, tzinfo=UTC)
_ORDERS = 300


def order(rng: Random, number: int) -> list[Event]:
    """One order and what became of it, told by a shop and a bank."""
    bought = {"kind": "purchase", "customer": BRIE, "amount": "80.00", "currency": "USD"}
    events = [_event(rng, number, "conversion.recorded", bought, day=0, source="acme/billing")]
    for _ in range(rng.randrange(2, 6)):
        reversal = rng.choice(({"reversal": "x1"}, {"reversal": "x1"}, {"reversal": "x2"}, {}))
        dispute = rng.choice(({}, {"dispute": "d1"}, {"dispute": "d2"}))
        type_, data = rng.choice(
            (
                ("conversion.reversed", {"kind": "refund", "amount": rng.choice(("10", "30")), **reversal}),
                ("conversion.reversal_failed", reversal),
                ("conversion.amended", {"amount": rng.choice(("20", "50", "80", "140"))}),
                ("conversion.dispute_opened", {"amount": "30", **dispute}),
                ("conversion.dispute_closed", {"outcome": rng.choice(("won", "inquiry_closed", "lost")), **dispute}),
            )
        )
        events.append(_event(rng, number, type_, data, day=rng.randrange(4), count=len(events)))
    telling.bound(rng, events)
    return events


def _event(
    rng: Random, number: int, type_: str, data: Event, *, day: int, count: int = 0, source: str | None = None
) -> Event:
    return {
        "specversion": "1.0",
        "id": f"o{number}-{count}",
        "source": source or rng.choice(("acme/billing", "acme/processor")),
        "type": type_,
        "time": (_BEGAN + timedelta(days=day)).isoformat(),
        "data": {"order": f"o{number}", **data},
    }


@pytest.mark.parametrize("seed", seeds(4, of=40))
def test_an_order_is_worth_what_the_oracle_makes_of_it(seed: int) -> None:
    rng, differing = Random(seed), {}
    for number in range(_ORDERS):
        events = order(rng, number)
        told, name = oracle.all_told(events), f"o{number}"
        record = told[0]
        gross, _, unread = orders.amounts(record, told)
        assert gross is not None
        taken, differs = disputes.taken(told, name, gross, "USD")
        still_open = sum(bool(each.opened) and not each.counted for each in disputes.disputes(told, name))
        wanted = (max(gross - taken, Decimal(0)), unread or differs, still_open)
        facts = [fact_of(event, _MARKER) for event in rng.sample(events, len(events))]
        (found,) = conversions(facts, frozenset(_MARKER.marks(BRIE)), _TERMS)
        states = [each.state for each in found.disputes]
        ours = (
            Decimal(found.net_minor or 0) / 100,
            bool(found.conflicts),
            states.count(DisputeState.OPEN) + states.count(DisputeState.REVERSED),
        )
        if ours != wanted:
            differing[number] = (ours, wanted, events)
    assert not differing
