"""Which facts are of which order, where stores share numbers (SPEC §3, Orders): one row per case, in any order."""

from collections.abc import Sequence
from itertools import permutations
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import (
    OrderName,
    OrdersOfOneId,
    name_of,
    order_named,
    orders_in,
    orders_of_one_id,
)
from referral_rewards.domain.referrals.conversions import as_if_its_own, contested_records, conversions
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.domain.referrals.periods import course, reopened
from tests.domain.build import acme, at, bought, claimed, fact, sent

TERMS: Final = acme()
OTTO, INES, ANNA = ({"customer": name} for name in ("c-otto", "c-ines", "c-anna"))


def record(name: str, who: dict[str, str], store: str | None = None, day: int = 11, **more: Any) -> Fact:
    """A record of order 1001, under this id."""
    data = {"order": "1001", "kind": "purchase", "customer": who, "amount": "80.00", "currency": "USD", **more}
    return fact("conversion.recorded", f"2026-08-{day}", _in(data, store), event_id=name)


def told(name: str, store: str | None = None, type_: str = "conversion.reversed", **more: Any) -> Fact:
    """What became of an order 1001, under this id."""
    data = {"order": "1001", **({"kind": "refund"} if type_ == "conversion.reversed" else {}), **more}
    return fact(type_, "2026-08-20", _in(data, store), event_id=name)


def _in(data: dict[str, Any], store: str | None) -> dict[str, Any]:
    return data if store is None else {**data, "store": store}


def read(*facts: Fact) -> OrdersOfOneId:
    return orders_of_one_id(sorted(facts, key=lambda each: each.precedence))


def shape(found: OrdersOfOneId) -> tuple[set[tuple[str, str, str, str]], str]:
    """Each order as its stores, records, what it is told and what is in doubt; and the stray records."""
    return {
        (" ".join(sorted(each.stores)), _ids(each.records), _ids(each.told), _ids(each.doubtful))
        for each in found.orders
    }, _ids(found.stray)


def _ids(facts: Sequence[Fact]) -> str:
    return " ".join(sorted(each.event_id for each in facts))


OPENED, CLOSED = "conversion.dispute_opened", "conversion.dispute_closed"
FAILED, AMENDED = "conversion.reversal_failed", "conversion.amended"


@pytest.mark.parametrize(
    ("facts", "orders", "stray"),
    [
        # One number, as before there were stores
        ([], [], ""),
        ([told("back")], [], ""),
        ([record("a", OTTO)], [("", "a", "", "")], ""),
        ([record("a", OTTO), record("b", INES), told("back")], [("", "a b", "back", "")], ""),
        # Two stores share a number
        ([record("a", OTTO, "de"), record("b", INES, "fr")], [("de", "a", "", ""), ("fr", "b", "", "")], ""),
        ([record("a", OTTO, "de"), record("b", INES, "de")], [("de", "a b", "", "")], ""),
        ([record("a", OTTO, "de"), record("b", INES, "fr"), told("back", "fr")],
         [("de", "a", "", ""), ("fr", "b", "back", "")], ""),
        ([record("a", OTTO, "de"), record("b", INES, "fr"), told("back")],
         [("de", "a", "", "back"), ("fr", "b", "", "back")], ""),
        *[([record("a", OTTO, "de"), record("b", INES, "fr"), told("x", store, type_, **data)],
           [("de", "a", "x" if store else "", "" if store else "x"), ("fr", "b", "", "" if store else "x")], "")
          for type_, data in ((OPENED, {}), (CLOSED, {"outcome": "lost"}), (FAILED, {}), (AMENDED, {"amount": "1.00"}))
          for store in ("de", None)],
        # What is told of a store that has no record is about none that is known
        ([record("a", OTTO, "de"), told("back", "fr")], [("de", "a", "", "")], ""),
        # A fact without a store is of the only order of that id
        ([record("a", OTTO, "de"), told("back")], [("de", "a", "back", "")], ""),
        ([record("a", OTTO), told("back", "de")], [("", "a", "back", "")], ""),
        ([record("a", OTTO), told("back", "de"), told("again")], [("", "a", "again back", "")], ""),
        ([record("a", OTTO), record("b", INES, "de")], [("de", "a b", "", "")], ""),
        # ... and where nobody can tell of which, it is in doubt on each
        ([record("a", OTTO), told("back", "de"), told("too", "fr")], [("", "a", "", "back too")], ""),
        ([record("a", OTTO, "de"), record("b", INES, "fr"), record("c", ANNA)],
         [("de", "a", "", "c"), ("fr", "b", "", "c")], "c"),
        # A store in other case may be the same or another one: what is told of it is in doubt, and not lost
        ([record("a", OTTO, "de"), told("back", "DE")], [("de", "a", "", "back")], ""),
        ([record("a", OTTO, "de"), record("b", INES, "DE")], [("DE", "b", "", "a"), ("de", "a", "", "b")], ""),
        ([record("a", OTTO), told("back", "de"), told("too", "DE")], [("", "a", "", "back too")], ""),
        # One customer is one order: in two stores, or in one and in none
        ([record("a", OTTO, "de"), record("b", OTTO, "fr")], [("de fr", "a b", "", "")], ""),
        ([record("a", OTTO, "de"), record("b", OTTO, "fr"), told("back")], [("de fr", "a b", "back", "")], ""),
        ([record("a", OTTO, "de"), record("b", OTTO)], [("de", "a b", "", "")], ""),
        ([record("a", OTTO, "de"), record("b", INES, "fr"), record("c", INES)],
         [("de", "a", "", "c"), ("fr", "b c", "", "")], ""),
        ([record("a", OTTO, "de"), record("b", OTTO, "fr"), record("c", INES, "it")],
         [("de fr", "a b", "", ""), ("it", "c", "", "")], ""),
        # ... by any shared part, and through what several records say
        ([record("a", OTTO, "de"), record("b", {**OTTO, "email": "o@c.example"}), record("c", {"email": "o@c.example"},
          "fr")], [("de fr", "a b c", "", "")], ""),
    ],
)  # fmt: skip
def test_facts_are_of_the_order_of_their_store_in_whatever_order_they_come(
    facts: list[Fact], orders: list[tuple[str, str, str, str]], stray: str
) -> None:
    for arrived in permutations(facts):
        assert shape(read(*arrived)) == (set(orders), stray)


@pytest.mark.parametrize(
    ("facts", "conflicts"),
    [
        ([record("a", OTTO, "de"), record("b", INES, "fr")], [[], []]),
        ([record("a", OTTO, "de"), record("b", OTTO, "fr")],
         [["Order 1001 of one customer is recorded in store de and store fr: that is one order"]]),
        ([record("a", OTTO, "de"), record("b", OTTO)],
         [["Order 1001 of one customer is recorded in store de and without a store: that is one order"]]),
        ([record("a", OTTO, "de"), record("b", INES, "fr"), told("back")],
         [["test tells of order 1001 without its store, and several stores have it: it takes nothing by itself"]] * 2),
        ([record("a", OTTO, "de"), told("back", "DE")],
         [["test tells of order 1001 of store DE, which is written in other case here: it takes nothing by itself"]]),
        ([record("a", OTTO), told("back", "de"), told("too", "fr")],
         [["test tells of order 1001 of store de, and no record names its store: it takes nothing by itself",
           "test tells of order 1001 of store fr, and no record names its store: it takes nothing by itself"]]),
    ],
)  # fmt: skip
def test_what_can_not_be_told_of_a_store_is_a_conflict(facts: list[Fact], conflicts: list[list[str]]) -> None:
    assert [list(each.conflicts) for each in read(*facts).orders] == conflicts


def test_two_stores_share_a_number_and_each_order_is_its_customers() -> None:
    facts = [record("a", OTTO, "de"), record("b", INES, "fr", day=12), told("back", "fr", amount="30.00")]
    (ottos,) = conversions(facts, {"customer:c-otto"}, TERMS)
    (ines,) = conversions(facts, {"customer:c-ines"}, TERMS)
    assert (ottos.name, ottos.net_minor, ottos.conflicts) == (OrderName("1001", "de"), 8000, ())
    assert (ines.name, ines.net_minor, ines.conflicts) == (OrderName("1001", "fr"), 5000, ())


@pytest.mark.parametrize(
    ("name", "facts", "expected"),
    [
        (None, [record("a", OTTO)], None),
        (OrderName("1002"), [record("a", OTTO)], None),
        (OrderName("1001"), [record("a", OTTO)], "a"),
        (OrderName("1001", "de"), [record("a", OTTO)], "a"),
        (OrderName("1001"), [record("a", OTTO, "de")], "a"),
        (OrderName("1001", "fr"), [record("a", OTTO, "de")], None),
        (OrderName("1001", "fr"), [record("a", OTTO, "de"), record("b", INES, "fr")], "b"),
        (OrderName("1001", "fr"), [record("a", OTTO, "de"), record("b", OTTO, "fr")], "a b"),
        (OrderName("1001"), [record("a", OTTO, "de"), record("b", INES, "fr")], None),
        (OrderName("1001"), [record("a", OTTO, "de"), record("b", INES, "fr"), record("c", INES)], "b c"),
        # It was paid before anybody told of two stores: what names none is its own
        (OrderName("1001"), [record("a", OTTO, "de"), record("b", INES, "fr"), record("c", ANNA), told("x")], "c x"),
    ],
)
def test_a_name_leads_to_one_order(name: OrderName | None, facts: list[Fact], expected: str | None) -> None:
    found = order_named(facts, name)
    assert (found and _ids(found.facts)) == expected


def test_an_order_is_called_by_the_store_of_its_earliest_record() -> None:
    (found,) = read(record("a", OTTO, "fr", day=11), record("b", OTTO, "de", day=12)).orders
    assert (str(found.name), found.in_stores) == ("1001 of store fr", ("fr", "de"))
    (found,) = read(record("a", OTTO, day=11), record("b", OTTO, "de", day=12)).orders
    assert (str(found.name), found.in_stores) == ("1001 of store de", ("de",))


@pytest.mark.parametrize(
    ("who", "facts", "expected"),
    [
        ("c-ines", [record("a", OTTO), record("b", INES, day=12)], "b"),
        ("c-otto", [record("a", OTTO), record("b", INES, day=12)], ""),
        ("c-ines", [record("a", OTTO, "de"), record("b", INES, "fr", day=12)], ""),
        ("c-anna", [record("a", OTTO, "de"), record("b", INES, "fr"), record("c", ANNA)], "c"),
        ("c-otto", [record("a", OTTO, "de"), record("b", INES, "fr"), record("c", ANNA)], ""),
    ],
)
def test_a_record_of_anothers_order_is_contested(who: str, facts: list[Fact], expected: str) -> None:
    found = contested_records(facts, {f"customer:{who}"}, TERMS)
    assert _ids([each.record for each in found]) == expected


def test_a_contested_record_would_make_the_referral_qualify_if_it_told_of_an_order_of_its_own() -> None:
    facts = [
        sent("2026-08-01", referee=INES),
        claimed("2026-08-02", referee=INES),
        bought("2026-08-11", order="1001", customer=OTTO),
        bought("2026-08-12", order="1001", customer=INES),
    ]
    now = at("2026-08-30")
    begun = origin(facts, now)
    assert begun is not None
    assert course(facts, TERMS, now, origin=begun).status is ReferralStatus.CLAIMED
    contested = contested_records(facts, {"customer:c-ines"}, TERMS)
    as_if = course(as_if_its_own(facts, contested), TERMS, now, origin=begun)
    assert as_if.conversion is not None
    assert as_if.conversion.record.id == facts[3].id


def test_a_reopened_referral_gets_the_contested_order_under_its_own_name() -> None:
    facts = [
        sent("2026-08-01", referee=INES),
        claimed("2026-08-02", referee=INES),
        record("a", OTTO),
        record("b", INES, day=12, amount="60.00"),
        told("back", amount="10.00"),
    ]
    now = at("2026-11-30")
    begun = origin(facts, now)
    assert begun is not None
    assert course(facts, TERMS, now, origin=begun).status is ReferralStatus.EXPIRED
    q = reopened(facts, TERMS, now, origin=begun).conversion
    assert q is not None
    assert (q.record.id, q.name, q.net_minor) == (facts[3].id, OrderName("1001"), 5000)


_STORES = st.sampled_from([None, "de", "fr", "it"])
_WHO = st.sampled_from([OTTO, INES, ANNA, {**OTTO, "email": "o@c.example"}, {"email": "o@c.example"}])
_FACTS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), _STORES, _WHO, st.integers(10, 28)),
        st.tuples(st.just("told"), _STORES, st.none(), st.none()),
    ),
    max_size=7,
)


@given(_FACTS, st.integers(0, 1000))
def test_the_orders_are_the_same_in_whatever_order_their_facts_come(drawn: list[Any], seed: int) -> None:
    facts = [
        told(str(number), store) if kind == "told" else record(str(number), who, store, day)
        for number, (kind, store, who, day) in enumerate(drawn)
    ]
    shuffled = list(facts)
    Random(seed).shuffle(shuffled)
    assert list(orders_in(facts)) == list(orders_in(shuffled))
    found = next(orders_in(facts), OrdersOfOneId())
    records = [each for each in facts if each.type == "conversion.recorded"]
    # Each record is in one order or stray; no two orders share a store, or a customer
    placed = [each for order in found.orders for each in order.records] + list(found.stray)
    assert sorted(each.event_id for each in placed) == sorted(each.event_id for each in records)
    for one, other in permutations(found.orders, 2):
        assert not one.stores & other.stores
        assert not any(identity.links(a.identity, b.identity) for a in one.records for b in other.records)
        assert not {each.id for each in one.told} & {each.id for each in other.told}
    # What names a store that has the id takes from that order alone
    for each in facts:
        if each.store is not None and each not in records:
            its = [order for order in found.orders if each in order.told]
            assert len(its) <= 1
            assert all(not order.stores or each.store in order.stores for order in its)


def test_a_fact_without_an_order_names_none() -> None:
    assert name_of(claimed("2026-08-02")) is None
