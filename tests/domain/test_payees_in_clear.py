"""What is known of a payee in clear: told, erased, or never told."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid5

import pytest

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payees.in_clear import Told, in_clear
from referral_rewards.domain.restores.reopening import rail_id

NOW = datetime(2026, 7, 1, tzinfo=UTC)
IBAN = "DE02 1203 0000 0000 2020 51"


def told(type_: FactType, body: dict[str, Any] | None, days_ago: int = 10, **public: Any) -> Told:
    id_ = uuid5(rail_id("manual"), f"{type_} {days_ago} {public}")
    at = NOW - timedelta(days=days_ago)
    return Told(Fact(id_, "shop", str(id_), type_, at, at, public), body)


def method(body: dict[str, Any] | None, days_ago: int = 10, **public: Any) -> Told:
    return told(FactType.METHOD_SET, body, days_ago, payee="mira", rail="manual", **public)


@pytest.mark.parametrize(
    ("set_", "shown", "erased"),
    [
        (method({"reference": IBAN}), IBAN, False),
        (method({"reference": "acct_1"}, reference="acct_1"), "acct_1", False),
        (method({}), None, False),
        (method({"reference": "  "}), None, False),
        (method({"reference": 7}), None, False),
        (method(None), None, True),
        (method(None, reference="acct_1"), "acct_1", False),
    ],
    ids=["personal", "public", "none told", "blank", "no text", "erased", "public, its text erased"],
)
def test_a_destination_is_what_was_told_of_it(set_: Told, shown: str | None, erased: bool) -> None:
    (its,) = in_clear("mira", [set_], NOW).destinations
    assert (its.in_clear, its.erased, its.present) == (shown, erased, True)
    assert its.on_record == (set_.fact.data.get("reference") or f"method:{set_.fact.id}")


def test_the_old_and_the_new_destination_stand_side_by_side_and_one_is_present() -> None:
    found = in_clear("mira", [method({"reference": "new"}, 1), method({"reference": "old"}, 9)], NOW)
    assert [(each.in_clear, each.present) for each in found.destinations] == [("old", False), ("new", True)]


def test_of_a_removed_one_none_is_present() -> None:
    removed = told(FactType.METHOD_REMOVED, {}, 1, payee="mira", rail="manual")
    (its,) = in_clear("mira", [method({"reference": "old"}), removed], NOW).destinations
    assert not its.present


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        (FactType.REFERRER_ENROLLED, {"name": "Mira Noor"}),
        (FactType.REFERRAL_SENT, {"referee": {"name": "Mira Noor"}}),
        (FactType.REFERRAL_CLAIMED, {"referee": {"name": " Mira Noor "}}),
        (FactType.CONVERSION_RECORDED, {"customer": {"name": "Mira Noor"}}),
    ],
)
def test_a_name_stands_in_the_part_that_describes_the_person(type_: FactType, body: dict[str, Any]) -> None:
    assert [each.name for each in in_clear("mira", [told(type_, body)], NOW).names] == ["Mira Noor"]


def test_a_name_stands_once_and_an_erased_one_says_so() -> None:
    kind = FactType.REFERRER_ENROLLED
    facts = [told(kind, {"name": "Mira"}, 3), told(kind, None, 2), told(kind, {"name": "Mira"}, 5), told(kind, {}, 1)]
    assert [each.name for each in in_clear("mira", facts, NOW).names] == ["Mira", None]


def test_a_destination_is_paid_under_the_name_told_with_it_else_under_the_first() -> None:
    kind = FactType.REFERRER_ENROLLED
    names = [told(kind, None, 9), told(kind, {"name": "Mira"}, 8), told(kind, {"name": "Thief"}, 1)]
    found = in_clear(
        "mira", [*names, method({"reference": "a"}, 3), method({"reference": "b", "name": "M. N."}, 2)], NOW
    )
    assert [found.holder_of(each) for each in found.destinations] == ["Mira", "M. N."]


def test_a_payout_finds_the_destination_that_it_names() -> None:
    found = in_clear("mira", [method({}, 9, reference="acct_1"), method({}, 1, reference="acct_1")], NOW)
    known = found.known_as("manual", "acct_1")
    assert known is not None
    assert known.told.occurred_at == NOW - timedelta(days=1)
    assert found.known_as("manual", "acct_2") is None
    assert found.known_as("stripe_transfer", "acct_1") is None
