"""Whether a program is ready: what is missing, area by area, and the nearest thing with which nothing is."""

from dataclasses import replace
from typing import Any

import pytest

from referral_rewards.domain.programs.terms import Role, Terms
from referral_rewards.domain.readiness.gaps import Area, Readiness, gaps, in_order
from referral_rewards.domain.readiness.staffing import Person
from tests.domain.build import acme

FINANCE, OWNER, OPS, ADMIN = Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS, Role.ADMINISTRATOR
CASH = {
    "rewards": {"referrer": {"kind": "cash", "amount": "25.00"}},
    "payouts": {"rails": {"cash": "manual"}},
    "partners": [],
    "approval__four_eyes_from": None,
}


def person(name: str, *roles: Role, **known: bool) -> Person:
    return Person(name, frozenset(roles), **known)


TWO, ONLY = "two different people must approve", "but there is only"
FIONA, OSCAR, PAULA = person("fiona", FINANCE), person("oscar", OPS), person("paula", OWNER)
EVERYBODY = (FIONA, OSCAR, PAULA)


def found(terms: Terms | None = None, **changes: Any) -> Readiness:
    """A program that is ready but for the changes."""
    ready: dict[str, Any] = {"version": 1, "rails": frozenset({"account_credit"}), "people": EVERYBODY, "sources": {}}
    return Readiness("acme-friends", terms or acme(), **{**ready, **changes})


def said(missing: Readiness) -> list[str]:
    return [str(gap) for gap in gaps(missing)]


def test_nothing_is_missing_where_everything_is_there() -> None:
    assert gaps(found()) == []
    assert [str(remark) for remark in in_order(found())] == [
        "terms: version 1, in force from 2025-01-01 00:00 UTC; nothing is unclear",
        "billing: conversions: register (only our own records; no outside source is asked)",
        "rails: account credit in USD: account credit",
        "people: finance: fiona",
        "people: operations: oscar",
        "people: program owner: paula",
    ]


def test_a_program_without_terms_lacks_nothing_but_them() -> None:
    nothing = Readiness("acme-friends", None)
    assert said(nothing) == ["terms: no version of acme-friends is in force or published for later; publish one"]
    assert in_order(nothing) == []


def test_each_unclear_term_is_a_gap() -> None:
    unclear = acme(periods__offer="P0D", periods__watch="P0D")
    assert [line.split(" ")[1] for line in said(found(unclear))] == ["periods.offer:", "periods.watch:"]


@pytest.mark.parametrize(
    ("named", "sources", "lacking"),
    [
        ({"conversions": "register"}, {}, []),
        ({"conversions": "shop"}, {"shop": None}, []),
        (
            {"conversions": "shop"},
            {},
            ["billing: sources.conversions: shop is not connected; see docs/guides/sources.md"],
        ),
        (
            {"conversions": "shop"},
            {"shop": "It answered 503."},
            ["billing: sources.conversions: shop does not respond: It answered 503."],
        ),
        ({"customers": "crm"}, {"crm": None}, []),
        (
            {"customers": "crm"},
            {},
            ["billing: sources.customers: crm is not connected; see docs/guides/sources.md"],
        ),
        (
            {"conversions": "shop", "customers": "shop"},
            {"shop": "It is gone."},
            [
                "billing: sources.conversions: shop does not respond: It is gone.",
                "billing: sources.customers: shop does not respond: It is gone.",
            ],
        ),
    ],
)
def test_a_source_is_connected_and_answers(
    named: dict[str, str], sources: dict[str, str | None], lacking: list[str]
) -> None:
    assert said(found(acme(sources=named), sources=sources)) == lacking


@pytest.mark.parametrize(
    ("rail", "connected", "lacking"),
    [
        ("account_credit", {"account_credit"}, []),
        ("account_credit", set(), ["rails: payouts.rails.credit: account_credit is not connected (connected: none)"]),
        (
            "stripe_balance",
            {"account_credit", "manual"},
            ["rails: payouts.rails.credit: stripe_balance is not connected (connected: account_credit, manual)"],
        ),
        ("stripe_balance", {"stripe_balance"}, []),
        (
            "tremendous",
            {"account_credit"},
            [
                "rails: payouts.rails.credit: tremendous does not pay credit; use account_credit or manual"
                " or stripe_balance"
            ],
        ),
    ],
)
def test_the_rail_of_each_reward_is_connected(rail: str, connected: set[str], lacking: list[str]) -> None:
    assert said(found(acme(payouts__rails__credit=rail), rails=frozenset(connected))) == lacking


def test_a_rail_of_a_kind_that_is_not_promised_need_not_be_connected() -> None:
    assert gaps(found(acme(payouts__rails__cash="manual"))) == []


@pytest.mark.parametrize(
    ("people", "lacking"),
    [
        (EVERYBODY, []),
        ((person("solo", FINANCE, OPS), PAULA), []),
        ((person("solo", FINANCE, OPS, OWNER), person("second", OWNER)), []),
        (
            (FIONA, OSCAR),
            [
                "nobody who can sign in has the role program owner, which is needed for account credit, a partner"
                " exception, a disputed attribution, a changed attribution and an override"
            ],
        ),
        ((OSCAR, PAULA), ["nobody who can sign in has the role finance, which is needed for an override"]),
        (
            (OSCAR, PAULA, replace(FIONA, unconfirmed=True)),
            [
                "nobody who can decide has the role finance, which is needed for an override; fiona has it and waits to"
                " be confirmed"
            ],
        ),
        (
            (FIONA, PAULA),
            [
                "nobody who can sign in has the role operations, which is needed for a disputed attribution, a changed"
                " attribution, an override and claims that are overdue (approval.escalate_to)"
            ],
        ),
        (
            (person("solo", FINANCE, OPS, OWNER), person("root", ADMIN)),
            [
                "two different people must approve a changed attribution (operations and program owner) and an override"
                " (finance, operations and program owner), but there is only solo"
            ],
        ),
    ],
)
def test_people_can_make_every_decision(people: tuple[Person, ...], lacking: list[str]) -> None:
    assert said(found(people=people)) == [f"people: {gap}" for gap in lacking]


@pytest.mark.parametrize(
    ("four_eyes_from", "routes", "people", "lacking"),
    [
        ("80.01", [FINANCE], EVERYBODY, []),  # more than a referrer's and a referee's 40.00: only for a partner
        ("340.01", [OWNER], EVERYBODY, []),  # more than even a partner's 300.00 and a referee's 40.00
        ("80.00", [FINANCE], EVERYBODY, [f"{TWO} account credit of 80.00 USD or more (finance), {ONLY} fiona"]),
        (
            "340.00",
            [OWNER],
            EVERYBODY,
            [f"{TWO} account credit of 340.00 USD or more for a partner (program owner), {ONLY} paula"],
        ),
        ("340.00", [OWNER], (*EVERYBODY, person("peter", OWNER)), []),
        ("80.00", [OPS, OWNER], EVERYBODY, []),
        (
            "0",
            [OPS, OWNER],
            (FIONA, person("solo", OPS, OWNER)),
            [
                f"{TWO} account credit (operations and program owner), a partner exception (operations and program"
                " owner), a disputed attribution (operations and program owner) and a changed attribution (operations"
                f" and program owner), {ONLY} solo"
            ],
        ),
    ],
)
def test_four_eyes_need_two_people(
    four_eyes_from: str, routes: list[Role], people: tuple[Person, ...], lacking: list[str]
) -> None:
    program = acme(approval__four_eyes_from=four_eyes_from, approval__routes__credit=routes)
    assert said(found(program, people=people)) == [f"people: {gap}" for gap in lacking]


@pytest.mark.parametrize(
    ("people", "lacking"),
    [
        ((FIONA, OSCAR, PAULA), []),
        # The owner is somebody else, but has no say in an override of cash.
        ((person("solo", FINANCE, OPS), PAULA), [f"{TWO} an override (finance and operations), {ONLY} solo"]),
        ((person("solo", FINANCE, OPS), PAULA, person("olga", OPS)), []),
        (
            (person("solo", FINANCE, OPS), person("paula", OWNER, FINANCE, is_referrer=True), OSCAR),
            ["paula is a referrer here, and nobody else can decide on claims that benefit paula: a disputed attribution"
             " and a changed attribution"],
        ),
        ((person("fiona", FINANCE, is_referrer=True), person("frank", FINANCE), OSCAR, PAULA), []),
        (
            (person("fiona", FINANCE, is_referrer=True), OSCAR, PAULA),
            ["fiona is a referrer here, and nobody else can decide on claims that benefit fiona: cash, a disputed"
             " attribution and an override"],
        ),
        ((person("fiona", FINANCE, enters_facts=True), person("frank", FINANCE), OSCAR, PAULA), []),
        (
            (FIONA, person("oscar", OPS, enters_facts=True), PAULA),
            ["oscar may tell facts, and nobody else can decide on claims that rest on what oscar told: a disputed"
             " attribution, a changed attribution and an override"],
        ),
        ((FIONA, OSCAR, PAULA, person("site", ADMIN, enters_facts=True)), []),
    ],
)  # fmt: skip
def test_somebody_is_left_where_one_must_stand_aside(people: tuple[Person, ...], lacking: list[str]) -> None:
    program = found(acme(**CASH), rails=frozenset({"manual"}), people=people)
    assert said(program) == [f"people: {gap}" for gap in lacking]


@pytest.mark.parametrize(("escalate_to", "ready"), [("operations", True), ("administrator", False)])
def test_overdue_claims_are_told_to_somebody(escalate_to: str, ready: bool) -> None:
    program = found(acme(approval__escalate_to=escalate_to, approval__four_eyes_from=None))
    assert (gaps(program) == []) is ready


def test_gaps_come_by_area() -> None:
    bare = found(acme(periods__offer="P0D", sources={"conversions": "shop"}), rails=frozenset(), people=())
    areas = [gap.area for gap in gaps(bare)]
    assert list(dict.fromkeys(areas)) == [each for each in Area if each is not Area.DATABASE]
    assert areas == sorted(areas, key=list(Area).index)
    assert in_order(bare) == []


def test_events_of_a_source_that_could_not_be_taken_are_a_gap() -> None:
    assert said(found(unread=frozenset({"stripe-orders", "crm"}))) == [
        "billing: events of source crm could not be taken; see them with `referrals queue`",
        "billing: events of source stripe-orders could not be taken; see them with `referrals queue`",
    ]
