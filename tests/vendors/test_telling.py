"""What is told of events ends the same in whatever order, and however often, they come."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.vendors.port import Reading, Told, Unreadable
from referral_rewards.vendors.stripe import Stripe
from referral_rewards.vendors.telling import Outcome, check, told
from tests.vendors.stripe_life import LIFE, MAPPING
from tests.vendors.stripe_life import told as delivered

_REVERSAL = {"id": "re_1", "type": "conversion.reversed", "data": {"reversal": "re_1"}}
_BOUGHT = {"id": "in_1", "type": "conversion.recorded", "data": {"order": "in_1"}}


class Register:
    """What a register keeps of events, in memory: facts by id, names, and what is read again once a name is known."""

    def __init__(self) -> None:
        self.facts: dict[str, Mapping[str, Any]] = {}
        self.names: dict[str, OrderName] = {}
        self.waiting: dict[str, Reading] = {}
        self.outcomes: dict[str, Outcome] = {}

    def take(self, event: Told) -> None:
        """Take an event in, and all that waited for it."""
        self._read(Stripe().read(event, MAPPING))
        while ready := [each for each in self.waiting.values() if (each.of or "") in self.names]:
            for each in ready:
                self._read(each)

    def _read(self, reading: Reading) -> None:
        self.waiting.pop(reading.event_id, None)
        found = told(reading, self.names.get(reading.of or ""), MAPPING.store)
        for fact in found.facts:
            assert self.facts.setdefault(fact["id"], fact) == fact
        for name, order in (found.links or {}).items():
            assert self.names.setdefault(name, order) == order
        self.outcomes[reading.event_id] = found.outcome
        if found.awaits is not None:
            self.waiting[reading.event_id] = reading


def _after(events: Iterable[dict[str, Any]]) -> Register:
    register = Register()
    for each in events:
        register.take(delivered(each))
    return register


IN_TURN = _after(LIFE)


def test_the_life_of_a_purchase_and_of_a_subscription() -> None:
    said = {(name, fact["data"].get("order")) for name, fact in IN_TURN.facts.items()}
    assert said == {
        ("cs_live_a1.claimed", None),
        ("cs_live_a1.paid", "pi_1"),
        ("re_1", "pi_1"),
        ("du_1", "pi_1"),
        ("du_1.won.1780646400", "pi_1"),
        ("in_1.paid", "in_1"),
        ("cn_1", "in_1"),
        ("re_2", "pi_in"),
        ("re_2 of in_1", "in_1"),
        ("re_2.failed.1780538400", "pi_in"),
        ("re_2.failed.1780538400 of in_1", "in_1"),
    }
    assert set(IN_TURN.outcomes.values()) == {Outcome.READ}
    assert not IN_TURN.waiting


@given(st.permutations([*LIFE, *LIFE[::2]]))
def test_shuffled_and_repeated_deliveries_end_in_one_state(events: list[dict[str, Any]]) -> None:
    register = _after(events)
    assert (register.facts, register.names) == (IN_TURN.facts, IN_TURN.names)
    assert not register.waiting


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_of_what_depends_on_one_another(order: tuple[int, ...]) -> None:
    chained = (LIFE[6], LIFE[7], LIFE[8], LIFE[9])
    register = _after(chained[place] for place in order)
    assert register.facts.keys() == {
        name for name, fact in IN_TURN.facts.items() if "in" in fact["data"].get("order", "")
    }


@pytest.mark.parametrize("dropped", range(len(LIFE)))
def test_what_is_dropped_and_comes_days_later_changes_nothing_in_the_end(dropped: int) -> None:
    rest = [each for place, each in enumerate(LIFE) if place != dropped]
    register = _after([*rest, LIFE[dropped]])
    assert register.facts == IN_TURN.facts


def test_a_reversal_never_waits_and_a_conversion_does() -> None:
    without_its_payment = _after([LIFE[6], LIFE[9]])
    assert without_its_payment.facts.keys() == {"re_2", "re_2.failed.1780538400"}
    assert without_its_payment.outcomes == {"evt_7": Outcome.WAITING, "evt_10": Outcome.READ}


@pytest.mark.parametrize(
    ("facts", "known", "outcome", "told_of", "awaits"),
    [
        ((_REVERSAL,), None, Outcome.READ, [("re_1", "pi_1")], "pi_1"),
        ((_REVERSAL,), OrderName("pi_1"), Outcome.READ, [("re_1", "pi_1")], None),
        ((_REVERSAL,), OrderName("A-1", "de"), Outcome.READ, [("re_1", "pi_1"), ("re_1 of A-1", "A-1")], None),
        ((_BOUGHT,), None, Outcome.WAITING, [], "pi_1"),
        ((_BOUGHT,), OrderName("x"), Outcome.READ, [("in_1", "in_1")], None),
        ((_REVERSAL, _BOUGHT), None, Outcome.WAITING, [("re_1", "pi_1")], "pi_1"),
        ((), None, Outcome.WAITING, [], "pi_1"),
        ((), OrderName("x"), Outcome.READ, [], None),
    ],
)
def test_what_is_told_by_what_is_known(
    facts: tuple[Any, ...],
    known: OrderName | None,
    outcome: Outcome,
    told_of: list[tuple[str, str]],
    awaits: str | None,
) -> None:
    found = told(Reading("e", "t", facts=facts, of="pi_1"), known, None)
    said = [(fact["id"], fact["data"]["order"]) for fact in found.facts]
    assert (found.outcome, said, found.awaits) == (outcome, told_of, awaits)


def test_a_name_that_no_register_could_keep_is_refused() -> None:
    for reading in (
        Reading("e\0", "t"),
        Reading("e", "t", of="\ud800"),
        Reading("e", "t", links={"pi_1": OrderName("brie@example.com")}),
    ):
        with pytest.raises(Unreadable):
            check(reading)
