"""What is known of a rail stands in its record: nobody else but its adapter tells rails apart by their names."""

import ast
import re
from pathlib import Path

import pytest

from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE, PROVIDERS
from tests.architecture.said_once import Text, modules, texts

CATALOGUED = "referral_rewards/domain/payouts/rail_catalogue.py"
#: A rail's adapter, what it is given by the installation, what stands in for its provider; the vendors that tell of
#: orders; and the audit, which shares no record with those it checks.
ITS_OWN = (
    "referral_rewards/rails/",
    "referral_rewards/vendors/",
    "referral_rewards/vendor_apis/",
    "referral_rewards/config/",
    "referral_rewards/local/sandbox/",
    "referral_rewards/audit/",
)
_NAMES = "|".join(sorted(CATALOGUE.keys() | PROVIDERS.values()))
_NAMED = re.compile(rf"\A(?:{_NAMES})\Z|'(?:{_NAMES})'")
#: The name of a source of webhooks, and of a vendor, as examples in the API.
ALLOWED = {
    ("referral_rewards/api/v1/facts/webhooks.py", "stripe"),
    ("referral_rewards/api/v1/facts/event_sources.py", "stripe"),
}


def _named(text: Text) -> bool:
    return _NAMED.search(text.value) is not None and (text.path, text.value) not in ALLOWED


def test_rails_are_named_by_their_records_alone() -> None:
    found = [
        str(text)
        for path, tree in modules()
        if path != CATALOGUED and not path.startswith(ITS_OWN)
        for text in texts(path, tree)
        if _named(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'if rail == "manual": pass',
        'RAILS = {"stripe_transfer": 1}',
        "text(\"SELECT 1 FROM payout p WHERE p.state = :accepted AND p.rail = 'manual'\")",
        'provider = "paypal"',
    ],
)
def test_this_check_finds_a_name(source: str) -> None:
    assert [text for text in texts("x.py", ast.parse(source)) if _named(text)]


@pytest.mark.parametrize("source", ['"Confirm a manual instruction."', '"manual_review"', '"a doc"\n"""manual"""'])
def test_this_check_lets_words_pass(source: str) -> None:
    assert not [text for text in texts("x.py", ast.parse(source)) if _named(text)]


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_rail_has_an_adapter_of_its_name(name: str) -> None:
    assert (Path(__file__).parents[2] / "referral_rewards" / "rails" / f"{name}.py").exists()
