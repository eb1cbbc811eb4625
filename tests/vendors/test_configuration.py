"""The file of sources: every problem is named with its place, and no secret is ever repeated."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from referral_rewards.config.event_sources import Process, load, parse
from referral_rewards.domain.errors import BadInput
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.vendors.port import Field, Mode

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "connecting-sources.md"
WHOLE: dict[str, Any] = {
    "vendor": "stripe",
    "source": "acme/stripe",
    "secrets": ["env:STRIPE_SECRET"],
    "tells": ["conversion.*", "referral.claimed"],
    "program": "acme-friends",
    "map": {"code": "metadata.referral_code"},
}
ENVIRONMENT = {"STRIPE_SECRET": "whsec_1"}


def test_a_source_is_read_whole(tmp_path: Path) -> None:
    second = tmp_path / "old"
    second.write_text("whsec_0\n")
    told = {**WHOLE, "secrets": ["env:STRIPE_SECRET", f"file:{second}"], "mode": "test", "accounts": ["acct_1"]}
    (source,) = parse({"sources": {"stripe-orders": told}}, ENVIRONMENT).values()
    assert (source.name, source.vendor.name, source.secrets) == ("stripe-orders", "stripe", ("whsec_1", "whsec_0"))
    assert source.rights.cover("acme/stripe", FactType.CONVERSION_REVERSED)
    assert not source.rights.cover("acme/stripe", FactType.METHOD_SET)
    assert not source.rights.cover("acme/shop", FactType.CONVERSION_REVERSED)
    assert (source.mapping.mode, source.mapping.accounts) == (Mode.TEST, frozenset({"acct_1"}))
    assert source.mapping.text(Field.CODE, {"metadata": {"referral_code": " DEX-7 "}}) == "DEX-7"
    assert "whsec_1" not in repr(source)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"vendor": "strip"}, "sources.stripe-orders.vendor: 'strip' is none of "),
        ({"source": "brie@example.com"}, "sources.stripe-orders.source: looks like an email address"),
        ({"secrets": []}, "sources.stripe-orders.secrets: "),
        ({"secrets": ["whsec_real"]}, "sources.stripe-orders.secrets.0: says where the secret stands: env:NAME"),
        ({"secrets": ["env:MISSING"]}, "sources.stripe-orders.secrets.0: nothing stands at env:MISSING"),
        ({"secrets": ["file:/no/such"]}, "sources.stripe-orders.secrets.0: nothing stands at file:/no/such"),
        ({"tells": ["conversion.paid"]}, "sources.stripe-orders.tells: 'conversion.paid' is none of "),
        ({"map": {"cod": "x"}}, "sources.stripe-orders.map.cod: 'cod' is none of "),
        ({"map": {"code": "metadata."}}, "sources.stripe-orders.map.code: 'metadata.' is no JMESPath: "),
        ({"mode": "production"}, "sources.stripe-orders.mode: "),
        ({"program": "acme friends"}, "sources.stripe-orders.program: an id is 1 to 200 characters without spaces"),
        ({"kinds": {"payment": "a b"}}, "sources.stripe-orders.kinds.payment: an id is"),
        ({"sekrets": 1}, "sources.stripe-orders.sekrets: "),
    ],
)
def test_every_problem_is_one_line_with_its_place(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse({"sources": {"stripe-orders": {**WHOLE, **change}}}, ENVIRONMENT)
    lines = [str(each) for each in refused.value.problems]
    assert [each.startswith(problem) for each in lines] == [True], lines
    assert "whsec_" not in str(refused.value)


API = {"key": "env:STRIPE_KEY"}


def test_each_process_reads_only_the_secrets_that_it_needs() -> None:
    told = {"sources": {"stripe-orders": {**WHOLE, "api": API, "pull": {"every": "5m"}}}}
    (heard,) = parse(told, ENVIRONMENT).values()
    assert heard.api is not None
    assert (heard.secrets, heard.api.key, heard.api.url) == (("whsec_1",), None, "https://api.stripe.com")
    (asked,) = parse(told, {"STRIPE_KEY": "rk_1"}, Process.WORKER).values()
    assert asked.secrets == ()
    assert asked.api is not None
    assert asked.api.key is not None
    assert asked.api.key.get_secret_value() == "rk_1"
    assert asked.pull is not None
    assert (asked.pull.every, asked.pull.overlap) == (timedelta(minutes=5), timedelta(hours=1))
    assert "rk_1" not in repr(asked)


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://proxy.example.com:8443/", True),
        ("http://127.0.0.1:8704", True),
        ("http://localhost:8704", True),
        ("http://[::1]:8704", True),
        ("http://api.stripe.com", False),
        ("http://127.0.0.1.example.com", False),
        ("https://", False),
        ("ftp://api.stripe.com", False),
        ("https://user@api.stripe.com", False),
        ("https://api.stripe.com?x=1", False),
        ("https://api.stripe.com:x", False),
    ],
)
def test_a_key_goes_only_to_an_address_that_nobody_can_read_on_the_way(url: str, right: bool) -> None:
    told = {"sources": {"stripe-orders": {**WHOLE, "api": {**API, "url": url}}}}
    if right:
        assert parse(told, ENVIRONMENT)
        return
    with pytest.raises(BadInput) as refused:
        parse(told, ENVIRONMENT)
    assert [each.where for each in refused.value.problems] == ["sources.stripe-orders.api.url"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"pull": {}}, ".pull: needs an api beside it"),
        ({"api": API, "vendor": "cloudevents"}, ".api: only these vendors are asked: hubspot, shopify, stripe"),
        ({"api": API, "vendor": "shopify"}, ".accounts: names the one shop that the key is of"),
        ({"api": API, "vendor": "shopify", "accounts": ["acme.example.com"]}, ".accounts: names the one shop"),
        ({"api": {"key": "rk_real"}}, ".api.key: says where the key stands: env:NAME or file:/path"),
        ({"api": {"key": "env:MISSING"}}, ".api.key: nothing stands at env:MISSING: the vendor can't be asked"),
        ({"api": {"key": "env:STRIPE_KEY", "token": "x"}}, ".api.token: "),
        ({"api": API, "pull": {"every": "10"}}, ".pull.every: is a number of minutes, hours or days, as 10m"),
        ({"api": API, "pull": {"every": "2d"}}, ".pull.every: is a number of minutes, hours or days"),
        ({"api": API, "pull": {"every": "0m"}}, ".pull.every: is a number of minutes"),
        ({"api": API, "pull": {"overlap": "8d"}}, ".pull.overlap: is a number of minutes"),
    ],
)
def test_a_problem_of_an_api_is_one_line_with_its_place(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse({"sources": {"one": {**WHOLE, **change}}}, {"STRIPE_KEY": "rk_1"}, Process.WORKER)
    lines = [str(each) for each in refused.value.problems]
    assert [each.startswith(f"sources.one{problem}") for each in lines] == [True], lines
    assert "rk_" not in str(refused.value)


def test_several_problems_are_named_at_once() -> None:
    with pytest.raises(BadInput) as refused:
        parse({"sources": {"stripe": WHOLE, "Shop 1": WHOLE}}, {})
    assert [each.where for each in refused.value.problems] == [
        "sources.stripe",
        "sources.stripe.secrets.0",
        "sources.Shop 1",
        "sources.Shop 1.secrets.0",
        "sources.Shop 1.source",
    ]


@pytest.mark.parametrize("text", ["", "[]", "sources: 1", "sources: {a: 1}", "a: [", "\tx"])
def test_what_is_no_such_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    with pytest.raises(BadInput):
        load(path, {})
    path.write_text("sources:\n  a: [\n  b: c")
    with pytest.raises(BadInput, match=r"sources\.yaml, line 3: is not YAML: "):
        load(path, {})
    with pytest.raises(BadInput, match="can't be read"):
        load(tmp_path / "missing", {})


def test_the_files_of_the_guide_are_valid(tmp_path: Path) -> None:
    blocks = [each.partition("```")[0] for each in GUIDE.read_text().split("```yaml\n")[1:]]
    environment = dict.fromkeys(("STRIPE_SECRET", "STRIPE_SECRET_OLD", "BILLING_SECRET", "CRM_TOKEN"), "whsec_c2VjcmV0")
    for place, text in enumerate(blocks):
        path = tmp_path / f"{place}.yaml"
        path.write_text(text)
        assert load(path, environment)
    assert blocks


@pytest.mark.parametrize("vendor", ["hubspot", "partnerstack", "shopify"])
def test_the_entry_that_a_vendors_page_shows_is_right(vendor: str) -> None:
    page = (GUIDE.parent / "sources" / f"{vendor}.md").read_text()
    (entry,) = re.findall(r"```yaml\n(vendor: .*?)```", page, re.DOTALL)
    secret = re.findall(r"env:([A-Z_]+)", entry)[0]
    (source,) = parse({"sources": {"one": yaml.safe_load(entry)}}, {secret: "s" * 40}).values()
    assert (source.vendor.name, source.mapping.program) == (vendor, "acme-friends")
