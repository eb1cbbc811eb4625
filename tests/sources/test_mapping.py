"""The settings of a system that answers in its own words: every mistake in them is named at the start, in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from referral_rewards.config.event_sources import Process
from referral_rewards.config.revalidation import parse
from referral_rewards.config.sources import SourceSettings, SourcesSettings
from referral_rewards.domain.errors import BadInput
from referral_rewards.sources.connecting import spoken_at
from tests.sources.mapped import KEYS, endpoint, example


def problems(change: Callable[[dict[str, Any]], object], environment: dict[str, str] = KEYS) -> list[str]:
    document = example()
    change(document["revalidation"]["legacy-shop"])
    with pytest.raises(BadInput) as refused:
        parse(document, environment)
    return [str(each).removeprefix("revalidation.legacy-shop.") for each in refused.value.problems]


def test_the_guides_example_is_taken_as_it_stands() -> None:
    shop = endpoint()
    assert (shop.source, shop.check) == ("acme/legacy-shop", "https://shop.example/api/status")
    assert shop.headers == {b"Authorization": b"Bearer k-1"}
    assert "k-1" not in repr(shop)


def test_without_a_check_the_servers_root_is_asked() -> None:
    assert endpoint(check=None).check == "https://shop.example/"


def test_a_file_without_the_section_names_none() -> None:
    assert parse({"sources": {}}, {}) == parse(None, {}) == {}


def test_of_an_order_with_no_word_for_its_state_only_the_values_are_read() -> None:
    its = example()["revalidation"]["legacy-shop"]["order"]
    short = {name: its["map"][name] for name in ("kind", "time", "customer")}
    shop = endpoint(order={"url": its["url"], "map": short}, account=None)
    assert shop.order is not None
    assert (shop.order.states, shop.order.items, shop.account) == ({}, None, None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda its: its["order"]["map"].update(amount="total["), "order.map.amount: 'total[' is no JMESPath:"),
        (lambda its: its["order"]["map"].update(amuont="total"), "order.map.amuont: 'amuont' is none of"),
        (lambda its: its["order"]["map"].pop("kind"), "order.map: needs kind: the kind of conversion"),
        (lambda its: its["order"]["map"].pop("time"), "order.map: needs time: when it was paid or opened"),
        (lambda its: its["order"]["map"].pop("currency"), "order.map: needs currency beside an amount"),
        (lambda its: its["order"]["map"].pop("changed_at"), "order.map: needs changed_at: when it came"),
        (lambda its: its["order"]["map"].pop("state"), "order.map: needs state: where the words stand"),
        (lambda its: its["order"].update(states={}), "order.states: say what each word of state means"),
        (lambda its: its["order"]["states"].update(void="gone"), "order.states.void: 'gone' is none of stands, rev"),
        (lambda its: its["account"]["states"].update(x="reversed"), "account.states.x: 'reversed' is none of stands,"),
        (lambda its: its["account"]["map"].pop("changed_at"), "account.map: needs changed_at"),
        (lambda its: its["order"]["refunds"]["map"].pop("id"), "order.refunds.map: needs id"),
        (lambda its: its["order"].update(url="https://x.example/{number}"), "order.url: {number} is no place"),
        (lambda its: its["order"].update(url="http://x.example/{order}"), "order.url: begins with https://"),
        (lambda its: its["order"].update(url="https://{order}/x"), "order.url: is an address, as https://"),
        (lambda its: its["headers"].update(Authorization="Bearer k-1"), "headers.Authorization: says where the secret"),
        (lambda its: its["headers"].update({"X Y": "1"}), "headers.X Y: is no name of a header"),
        (lambda its: its.pop("order"), "needs order or customer: what is asked for"),
        (lambda its: its.update(customer={"url": "https://x.example/{customer}"}), "customer: needs issues"),
        (lambda its: its.update(source="brie@example.com"), "source: "),
        (lambda its: its.update(ordr={}), "ordr: "),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(change: Callable[[dict[str, Any]], object], told: str) -> None:
    found = problems(change)
    assert [each for each in found if each.removeprefix("revalidation.legacy-shop: ").startswith(told)], found


def test_all_mistakes_are_named_at_once_and_no_secret_is_repeated() -> None:
    def change(its: dict[str, Any]) -> None:
        its["headers"]["X-Key"] = "s3cret"
        its["order"]["map"] |= {"kind": "[", "amuont": "x"}
        del its["order"]["map"]["customer"], its["order"]["map"]["email"]

    found = problems(change, {})
    assert len(found) == 5, found
    assert "s3cret" not in " ".join(found)
    assert "headers.Authorization: nothing stands at env:LEGACY_SHOP_KEY: the system can't be asked" in found


def test_an_installation_has_the_sources_of_both_settings_each_asked_in_one_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = {"vendor": "stripe", "secrets": ["env:S"], "tells": ["conversion.*"], "api": {"key": "env:K"}}
    heard = {"vendor": "stripe", "source": "b", "secrets": ["env:S"], "tells": ["conversion.*"]}
    file = tmp_path / "sources.yaml"
    file.write_text(yaml.safe_dump(example() | {"sources": {"stripe-orders": vendor, "only-heard": heard}}))
    for name, value in {**KEYS, "S": "whsec_1", "K": "rk_1"}.items():
        monkeypatch.setenv(name, value)
    shop = SourceSettings(url="https://x.example")
    found = SourcesSettings(event_sources=file, sources={"shop": shop}).endpoints(Process.WORKER)
    assert {name: spoken_at(each) for name, each in found.items()} == {
        "shop": "our own form",
        "legacy-shop": "a mapping",
        "stripe-orders": "stripe",
    }
    with pytest.raises(BadInput, match="legacy-shop: is asked in two ways"):
        SourcesSettings(event_sources=file, sources={"legacy-shop": shop}).endpoints()
