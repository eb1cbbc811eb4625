"""Whatever stands in a vendor's object, its translator reads it or says that it can't: nothing else is raised."""

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import pytest

from referral_rewards.domain.errors import BadInput
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.facts.rights import NOTHING
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.hubspot import HubSpot
from referral_rewards.vendors.port import Reading, SourceMapping, Told, Unreadable
from referral_rewards.vendors.telling import check
from tests.vendors import hubspot_samples, partnerstack_samples, shopify_samples, stripe_life
from tests.vendors.reading import mapping

_CUT: Final = "\ud83d"
_ODD: Final[tuple[Any, ...]] = (None, True, 10**30, -1, _CUT, "a\x00b", "NaN", "", [], {}, [1], {"a": _CUT})


def _places(within: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a document."""
    for key, value in within.items() if isinstance(within, dict) else enumerate(within):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*path, key))


def _bent(document: Any) -> Iterator[Any]:
    """Yield the document with each odd value in each place."""
    bent = copy.deepcopy(document)
    for *way, last in list(_places(document)):
        inner = bent
        for step in way:
            inner = inner[step]
        before = inner[last]
        for odd in _ODD:
            inner[last] = odd
            yield bent
        inner[last] = before


def _tried(read: Callable[[Any], Reading], document: Any) -> int:
    """Read every bent document, and what is made of it; the number of them that could be read."""
    good = 0
    for bent in _bent(document):
        try:
            reading = read(bent)
            check(reading)
        except Unreadable:
            continue
        good += 1
        for fact in (*reading.once, *reading.facts):
            with suppress(BadInput):
                parse_event(fact)
    return good


def _of_stripe(document: Any) -> Reading:
    return stripe_life.connected().vendor.read(stripe_life.told(document), stripe_life.MAPPING)


@pytest.mark.parametrize("topic", sorted(shopify_samples.SAMPLES))
def test_shopify(topic: str) -> None:
    assert _tried(lambda each: shopify_samples.read(topic, each), shopify_samples.SAMPLES[topic])


@pytest.mark.parametrize("document", [*stripe_life.LIFE], ids=lambda each: str(each["type"]))
def test_stripe(document: Any) -> None:
    assert _tried(_of_stripe, document)


@pytest.mark.parametrize("name", sorted(hubspot_samples.SAMPLES))
def test_hubspot(name: str) -> None:
    assert _tried(hubspot_samples.read, hubspot_samples.SAMPLES[name])


@pytest.mark.parametrize("name", sorted(partnerstack_samples.SAMPLES))
def test_partnerstack(name: str) -> None:
    kind, of = partnerstack_samples.SAMPLES[name]
    assert _tried(lambda each: partnerstack_samples.read(kind, each), of)


def test_a_fault_of_a_translator_loses_no_event() -> None:
    class Faulty(HubSpot):
        def read(self, event: Told, mapping: SourceMapping) -> Reading:
            raise KeyError("of ours")

    with pytest.raises(Unreadable, match=r"reading it failed \(KeyError\); this is a fault of ours"):
        ConnectedSource("crm", Faulty(), mapping(), NOTHING).read(Told(b"{}"))
