"""Each fraud signal at its boundary: what fires, and the nearest neighbour that does not."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from referral_rewards.domain.claims.dossier import Dossier, Pace, Refunds, Similarity
from referral_rewards.domain.claims.signals.of_email import is_disposable, is_free, is_masked
from referral_rewards.domain.web_addresses import paid_clicks, sites
from tests.domain.build import TICK, at, bought, claimed, enrolled, sent
from tests.domain.dossiers import BOUGHT, BRIE, CALM, CLAIMED, ENROLLED, SENT, dossier, terms, told
from tests.domain.test_fraud import asked

RECORD = {"order": "o9", "kind": "visit"}
JULY = at("2026-07-10")
DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)


def emails(referrer: str | None, referee: str | None) -> dict[str, Any]:
    return {"personal": Similarity(referrer, referee)}


def names(referrer: str | None, referee: str | None) -> dict[str, Any]:
    return {"personal": Similarity(None, None, referrer, referee)}


def behaving(**changes: Any) -> dict[str, Any]:
    return {"behaviour": replace(CALM, **changes)}


def pace(**changes: int) -> dict[str, Any]:
    return behaving(pace=Pace(**{"hour": 1, "before_hour": 0, "day": 1, "before_day": 0, **changes}))


@pytest.mark.parametrize(
    ("signal", "changes", "expected"),
    [
        ("disposable_email", emails("dexter@example.com", "brie@mailinator.com"), True),
        ("disposable_email", emails("dexter@mailinator.com", None), True),
        ("disposable_email", emails("dexter@example.com", "brie@mailinator-of-acme.com"), False),
        ("masked_email", emails("dexter@example.com", "x7f@privaterelay.appleid.com"), True),
        ("masked_email", emails("x@dex.anonaddy.com", None), True),
        ("masked_email", emails("dexter@appleid.com", "brie@icloud.com"), False),
        ("similar_email", emails("dexter1@example.com", "dexter2@example.org"), True),
        ("similar_email", emails("dexter+a@example.com", "dexter@example.org"), True),
        ("similar_email", emails("d.exter@gmail.com", "dexter@example.com"), True),
        ("similar_email", emails("dexter@example.com", "brie@example.com"), False),
        ("similar_email", emails(None, "brie@example.com"), False),
        ("similar_email", emails("n/a", "n/a"), False),
        ("shared_email_domain", emails("dexter@acme.example", "Brie@ACME.example"), True),
        ("shared_email_domain", emails("dexter@acme.example", "brie@mail.acme.example"), False),
        ("shared_email_domain", emails("dexter@gmail.com", "brie@googlemail.com"), False),
        ("shared_email_domain", emails("dexter@yahoo.co.uk", "brie@yahoo.co.uk"), False),
        ("shared_email_domain", emails("dexter@duck.com", "brie@duck.com"), False),
        ("shared_email_domain", emails("dexter@acme.example", None), False),
        ("similar_name", names("John Smith", "Jon Smith"), True),
        ("similar_name", names("Smith, Zoë", "ZOE SMITH"), True),
        ("similar_name", names("Maria Garcia", "Mario Garcia"), False),
        ("similar_name", names("Dexter Cheese", "Brie Cheese"), False),
        ("similar_name", names("Alex", "Alex"), False),
        ("similar_name", names("John Smith", None), False),
        ("reciprocal_referral", {"reciprocal": True}, True),
        ("reciprocal_referral", {"reciprocal": False}, False),
        ("referral_ring", behaving(ring=2), False),
        ("referral_ring", behaving(ring=3), True),
        ("referral_ring", behaving(ring=4), True),
        ("referral_ring", behaving(ring=5), False),
        # A first day with three friends is silent, however little there was before.
        ("daily_velocity", pace(day=3), False),
        ("daily_velocity", pace(day=6, before_day=0), False),
        ("daily_velocity", pace(day=7, before_day=0), True),
        ("daily_velocity", pace(day=7, before_day=12), True),
        ("daily_velocity", pace(day=7, before_day=41), True),
        ("daily_velocity", pace(day=7, before_day=42), False),
        ("daily_velocity", pace(day=100, before_day=600), False),
        ("hourly_velocity", pace(hour=4), False),
        ("hourly_velocity", pace(hour=5), True),
        ("hourly_velocity", pace(hour=5, before_hour=719), True),
        ("hourly_velocity", pace(hour=5, before_hour=720), False),
        ("refund_rate", behaving(refunds=Refunds(3, 3)), False),
        ("refund_rate", behaving(refunds=Refunds(4, 4)), True),
        ("refund_rate", behaving(refunds=Refunds(8, 4)), True),
        ("refund_rate", behaving(refunds=Refunds(9, 4)), False),
        ("barred_elsewhere", behaving(barred=1), True),
        ("blocklisted", behaving(blocked=frozenset({"email"})), True),
        ("reused_instrument", behaving(reused=1), True),
        ("denied_instrument", behaving(denied=1), True),
        ("crowded_ip", behaving(crowd=4), False),
        ("crowded_ip", behaving(crowd=5), True),
        ("paid_click", behaving(clicks=frozenset({"gclid"})), True),
    ],
)
def test_signal_fires_at_its_boundary_and_not_beside_it(signal: str, changes: dict[str, Any], expected: bool) -> None:
    assert asked(signal, dossier(**changes)).fired is expected


@pytest.mark.parametrize(
    ("signal", "kinds", "expected"),
    [
        ("shared_ip", ("ip",), True),
        ("shared_ip_and_agent", ("ip", "agent"), True),
        ("shared_ip_and_agent", ("ip",), False),
        ("shared_device", ("device",), True),
        ("shared_fingerprint", ("fingerprint",), True),
        ("shared_address", ("address",), True),
        ("shared_surname", ("surname",), True),
        ("shared_surname", ("ip", "address"), False),
    ],
)
def test_signal_of_a_shared_mark_fires_if_all_its_kinds_are_shared(
    signal: str, kinds: tuple[str, ...], expected: bool
) -> None:
    person = {"email": "brie@example.com", "ip": "1.1.1.1", "device": "d", "user_agent": "Lynx", "address": "1 Elm St",
              "name": "Brie Cheese"}  # fmt: skip
    record = told("conversion.recorded", "2026-07-11", **RECORD, customer=person, payment_fingerprint="f", **person)
    shared = frozenset(mark for mark in record.marks if mark.startswith(kinds))
    assert len(shared) == len(kinds)
    assert asked(signal, dossier(record, referrer_marks=shared)).fired is expected


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("203.0.113.88", "::ffff:203.0.113.88", True),
        ("2001:db8::9", "2001:0DB8:0:0:A:B:C:D", True),  # of one household
        ("2001:db8::9", "2001:db8:0:1::9", False),
        ("203.0.113.88", "203.0.113.89", False),
    ],
)
@pytest.mark.parametrize("place", ["of the claim", "of the referee"])
def test_addresses_of_one_household_are_one(ours: str, theirs: str, expected: bool, place: str) -> None:
    enrolled = told("referrer.enrolled", "2026-01-01", referrer="dexter", program="acme-friends", ip=ours)
    seen = {"referee": {**BRIE, "ip": theirs}} if place == "of the referee" else {"referee": {}, "ip": theirs}
    claim = told("referral.claimed", "2026-06-20", referral="r1", **seen)
    assert asked("shared_ip", dossier(claim, referrer_marks=enrolled.marks)).fired is expected


def test_referrer_who_shows_an_address_nobody_else_has_is_not_suspected() -> None:
    assert asked("shared_ip", dossier(referrer_marks=ENROLLED.marks | {"ip:unseen"})).fired is False


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("49.99", "USD", False),
        ("50.00", "USD", True),
        ("52.50", "USD", True),
        ("52.51", "USD", False),
        ("50.00", "CAD", False),
    ],
)
def test_amount_just_over_the_minimum_is_within_five_percent(amount: str, currency: str, expected: bool) -> None:
    case = dossier(bought(JULY, amount=amount, currency=currency), without=[BOUGHT])
    assert asked("amount_just_over_minimum", case).fired is expected


@pytest.mark.parametrize(
    ("enrolled_at", "expected"),
    [
        (SENT.occurred_at - 7 * DAY, False),
        (SENT.occurred_at - 7 * DAY + TICK, True),
        (SENT.occurred_at + DAY, True),
        (None, None),
    ],
)
def test_account_is_new_for_seven_days(enrolled_at: Any, expected: bool | None) -> None:
    case = dossier(*([enrolled(enrolled_at)] if enrolled_at else []), without=[ENROLLED])
    assert asked("new_account", case).fired is expected


@pytest.mark.parametrize(
    ("claimed_at", "expected"),
    [
        (JULY - MINUTE, False),
        (JULY - MINUTE + TICK, True),
        (JULY, True),
        (JULY + TICK, False),
    ],
)
def test_conversion_is_fast_within_a_minute_of_the_claim(claimed_at: Any, expected: bool) -> None:
    # The earlier purchase under an invitation keeps the door open for a claim that follows it.
    case = dossier(claimed(claimed_at, referee=BRIE), sent("2026-07-01"), without=[CLAIMED, SENT])
    assert case.conversion is not None
    assert asked("fast_conversion", case).fired is expected


@pytest.mark.parametrize(
    ("section", "referee", "referrer", "expected"),
    [
        ({"blocked_countries": ["GB"]}, "GB", None, True),
        ({"blocked_countries": ["GB"]}, "gb", None, True),
        ({"blocked_countries": ["GB", "FR"]}, None, "FR", True),
        ({"blocked_countries": ["GB"]}, "CA", "US", False),
        ({"blocked_countries": ["GB"]}, "Britain", "US", None),
        ({"blocked_countries": ["GB"]}, "Britain", "GB", True),
        ({}, "Britain", "GB", False),
    ],
)
def test_country_is_blocked_by_the_terms(section: Any, referee: str, referrer: str, expected: bool | None) -> None:
    assert asked("blocked_country", from_countries(referee, referrer), **section).fired is expected


@pytest.mark.parametrize(
    ("referee", "referrer", "expected"),
    [("GB", "CA", True), ("CA", "ca", False), (None, "CA", False), ("CA", None, False), ("Canada", "CA", None)],
)
def test_countries_mismatch_only_where_both_are_known(referee: str, referrer: str, expected: bool | None) -> None:
    assert asked("country_mismatch", from_countries(referee, referrer)).fired is expected


def from_countries(referee: str | None, referrer: str | None) -> Dossier:
    claim = claimed("2026-06-20", referee=BRIE | ({"country": referee} if referee else {}))
    return dossier(claim, without=[CLAIMED], personal=Similarity(referrer_country=referrer))


def test_country_in_words_is_known_from_the_plaintext_alone() -> None:
    spelled = Similarity(referrer_country="CA", referee_country="United Kingdom")
    assert asked("country_mismatch", dossier(personal=spelled)).fired is None
    assert asked("blocked_country", dossier(personal=spelled), blocked_countries=["GB"]).fired is None


@pytest.mark.parametrize(
    "section",
    [
        {"blocked_countries": ["gb"]},
        {"blocked_countries": ["UK"]},
        {"blocked_countries": ["GBR"]},
        {"blocked_sites": ["www.coupons.com"]},
        {"blocked_sites": ["Coupons.com"]},
        {"blocked_sites": ["https://coupons.com"]},
        {"blocked_sites": [""]},
    ],
)
def test_terms_take_countries_by_code_and_sites_by_registrable_domain(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        terms(fraud=section)
    (path,) = section
    assert terms(fraud={path: ["GB"] if path == "blocked_countries" else ["coupons.co.uk"]})


@pytest.mark.parametrize(
    ("seen", "expected"), [({"coupons.com"}, True), ({"acme.com", "blog.com"}, False), (set(), False)]
)
def test_site_is_blocked_by_the_terms(seen: set[str], expected: bool) -> None:
    case = dossier(**behaving(sites=frozenset(seen)))
    assert asked("blocked_site", case, blocked_sites=["coupons.com"]).fired is expected


def method(when: Any, reference: str | None, *, payee: str = "dexter", rail: str = "account_credit") -> Any:
    said = {"payee": payee, "rail": rail, "reference": reference}
    return told("payee.method_set", when, **{name: value for name, value in said.items() if value})


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ([method(JULY + DAY, "a")], False),
        ([method(JULY - DAY, "a"), method(JULY, "b")], False),
        ([method(JULY - DAY, "a"), method(JULY + TICK, "b")], True),
        ([method(JULY - DAY, "a"), method(JULY + TICK, "a")], False),
        ([method(JULY - DAY, "x@y.com"), method(JULY + TICK, "x@y.com")], True),
        ([method(JULY - DAY, "a"), method(JULY + DAY, "b", rail="stripe_transfer")], False),
        ([method(JULY - DAY, "a"), method(JULY + DAY, "b", payee="c-brie")], False),
        ([method(JULY + DAY, "a"), method(JULY + 2 * DAY, "b")], True),
    ],
)
def test_method_is_changed_lately_if_an_earlier_one_gave_way_after_the_conversion(
    methods: list[Any], expected: bool
) -> None:
    assert asked("method_changed_lately", dossier(*methods)).fired is expected


def test_reasons_give_the_numbers() -> None:
    assert asked("daily_velocity", dossier(**pace(day=7, before_day=12))).why == (
        "7 referrals in the last day, against 0.4 per day in the 30 days before"
    )
    assert asked("refund_rate", dossier(**behaving(refunds=Refunds(6, 4)))).why == (
        "4 of the referrer's 6 earlier conversions taken back"
    )


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("brie@mailinator.com", True),
        ("brie@MAILINATOR.com", True),
        ("brie@in.box.mailinator.com", True),
        ("brie@mailinator-of-acme.com", False),
        ("mailinator.com@example.com", False),
        ("brie@gmail.com", False),
        ("no address", False),
    ],
)
def test_disposable_address_is_known_by_its_registered_domain(email: str, expected: bool) -> None:
    assert is_disposable(email) is expected


def test_address_of_no_form_is_neither_masked_nor_free() -> None:
    assert not is_masked("no address")
    assert not is_free("")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"landing_url": "https://acme.com/?GCLID=x&utm=1"}, {"gclid"}),
        ({"referee": {"visits": ["https://acme.com/?fbclid=1", "https://acme.com/?ttclid=2"]}}, {"fbclid", "ttclid"}),
        ({"gad_source": 1}, {"gad_source"}),
        ({"msclkid": "  "}, set()),
        ({"note": "what is gclid?"}, set()),
        ({"landing_url": "https://acme.com/gclid?gclid="}, set()),
        ({"landing_url": "http://[broken?gclid=1"}, set()),
    ],
)
def test_paid_click_is_known_by_a_parameter_or_a_field(data: Mapping[str, Any], expected: set[str]) -> None:
    assert paid_clicks(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"referring_url": "https://www.Coupons.co.uk/acme?x=1"}, {"coupons.co.uk"}),
        ({"referrer_url": "deals.example.com/acme", "landing_url": "https://acme.com"}, {"example.com", "acme.com"}),
        ({"referee": {"landing_url": "https://acme.com:8443/"}}, {"acme.com"}),
        ({"homepage": "https://coupons.com"}, set()),
        ({"landing_url": "http://[broken"}, set()),
        ({"landing_url": "http://203.0.113.9/"}, set()),
    ],
)
def test_site_is_the_registrable_domain_of_the_way_here(data: Mapping[str, Any], expected: set[str]) -> None:
    assert sites(data) == expected
