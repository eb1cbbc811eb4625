"""What a conversion is worth, and whose it is."""

import itertools
from datetime import timedelta

import pytest

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.referrals.conversions import conversions
from tests.domain.build import BRIE, acme, at, bought, reversed_, sent

DAY = timedelta(days=1)
P = at("2026-07-01")
TERMS = acme()
WHO = sent(P, referee=BRIE).identity


@pytest.mark.parametrize(
    ("why", "facts", "gross_minor", "net_minor"),
    [
        ("nothing taken back", [bought(P)], 8000, 8000),
        ("a part", [bought(P), reversed_(P, amount="30.00")], 8000, 5000),
        ("parts add up", [bought(P), reversed_(P, amount="30"), reversed_(P + DAY, amount="10.5")], 8000, 3950),
        ("never below nothing", [bought(P), reversed_(P, amount="100")], 8000, 0),
        ("all of it", [bought(P), reversed_(P)], 8000, 0),
        ("a part, then all", [bought(P), reversed_(P, amount="30.00"), reversed_(P + DAY)], 8000, 0),
        ("whatever its date", [bought(P), reversed_(P - DAY, amount="30.00")], 8000, 5000),
        ("in its own currency", [bought(P, amount="80", currency="JPY"), reversed_(P, amount="30")], 80, 50),
        ("no amount", [bought(P, amount=None)], None, None),
        ("no amount, taken back", [bought(P, amount=None), reversed_(P)], None, None),
        ("by its earliest record", [bought(P + DAY, amount="90.00"), bought(P)], 8000, 8000),
    ],
)
def test_a_conversion_is_worth_its_amount_less_what_was_taken_back(
    why: str, facts: list[Fact], gross_minor: int | None, net_minor: int | None
) -> None:
    for order in itertools.permutations(facts):
        (found,) = conversions(order, WHO, TERMS)
        assert (found.gross_minor, found.net_minor) == (gross_minor, net_minor), why
        assert len(found.records) + len(found.reversals) == len(facts)


def test_conversions_come_by_time_then_by_order_id() -> None:
    facts = [bought(P, order="b", source="1"), bought(P, order="a", source="2"), bought(P - DAY, order="c")]
    assert [each.order for each in conversions(facts, WHO, TERMS)] == ["c", "a", "b"]


def test_a_reversal_alone_is_no_conversion() -> None:
    assert conversions([reversed_(P)], WHO, TERMS) == []


def test_kinds_and_minimum_are_told_not_filtered() -> None:
    (found,) = conversions([bought(P, kind="newsletter", amount="1.00")], WHO, TERMS)
    assert (found.of_kind, found.counts, found.would_count) == (False, False, False)


def test_an_order_never_leads_from_one_identity_to_another() -> None:
    both = bought(P, order="o1", customer={**BRIE, "customer": "c-brie"})
    other = bought(P, order="o2", customer={"customer": "c-brie"})
    assert [each.order for each in conversions([both, other], WHO, TERMS)] == ["o1"]


def test_a_program_without_a_minimum_still_needs_something() -> None:
    terms = acme(qualifying__minimum=None)
    assert [each.counts for each in conversions([bought(P, amount="0.01")], WHO, terms)] == [True]
    assert [each.counts for each in conversions([bought(P, amount="0")], WHO, terms)] == [False]
