"""Rights to tell: the sources and types that they name, and the facts that they cover."""

import re

import pytest

from referral_rewards.domain.errors import BadInput
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.facts.rights import ANY, EVERYTHING, NOTHING, Rights, rights

SHOP = rights(["acme/shop"], ["conversion.recorded", "conversion.reversed"])


@pytest.mark.parametrize(
    ("its", "source", "type_", "covered"),
    [
        (SHOP, "acme/shop", "conversion.recorded", True),
        (SHOP, "acme/shop", "referrer.reinstated", False),
        (SHOP, "acme/crm", "conversion.recorded", False),
        (SHOP, "acme/shop/2", "conversion.recorded", False),
        (rights([ANY], ["conversion.recorded"]), "acme/crm", "conversion.recorded", True),
        (rights(["acme/shop"], ["conversion.*"]), "acme/shop", "conversion.reversal_failed", True),
        (rights(["acme/shop"], ["conversion.*"]), "acme/shop", "referral.sent", False),
        (EVERYTHING, "any", "referral.sent", True),
        (NOTHING, "any", "referral.sent", False),
        (rights([ANY], []), "any", "referral.sent", False),
    ],
)
def test_rights_cover_their_sources_and_types(its: Rights, source: str, type_: str, covered: bool) -> None:
    assert its.cover(source, type_) is covered
    assert (its.objection(source, type_) is None) is covered


def test_objection_says_in_one_line_what_may_be_told() -> None:
    said = SHOP.objection("acme/crm", "conversion.recorded")
    assert str(said) == (
        "source: 'acme/crm' may not be told by this sender: "
        "it may tell conversion.recorded, conversion.reversed of acme/shop"
    )
    assert str(SHOP.objection("acme/shop", "referral.sent")).startswith("type: 'referral.sent' may not be told")
    assert str(rights([ANY], ["conversion.*", "referral.claimed"])) == "conversion.*, referral.claimed of every source"
    some = ["conversion.recorded", "conversion.reversed", *(each for each in FactType if each.endswith("ed"))]
    assert re.fullmatch(r"(\S+, ){6}\d+ more of every source", str(rights([ANY], some)))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (SHOP, EVERYTHING, SHOP),
        (SHOP, NOTHING, NOTHING),
        (rights(["a", "b"], [ANY]), rights(["b", "c"], ["referral.sent"]), rights(["b"], ["referral.sent"])),
    ],
)
def test_what_two_may_tell(one: Rights, other: Rights, both: Rights) -> None:
    assert one & other == other & one == both
    assert both.within(one)
    assert both.within(other)


def test_wider_rights_are_not_within() -> None:
    assert not EVERYTHING.within(SHOP)
    assert not rights(["acme/shop", "acme/crm"], ["conversion.recorded"]).within(SHOP)


def test_any_leaves_no_other_name() -> None:
    assert rights([ANY, "acme/shop"], [ANY, "referral.sent"]) == EVERYTHING


def test_every_type_can_be_named() -> None:
    assert rights(["a"], FactType).types == frozenset(FactType)


@pytest.mark.parametrize(
    ("sources", "types", "where", "says"),
    [
        (["a"], ["conversion.recoded"], "types", "did you mean"),
        (["a"], ["conversion"], "types", "is none of"),
        (["brie@example.com"], [ANY], "sources", "can't be a source"),
        ([""], [ANY], "sources", "can't be a source"),
        ([f"s{number}" for number in range(51)], [ANY], "sources", "at most 50"),
    ],
)
def test_words_that_name_nothing_are_refused(sources: list[str], types: list[str], where: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        rights(sources, types)
    (problem,) = refused.value.problems
    assert problem.where == where
    assert says in problem.what
