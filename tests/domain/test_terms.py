"""Program terms: what a file may say, and every way in which it may not."""

import json
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from referral_rewards.domain.calendar import DayBoundary, Period
from referral_rewards.domain.errors import TermsInvalid
from referral_rewards.domain.facts.payloads import Channel
from referral_rewards.domain.programs.terms import PayoutCycle, RewardKind, Role, Terms, in_force, load_terms
from tests.domain.build import ROOT, TICK, acme, at

PROGRAMS = sorted((ROOT / "programs").glob("*.yaml"))
ACME = (ROOT / "programs" / "acme-friends.yaml").read_text()
SMALLEST = """
effective_from: 2025-01-01T00:00:00+02:00
program: smallest
name: The smallest program
timezone: UTC
currency: JPY
periods: {expiry: {email: P30D}, offer: P30D, grace: P0D, return: P0D}
qualifying: {kinds: [purchase]}
rewards: {referee: {kind: credit, amount: "500"}}
approval: {routes: {credit: [program_owner]}}
payouts: {rails: {credit: account_credit}}
"""


def problems(text: str) -> dict[str, str]:
    """What is wrong with the terms, by path."""
    with pytest.raises(TermsInvalid) as caught:
        load_terms(text)
    return {problem.where: problem.what for problem in caught.value.problems}


def changed(*changes: tuple[str, str]) -> str:
    """The example's text with parts of it replaced."""
    text = ACME
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_the_example_says_what_it_says() -> None:
    terms = load_terms(ACME)
    assert (terms.program, terms.currency, terms.effective_from) == ("acme-friends", "USD", at("2025-01-01T00:00"))
    assert terms.periods.expiry == {Channel.EMAIL: Period(days=30)}
    assert terms.periods.return_ == Period(days=14)
    assert terms.qualifying.minimum == Decimal("50.00")
    assert terms.rewards.referrer is not None
    assert [tier.from_rewarded for tier in terms.rewards.referrer.tiers or ()] == [0, 5]
    assert terms.rewards.referee is not None
    assert (terms.rewards.referee.percent, terms.rewards.referee.cap) == (Decimal(10), Decimal(40))
    assert terms.approval.routes[RewardKind.CASH] == (Role.FINANCE,)
    assert terms.minor(Decimal("40.00")) == 4000


def test_whatever_is_not_required_has_a_default() -> None:
    terms = load_terms(SMALLEST)
    assert terms.effective_from == at("2024-12-31T22:00")
    assert terms.periods.arrival_allowance == Period(exact=timedelta(hours=1))
    assert terms.periods.watch == Period(days=60)
    assert terms.periods.day_boundary is DayBoundary.INSTANT
    assert (terms.sources.conversions, terms.payouts.timing, terms.tax.regime) == ("register", "immediate", "none")
    assert (terms.limits.per_referrer, terms.limits.budget, terms.partners) == (None, None, ())
    assert terms.minor(Decimal(500)) == 500


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_example_program_is_sound_and_survives_storage(path: Path) -> None:
    terms = load_terms(path.read_text())
    stored = json.dumps(terms.canonical(), sort_keys=True)
    again = Terms.model_validate(json.loads(stored))
    assert again == terms
    assert json.dumps(again.canonical(), sort_keys=True) == stored


def test_a_payout_cycle_has_its_day() -> None:
    terms = load_terms(changed(("timing: immediate", 'timing: {cycle: monthly, day: 15, minimum: "20.00"}')))
    assert terms.payouts.timing == PayoutCycle(cycle="monthly", day=15, minimum=Decimal(20))
    assert Terms.model_validate(terms.canonical()) == terms


@pytest.mark.parametrize(
    "key",
    ["effective_from", "program", "name", "timezone", "currency", "periods", "qualifying", "rewards", "approval",
     "payouts"],
)  # fmt: skip
def test_a_section_that_is_required_is_missed_by_name(key: str) -> None:
    lines = [line for line in SMALLEST.splitlines() if not line.startswith(key)]
    assert problems("\n".join(lines)) == {key: "is required"}


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("name: Acme", "nam: x\nname: Acme", "nam", "not a key"),
        ("day_boundary: instant", "day_bound: x", "periods.day_bound", "not a key"),
        ("return: P14D", "return: P14D\n  return_: P1D", "periods.return_", "not a key"),
        ("  return: P14D\n", "", "periods.return", "required"),
        ("offer: P30D", "offer: 30", "periods.offer", "ISO 8601"),
        ("offer: P30D", "offer: -P30D", "periods.offer", "not negative"),
        ("{email: P30D}", "{link: P30D}", "periods.expiry.email", "required"),
        ("{email: P30D}", "{email: P30D, lead: P1D}", "periods.expiry.lead", "left out"),
        ("{email: P30D}", "{email: P30D, fax: P1D}", "periods.expiry.fax", "'email'"),
        ("instant", "noon", "periods.day_boundary", "end_of_day"),
        ("America/Toronto", "Mars/Phobos", "timezone", "IANA"),
        ("currency: USD", "currency: USX", "currency", "ISO 4217"),
        ("00:00:00Z", "00:00:00", "effective_from", "timezone"),
        ("program: acme-friends", "program: a@example.com", "program", "email address"),
        ("[purchase, subscription, account_opened]", "[]", "qualifying.kinds", "at least one"),
        ("[purchase, subscription, account_opened]", "[purchase, purchase]", "qualifying.kinds", "twice"),
        ('minimum: "50.00"', "minimum: 50.00", "qualifying.minimum", "in quotes"),
        ('minimum: "50.00"', 'minimum: "50.001"', "qualifying.minimum", "more decimals"),
        ('minimum: "50.00"', 'minimum: "NaN"', "qualifying.minimum", "is not a decimal"),
        ('minimum: "50.00"', 'minimum: "-1"', "qualifying.minimum", "greater than 0"),
        ('percent: "10", cap', 'percent: "101", cap', "rewards.referee.percent", "100"),
        (', percent: "10", cap: "40.00"', "", "rewards.referee", "one of amount"),
        ('percent: "10", cap', 'percent: "10", amount: "1", cap', "rewards.referee", "exclude"),
        ('percent: "10", cap', 'amount: "1", cap', "rewards.referee.cap", "percent"),
        ("from_rewarded: 0", "from_rewarded: 1", "rewards.referrer.tiers.0", "starts at 0"),
        ("from_rewarded: 5", "from_rewarded: 0", "rewards.referrer.tiers.1", "ascend"),
        ("from_rewarded: 5", 'from_amount: "5"', "rewards.referrer.tiers", "each with"),
        ('5, amount: "40.00"', "5", "rewards.referrer.tiers.1", "one of amount"),
        ("tiers:  ", 'amount: "1"\n    tiers:  ', "rewards.referrer", "belong into each"),
        ("referee: {kind: credit", "referee: {kind: voucher", "rewards.referee.kind", "gift_card"),
        ('rewards: 20, amount: "1000.00", ', "", "limits.per_referrer", "needs rewards or amount"),
        ("period: P1Y", "period: P0D", "limits.per_referrer.period", "longer"),
        ('budget: "100000.00"', 'budget: "0.001"', "limits.budget", "more decimals"),
        ("valid_until: 2027-01-01", "valid_until: 2026-01-01", "partners.0.valid_until", "after valid_from"),
        ('percent: "15", cap', 'percent: "15", amount: "1", cap', "partners.0", "exclude"),
        ("threshold: 50", "threshold: 0", "fraud.threshold", "greater"),
        ("shared_ip: 15", "shared_ip: 101", "fraud.weights.shared_ip", "less"),
        ("credit: [program_owner], discount", "discount", "approval.routes.credit", "promise credit"),
        ("credit: [program_owner]", "credit: []", "approval.routes.credit", "at least one"),
        ("credit: [program_owner]", "credit: [boss]", "approval.routes.credit.0", "finance"),
        ("credit: [program_owner]", "credit: [administrator]", "approval.routes.credit", "no authority"),
        ('four_eyes_from: "500.00"', 'four_eyes_from: "-1"', "approval.four_eyes_from", "greater"),
        ("remind_after: P2D", "remind_after: P0D", "approval.remind_after", "longer"),
        ("credit: account_credit, ", "", "payouts.rails.credit", "promise credit"),
        ("timing: immediate", "timing: soon", "payouts.timing", "immediate"),
        ("timing: immediate", "timing: {cycle: monthly, day: 32}", "payouts.timing.day", "31"),
        ("timing: immediate", "timing: {cycle: weekly, day: 8}", "payouts.timing.day", "7 (Sunday)"),
        ("timing: immediate", "timing: {cycle: daily, day: 1}", "payouts.timing.cycle", "weekly"),
        ("{regime: us}", "{regime: atlantis}", "tax.regime", "none of"),
        ("{regime: us}", "{regime: us}\ncontact_hours: {start: 9:00, end: '17:00'}", "contact_hours.start", "quotes"),
        ("{regime: us}", "{regime: us}\ncontact_hours: {start: '17:00', end: '09:00'}", "contact_hours.end", "after"),
        (
            "{regime: us}",
            "{regime: us}\ncontact_hours: {start: '09:00Z', end: '17:00'}",
            "contact_hours.start",
            "no offset",
        ),
    ],
)
def test_a_problem_is_named_with_its_path(old: str, new: str, where: str, what: str) -> None:
    found = problems(changed((old, new)))
    assert list(found) == [where]
    assert what in found[where]


def test_every_problem_is_named_at_once() -> None:
    text = changed(
        ("currency: USD", "currency: USD\ntypo: 1"),
        ("offer: P30D", "offer: soon"),
        ('cap: "40.00"', 'cap: "40.001"'),
        ("credit: account_credit, ", ""),
    )
    assert list(problems(text)) == ["typo", "periods.offer", "payouts.rails.credit", "rewards.referee.cap"]


def test_rewards_need_a_side() -> None:
    assert problems(SMALLEST.replace('{referee: {kind: credit, amount: "500"}}', "{}")) == {
        "rewards": "must name a reward for the referrer or the referee"
    }


def test_a_partners_rate_needs_a_reward_to_replace() -> None:
    text = SMALLEST + 'partners: [{partner: gold, amount: "1", valid_from: 2026-01-01}]'
    assert list(problems(text)) == ["partners"]


@pytest.mark.parametrize(
    ("first", "second", "sound"),
    [
        (("2026-01-01", "2026-07-01"), ("2026-07-01", "2027-01-01"), True),
        (("2026-07-01", None), ("2026-01-01", "2026-07-01"), True),
        (("2026-01-01", "2026-07-02"), ("2026-07-01", "2027-01-01"), False),
        (("2026-01-01", None), ("2026-07-01", "2027-01-01"), False),
        (("2026-01-01", None), ("2026-07-01", None), False),
    ],
)
def test_rates_of_one_partner_do_not_overlap(
    first: tuple[str, str | None], second: tuple[str, str | None], sound: bool
) -> None:
    rates = [
        f"{{partner: gold, percent: '15', valid_from: {start}" + (f", valid_until: {end}}}" if end else "}")
        for start, end in (first, second)
    ]
    text = ACME.replace('{partner: gold-7, percent: "15"', '{partner: silver, percent: "15"')
    text = text.replace("partners:\n", "partners:\n" + "".join(f"  - {rate}\n" for rate in rates))
    if sound:
        assert len(load_terms(text).partners) == 3
    else:
        assert list(problems(text)) == ["partners.1"]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "", "mapping"),
        ("- a", "", "mapping"),
        ("a: [", "line 1", "not YAML"),
        ("a: b: c", "line 1", "not YAML"),
        ("a: !!python/object:os.system x", "line 1", "not YAML"),
        ("[a]: b: c", "line 1", "not YAML"),
        ("a: \x00", "", "not YAML"),
        ("a: &x 1\nb: *x", "line 2", "alias"),
        ("a: 2026-13-45", "", "not YAML"),
        ("a: 1\nb: 2\na: 3", "a", "twice (again in line 3)"),
        ("a: {b: 1, b: 2}", "a.b", "twice"),
        ("a: [{b: 1, b: 2}]", "a.0.b", "twice"),
    ],
)
def test_a_text_that_is_no_clear_yaml_is_refused(text: str, where: str, what: str) -> None:
    found = problems(text)
    assert list(found) == [where]
    assert what in found[where]


def test_terms_out_of_storage_are_checked_like_a_file() -> None:
    stored = load_terms(ACME).canonical()
    del stored["payouts"]["rails"]["credit"]
    with pytest.raises(ValueError, match=r"payouts\.rails\.credit"):
        Terms.model_validate(stored)


@pytest.mark.parametrize(
    ("starts", "began", "number"),
    [
        (["2025-01-01"], "2025-01-01", 1),
        (["2025-01-01", "2026-01-01"], "2026-06-01", 2),
        (["2025-01-01", "2026-01-01"], "2025-06-01", 1),
        (["2026-01-01", "2025-01-01"], "2026-06-01", 1),
        (["2025-01-01", "2025-01-01"], "2025-01-01", 2),
        (["2025-01-01"], "2024-12-31", None),
        ([], "2025-01-01", None),
    ],
)
def test_the_latest_version_in_force_judges(starts: Sequence[str], began: str, number: int | None) -> None:
    versions = [(index, acme(effective_from=at(start))) for index, start in enumerate(starts, 1)]
    found = in_force(versions, at(began))
    assert (found[0] if found else None) == number


def test_a_version_is_in_force_from_its_very_instant() -> None:
    versions = [(1, acme(effective_from=at("2025-01-01")))]
    assert in_force(versions, at("2025-01-01")) == versions[0]
    assert in_force(versions, at("2025-01-01") - TICK) is None
