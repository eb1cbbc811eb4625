"""The fraud score: explainable, capped, and silent about nothing it could not look at."""

from typing import Any

import pytest

from referral_rewards.domain.claims import assemble
from referral_rewards.domain.dossier import Similarity
from referral_rewards.domain.findings import Flag
from referral_rewards.domain.fraud import SIGNALS, Contribution, are_similar, contributions, is_disposable, score
from tests.domain.dossiers import ENROLLED, dossier, terms, told

RECORD = {"order": "o9", "kind": "visit"}


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


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("dexter1@example.com", "dexter2@example.org", True),
        ("dexter+a@example.com", "dexter@example.org", True),
        ("d.exter@gmail.com", "dexter@example.com", True),
        ("dexter@example.com", "brie@example.com", False),
        (None, "brie@example.com", False),
        ("dexter@example.com", None, False),
    ],
)
def test_similar_addresses_have_nearly_one_local_part(one: str | None, other: str | None, expected: bool) -> None:
    assert are_similar(one, other) is expected


def fired(signal: str, **changes: Any) -> bool | None:
    (found,) = contributions(dossier(under=terms(fraud={"weights": {signal: 10}}), **changes))
    return found.fired


@pytest.mark.parametrize("signal", SIGNALS)
def test_signal_is_silent_about_honest_people(signal: str) -> None:
    assert fired(signal) is False


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
    found = contributions(dossier(record, under=terms(fraud={"weights": {signal: 10}}), referrer_marks=shared))
    assert [each.fired for each in found] == [expected]


@pytest.mark.parametrize(
    ("signal", "changes", "expected"),
    [
        ("disposable_email", {"personal": Similarity("dexter@example.com", "brie@mailinator.com")}, True),
        ("disposable_email", {"personal": Similarity("dexter@mailinator.com", None)}, True),
        ("disposable_email", {"personal": Similarity()}, False),
        ("disposable_email", {"personal": None}, None),
        ("similar_email", {"personal": Similarity("dexter@example.com", "dexter1@example.com")}, True),
        ("similar_email", {"personal": None}, None),
        ("reciprocal_referral", {"reciprocal": True}, True),
        ("reciprocal_referral", {"reciprocal": False}, False),
        ("reciprocal_referral", {"reciprocal": None}, None),
        ("phase_of_the_moon", {}, None),
    ],
)
def test_signal_without_its_input_could_not_run(signal: str, changes: dict[str, Any], expected: bool | None) -> None:
    assert fired(signal, **changes) is expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], 0),
        ([(30, True), (20, False), (15, None)], 30),
        ([(60, True), (40, True)], 100),
        ([(60, True), (41, True)], 100),
    ],
)
def test_score_is_the_capped_sum_of_what_fired(found: list[tuple[int, bool | None]], expected: int) -> None:
    assert score(tuple(Contribution("any", weight, fires) for weight, fires in found)) == expected


@pytest.mark.parametrize(("threshold", "suspected"), [(29, True), (30, True), (31, False)])
def test_fraud_is_suspected_from_the_threshold_on(threshold: int, suspected: bool) -> None:
    under = terms(fraud={"threshold": threshold, "weights": {"reciprocal_referral": 30}})
    claim = assemble(dossier(under=under, reciprocal=True))
    assert claim.score == 30
    assert (Flag.FRAUD_SUSPECTED in claim.flag_names) is suspected


@pytest.mark.parametrize("signal", ["phase_of_the_moon", "similar_email"])
def test_signal_that_could_not_run_is_told_by_its_name(signal: str) -> None:
    claim = assemble(dossier(under=terms(fraud={"weights": {signal: 10}}), personal=None))
    assert [(each.flag, each.about) for each in claim.flags] == [(Flag.CHECK_COULD_NOT_RUN, signal)]


def test_signal_without_a_weight_counts_for_nothing() -> None:
    assert contributions(dossier(under=terms(fraud={"weights": {"phase_of_the_moon": 0}}))) == ()


def test_referrer_who_shows_an_address_nobody_else_has_is_not_suspected() -> None:
    assert fired("shared_ip", referrer_marks=ENROLLED.marks | {"ip:unseen"}) is False
