"""Dexter refers Brie: the sentences of SPEC §4, and the worked example of the contract, on the clocks of Toronto."""

import json
import random
from pathlib import Path

import pytest

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.referrals.lifecycle import Reason
from referral_rewards.domain.referrals.lifecycle import ReferralStatus as S
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.domain.referrals.periods import Course, course
from tests.domain.build import acme, at, backfilled, bought, claimed, enrolled, read_lines, sent

EXAMPLES = Path(__file__).parents[2] / "examples"
TERMS = acme(timezone="America/Toronto")
EXPECTED = json.loads((EXAMPLES / "dexter-and-brie.expected.json").read_text())
OPENED = [
    enrolled(),
    sent("2025-12-20"),
    claimed("2025-12-21"),
    bought("2026-01-01", kind="account_opened", amount=None),
]
BY_EMAIL = [enrolled(), sent("2026-06-01")]


def stands(facts: list[Fact], now: str) -> Course:
    begun = origin(facts, at(now))
    assert begun is not None
    return course(facts, TERMS, at(now), origin=begun)


@pytest.mark.parametrize(
    ("why", "facts", "now", "status", "reason"),
    [
        ("she claims 20 June and buys 10 July: re-validated 24 July",
         [*BY_EMAIL, claimed("2026-06-20"), bought("2026-07-10")], "2026-07-24T13:00:00", S.IN_REVIEW, None),
        ("and not before",
         [*BY_EMAIL, claimed("2026-06-20"), bought("2026-07-10")], "2026-07-24T12:59:59", S.IN_RETURN_PERIOD, None),
        ("she claims 2 July: expired",
         [*BY_EMAIL, claimed("2026-07-02")], "2026-07-03", S.EXPIRED, Reason.INVITATION_NOT_CLAIMED),
        ("she buys 20 June and claims 10 July: qualifies through grace",
         [*BY_EMAIL, bought("2026-06-20"), claimed("2026-07-10")], "2026-07-11", S.IN_REVIEW, None),
        ("she buys 20 June and claims 25 July: expired",
         [*BY_EMAIL, bought("2026-06-20"), claimed("2026-07-25")], "2026-07-26", S.EXPIRED, Reason.GRACE_PERIOD_ENDED),
        ("he tells her; she buys 1 June and claims 15 June by his link: qualifies",
         [enrolled(), bought("2026-06-01"), claimed("2026-06-15", begins=True, channel="word_of_mouth")],
         "2026-06-16", S.IN_REVIEW, None),
        ("she opens an account on 1 January: re-validated on 15 January",
         OPENED,
         "2026-01-15T13:00:00", S.IN_REVIEW, None),
        ("and not on 14 January",
         OPENED,
         "2026-01-14T23:00:00", S.IN_RETURN_PERIOD, None),
    ],
)  # fmt: skip
def test_the_sentences_of_the_specification_hold(
    why: str, facts: list[Fact], now: str, status: S, reason: Reason | None
) -> None:
    for told in (facts, backfilled(facts)):
        stood = stands(told, now)
        assert (stood.status, stood.reason) == (status, reason), why


@pytest.mark.parametrize("referral", sorted(EXPECTED))
def test_the_worked_example_of_the_contract_holds_in_any_order(referral: str) -> None:
    facts = read_lines(EXAMPLES / "dexter-and-brie.jsonl", received="2026-11-20")
    order = referral.replace("db", "o")
    linked = [f for f in facts if f.data.get("referral") == referral or f.order == order or "code" in f.data]
    expected = EXPECTED[referral]
    for seed in range(5):
        random.Random(seed).shuffle(linked)
        stood = stands(linked, "2026-11-20")
        # What the periods hand to review waits for a person in the contract's words.
        status = S.AWAITING_APPROVAL if stood.status is S.IN_REVIEW else stood.status
        assert (status, stood.reason) == (expected["status"], expected["reason"])
        if "conversion" in expected:
            assert stood.conversion is not None
            found = {"order": stood.conversion.order, "net_minor": stood.conversion.net_minor}
            assert found == expected["conversion"]
        else:
            assert stood.conversion is None
