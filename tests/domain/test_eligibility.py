"""Each check of SPEC §5 at its boundaries: what passes, what fails with which flag or denial, what could not run."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from referral_rewards.domain.claims import eligibility, rewards
from referral_rewards.domain.claims.dossier import Dossier, TaxPosition, Usage
from referral_rewards.domain.claims.findings import CheckCode, Flag, Result
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.programs.terms import Tax
from referral_rewards.domain.referrals.inquiries import Answer, SourceAnswer
from referral_rewards.domain.referrals.lifecycle import Reason
from tests.domain.build import TICK, at, bought, claimed, enrolled, requested, reversed_, sent
from tests.domain.dossiers import BOUGHT, CLAIMED, ENROLLED, SENT, TERMS, dossier, reassigned, terms, told

C = CheckCode
PASSED, FAILED, COULD_NOT_RUN = Result.PASSED, Result.FAILED, Result.COULD_NOT_RUN
BRIE = {"email": "brie@example.com"}
CONVERTED = BOUGHT.occurred_at


def verdict(code: CheckCode, case: Dossier) -> tuple[Result, Flag | Reason | None]:
    """The result, and the one thing that follows from it."""
    found = eligibility.judge(code, case)
    assert found.sentence
    follows: list[Flag | Reason] = [*found.flags, *([found.denial] if found.denial else [])]
    assert len(follows) <= 1
    return found.result, follows[0] if follows else None


def without_conversion() -> Dossier:
    case = dossier()
    return replace(case, course=replace(case.course, conversion=None))


def test_every_check_of_the_table_is_built() -> None:
    assert list(eligibility.CHECKS) == list(CheckCode)


@pytest.mark.parametrize("code", CheckCode)
def test_check_passes_where_nothing_is_wrong(code: CheckCode) -> None:
    assert verdict(code, dossier()) == (PASSED, None)


#: Every rule that reads it breaks.
HOLLOW = replace(dossier(), terms=None, origin=None, course=None, facts=None, rivals=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", CheckCode)
def test_check_that_breaks_could_not_run_and_quotes_nothing(code: CheckCode) -> None:
    found = eligibility.judge(code, HOLLOW)
    assert (found.result, found.flags, found.denial) == (COULD_NOT_RUN, (Flag.CHECK_COULD_NOT_RUN,), None)
    assert re.fullmatch(
        r"The check failed with an error \(\w+\)\.|Other claims .* could not be looked up\.", found.sentence
    )


@pytest.mark.parametrize(
    "code",
    [
        *(C.CONVERSION_CONFIRMED, C.EVIDENCE_AGREES, C.MINIMUM_MET, C.CONVERSION_NOT_REVERSED, C.REFERRER_ENROLLED),
        *(C.REFEREE_IS_NEW, C.NO_OPEN_DISPUTE, C.CURRENCY_MATCHES),
    ],
)
def test_check_of_a_conversion_that_nobody_recorded_could_not_run(code: CheckCode) -> None:
    assert verdict(code, without_conversion()) == (COULD_NOT_RUN, Flag.CHECK_COULD_NOT_RUN)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer.CONFIRMED, (PASSED, None)),
        (Answer.CONTRADICTED, (FAILED, Flag.EVIDENCE_CONFLICT)),
        (Answer.UNAVAILABLE, (COULD_NOT_RUN, Flag.CHECK_COULD_NOT_RUN)),
        (None, (COULD_NOT_RUN, Flag.CHECK_COULD_NOT_RUN)),
    ],
)
def test_conversion_is_confirmed_by_its_source(answer: Answer | None, expected: tuple[Result, Flag | None]) -> None:
    said = SourceAnswer(answer, "as it says", "stripe") if answer else None
    assert verdict(C.CONVERSION_CONFIRMED, dossier(revalidation=said)) == expected


def test_register_as_source_says_that_it_only_read_its_own_record() -> None:
    assert "our own record" in eligibility.judge(C.CONVERSION_CONFIRMED, dossier()).sentence


def test_referee_s_own_word_confirms_nothing() -> None:
    word = told("conversion.reported", "2026-07-10", referral="r1", order="o1")
    case = dossier(word, without=[BOUGHT])
    assert case.conversion is None
    assert verdict(C.CONVERSION_CONFIRMED, case)[0] is COULD_NOT_RUN


@pytest.mark.parametrize(
    ("change", "agrees"),
    [
        ({}, True),
        ({"amount": "80"}, True),
        ({"amount": "80.01"}, False),
        ({"amount": None}, False),
        ({"currency": "CAD"}, False),
        ({"kind": "account_opened"}, False),
        ({"new_customer": False}, False),
        ({"new_customer": None}, True),
        ({"customer": BRIE}, True),
        ({"customer": {"customer": "c-brie"}}, True),
        ({"customer": {**BRIE, "customer": "c-cleo"}}, False),
        ({"customer": {"customer": "c-cleo"}}, False),
        ({"customer": {"phone": "+14165550100"}}, True),  # says nothing that the other denies
        ({"order": "o2", "amount": "1.00"}, True),
    ],
)
def test_records_of_one_order_agree(change: dict[str, Any], agrees: bool) -> None:
    said = {"customer": {**BRIE, "customer": "c-brie"}, **change}
    case = dossier(bought("2026-07-10T12:00:01", source="crm", **said))
    assert verdict(C.EVIDENCE_AGREES, case) == ((PASSED, None) if agrees else (FAILED, Flag.EVIDENCE_CONFLICT))


def test_conflict_shows_both_versions() -> None:
    found = eligibility.judge(C.EVIDENCE_AGREES, dossier(bought("2026-07-11", amount="90.00", source="crm")))
    assert "80.00 USD" in found.sentence
    assert "crm says purchase, 90.00 USD" in found.sentence
    assert len(found.facts) == 2


def test_closed_periods_fail_the_check_of_them() -> None:
    late = dossier(without=[CLAIMED])
    assert late.course.is_closed
    assert verdict(C.WITHIN_PERIODS, late) == (FAILED, None)


def test_manual_request_has_no_periods() -> None:
    case = dossier(requested("2026-07-15"), without=[SENT, CLAIMED])
    assert verdict(C.WITHIN_PERIODS, case) == (COULD_NOT_RUN, Flag.CHECK_COULD_NOT_RUN)


@pytest.mark.parametrize(("net_minor", "expected"), [(5001, PASSED), (5000, PASSED), (4999, FAILED)])
def test_net_amount_at_the_minimum_meets_it(net_minor: int, expected: Result) -> None:
    case = dossier()
    assert case.conversion is not None
    q = replace(case.conversion, net_minor=net_minor)
    assert verdict(C.MINIMUM_MET, replace(case, course=replace(case.course, conversion=q))) == (expected, None)


@pytest.mark.parametrize(
    "case",
    [
        dossier(bought("2026-07-10", amount=None, kind="account_opened"), without=[BOUGHT]),
        dossier(bought("2026-07-10", amount="1.00", currency="CAD"), without=[BOUGHT]),
        dossier(bought("2026-07-10", amount="1.00"), without=[BOUGHT], under=terms(qualifying={"minimum": None})),
    ],
    ids=["no amount", "another currency", "no minimum"],
)
def test_minimum_is_not_applied(case: Dossier) -> None:
    assert verdict(C.MINIMUM_MET, case) == (PASSED, None)


@pytest.mark.parametrize(
    ("reversals", "expected"),
    [
        ([], (PASSED, None)),
        ([reversed_("2026-07-11", amount="0.01")], (PASSED, Flag.PARTIAL_REFUND)),
        ([reversed_("2026-07-11", order="o2")], (PASSED, None)),
    ],
)
def test_partial_refund_is_flagged(reversals: list[Fact], expected: tuple[Result, Flag | None]) -> None:
    assert verdict(C.CONVERSION_NOT_REVERSED, dossier(*reversals)) == expected


def test_conversion_that_was_taken_back_fails() -> None:
    case = dossier(reversed_("2026-07-11"))
    q = replace(dossier().conversion, net_minor=0, reversals=(reversed_("2026-07-11"),))  # type: ignore[type-var]
    assert verdict(C.CONVERSION_NOT_REVERSED, replace(case, course=replace(case.course, conversion=q)))[0] is FAILED


@pytest.mark.parametrize(("offset", "active"), [(-TICK, True), (0 * TICK, True), (TICK, False)])
def test_program_is_active_from_its_effective_date_on(offset: timedelta, active: bool) -> None:
    under = terms(effective_from=SENT.occurred_at + offset)
    expected = (PASSED, None) if active else (FAILED, Reason.PROGRAM_NOT_ACTIVE)
    assert verdict(C.PROGRAM_ACTIVE, dossier(under=under)) == expected


@pytest.mark.parametrize(
    ("said", "active"),
    [
        ([], True),
        ([("suspended", "2026-07-01")], False),
        ([("suspended", "2026-07-01"), ("reinstated", "2026-07-02")], True),
        ([("suspended", "2026-07-01"), ("reinstated", "2026-07-02"), ("suspended", "2026-07-03")], False),
        ([("reinstated", "2026-07-01"), ("suspended", "2026-07-01")], False),
        ([("suspended", "2026-08-01")], False),
        ([("suspended", "2026-08-02")], True),
    ],
)
def test_referrer_is_active_by_the_latest_word_so_far(said: list[tuple[str, str]], active: bool) -> None:
    facts = [told(f"referrer.{what}", day, referrer="dexter", program="acme-friends") for what, day in said]
    expected = (PASSED, None) if active else (FAILED, Reason.REFERRER_SUSPENDED)
    assert verdict(C.REFERRER_ACTIVE, dossier(*facts)) == expected


#: The review of the dossier's claim begins an hour after the return period ends, on 24 July.
_RETURN_ENDS = dossier().course.return_ends
assert _RETURN_ENDS is not None
_REVIEWED = _RETURN_ENDS + timedelta(hours=1)


@pytest.mark.parametrize(
    ("suspended", "reinstated", "active"),
    [
        ("2026-07-01", _REVIEWED - TICK, True),
        ("2026-07-01", _REVIEWED, True),
        ("2026-07-01", _REVIEWED + TICK, False),
        (_REVIEWED - TICK, _REVIEWED, True),
        (_REVIEWED, "2026-07-28", False),
        (_REVIEWED + TICK, "2026-07-28", False),
    ],
)
def test_what_denied_a_claim_in_review_denies_it_also_in_a_back_fill(
    suspended: Any, reinstated: Any, active: bool
) -> None:
    """Lived in real time it would have been closed then. What lifts it later comes too late, unless people reopened."""
    dexter = {"referrer": "dexter", "program": "acme-friends"}
    case = dossier(told("referrer.suspended", suspended, **dexter), told("referrer.reinstated", reinstated, **dexter))
    assert verdict(C.REFERRER_ACTIVE, case) == ((PASSED, None) if active else (FAILED, Reason.REFERRER_SUSPENDED))
    assert verdict(C.REFERRER_ACTIVE, replace(case, is_decided=True)) == (PASSED, None)
    words = consent("withdrawn", suspended), consent("granted", reinstated)
    refused = dossier(*words)
    assert verdict(C.CONSENT_GIVEN, refused) == ((PASSED, None) if active else (FAILED, Reason.CONSENT_WITHDRAWN))
    assert verdict(C.CONSENT_GIVEN, replace(refused, is_decided=True)) == (PASSED, None)


@pytest.mark.parametrize(("moved", "active"), [("2026-07-27", False), ("2026-07-28", True), ("2026-07-29", True)])
def test_a_suspension_counts_from_when_the_reward_was_moved_to_the_referrer(moved: str, active: bool) -> None:
    mia = {"referrer": "mia", "program": "acme-friends"}
    said = told("referrer.suspended", "2026-07-26", **mia), told("referrer.reinstated", "2026-07-28", **mia)
    case = dossier(enrolled("2026-01-01", referrer="mia"), *said, acts=reassigned("mia", moved))
    case = replace(case, origin=replace(case.origin, referrer="mia"))
    assert verdict(C.REFERRER_ACTIVE, case) == ((PASSED, None) if active else (FAILED, Reason.REFERRER_SUSPENDED))


@pytest.mark.parametrize("other", [{"referrer": "mia"}, {"program": "other"}])
def test_suspension_elsewhere_does_not_count(other: dict[str, str]) -> None:
    fact = told("referrer.suspended", "2026-07-01", **{"referrer": "dexter", "program": "acme-friends", **other})
    assert verdict(C.REFERRER_ACTIVE, dossier(fact)) == (PASSED, None)


@pytest.mark.parametrize(
    ("enrolments", "expected"),
    [
        ([], (FAILED, Reason.REFERRER_NOT_ENROLLED)),
        ([enrolled(CONVERTED - TICK)], (PASSED, None)),
        ([enrolled(CONVERTED)], (PASSED, None)),
        ([enrolled(CONVERTED + TICK)], (FAILED, Reason.REFERRER_NOT_ENROLLED)),
        ([enrolled("2026-01-01"), enrolled(CONVERTED + TICK)], (PASSED, None)),
        ([enrolled("2026-01-01", referrer="mia")], (FAILED, Reason.REFERRER_NOT_ENROLLED)),
        ([enrolled("2026-01-01", program="other")], (FAILED, Reason.REFERRER_NOT_ENROLLED)),
    ],
)
def test_referrer_is_enrolled_by_the_time_of_the_conversion(
    enrolments: list[Fact], expected: tuple[Result, Reason | None]
) -> None:
    assert verdict(C.REFERRER_ENROLLED, dossier(*enrolments, without=[ENROLLED])) == expected


EXISTING = (FAILED, Reason.EXISTING_CUSTOMER)
NEW = (PASSED, None)


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([BOUGHT], NEW),
        ([bought("2026-07-10", new_customer=None)], NEW),
        ([bought("2026-07-10", new_customer=False)], EXISTING),
        # Only the first conversion in the referral is read: by the second she is a customer because of it.
        ([BOUGHT, bought("2026-07-11", order="o2", new_customer=False)], NEW),
        ([bought("2026-06-25", order="o0", kind="visit", amount=None), bought("2026-07-10", new_customer=False)], NEW),
        ([bought("2026-06-25", order="o0", kind="visit", amount=None, new_customer=False), BOUGHT], EXISTING),
        ([bought(SENT.occurred_at - TICK, order="o0"), BOUGHT], EXISTING),
        ([bought(SENT.occurred_at, order="o0"), BOUGHT], NEW),
        # Only what the terms reward, or what cost something, was a purchase; unless its source says more.
        ([bought("2025-01-01", order="o0", kind="visit", amount=None), BOUGHT], NEW),
        ([bought("2025-01-01", order="o0", kind="visit", amount="0.00"), BOUGHT], NEW),
        ([bought("2025-01-01", order="o0", kind="visit", amount="0.01", currency="CAD"), BOUGHT], EXISTING),
        ([bought("2025-01-01", order="o0", kind="visit", amount=None, new_customer=False), BOUGHT], EXISTING),
        ([bought("2025-01-01", order="o0", kind="account_opened", amount=None), BOUGHT], EXISTING),
        ([bought("2025-01-01", order="o0", amount="0.00"), BOUGHT], EXISTING),
        ([bought("2025-01-01", order="o0"), reversed_("2025-01-02", order="o0"), BOUGHT], EXISTING),
        ([bought("2025-01-01", order="o0", customer={"email": "cleo@example.com"}), BOUGHT], NEW),
    ],
)
def test_existing_customer_bought_before_the_invitation(
    orders: list[Fact], expected: tuple[Result, Reason | None]
) -> None:
    assert verdict(C.REFEREE_IS_NEW, dossier(*orders, without=[BOUGHT])) == expected


CONFLICT = (FAILED, Flag.EVIDENCE_CONFLICT)
ANNA, BERT = {"email": "orders+anna@clinic.example"}, {"email": "orders+bert@clinic.example"}


@pytest.mark.parametrize(
    ("referee", "buyer", "expected"),
    [
        (ANNA, BERT, CONFLICT),
        ({**ANNA, "customer": "c-anna"}, {**BERT, "customer": "c-bert"}, CONFLICT),
        (ANNA, {**ANNA, "customer": "c-anna"}, EXISTING),
        ({**ANNA, "customer": "c-anna"}, {**BERT, "customer": "c-anna"}, EXISTING),
        ({**ANNA, "customer": "c-anna"}, {"email": "bert@clinic.example"}, NEW),
    ],
)
def test_purchase_through_a_shared_mailbox_denies_nothing_by_rule(
    referee: dict[str, str], buyer: dict[str, str], expected: tuple[Result, Flag | Reason | None]
) -> None:
    said = [sent("2026-06-01", referee=ANNA), claimed("2026-06-20", referee=referee)]
    case = dossier(*said, bought("2025-01-01", order="o0", customer=buyer), bought("2026-07-10", customer=referee),
                   without=[SENT, CLAIMED, BOUGHT])  # fmt: skip
    assert verdict(C.REFEREE_IS_NEW, case) == expected


def test_later_purchase_of_another_customer_with_the_mailbox_says_nothing_of_the_referee() -> None:
    referee, buyer = {**ANNA, "customer": "c-anna"}, {**BERT, "customer": "c-bert"}
    said = [sent("2026-06-01", referee=ANNA), claimed("2026-06-20", referee=referee)]
    other = bought("2026-07-01", order="o0", customer=buyer, new_customer=False)
    case = dossier(*said, other, bought("2026-07-10", customer=referee), without=[SENT, CLAIMED, BOUGHT])
    assert case.conversion is not None
    assert case.conversion.order == "o1"
    assert verdict(C.REFEREE_IS_NEW, case) == NEW


GRACE_ENDS_AT_CLAIM = at("2026-05-21")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (GRACE_ENDS_AT_CLAIM - TICK, EXISTING),
        (GRACE_ENDS_AT_CLAIM, EXISTING),
        (GRACE_ENDS_AT_CLAIM + TICK, NEW),
        (CLAIMED.occurred_at, NEW),
    ],
)
def test_claim_without_an_invitation_counts_what_grace_no_longer_reaches(
    time: Any, expected: tuple[Result, Reason | None]
) -> None:
    claim = claimed("2026-06-20", begins=True, referee=BRIE)
    case = dossier(claim, bought(time, order="o0"), without=[SENT, CLAIMED])
    assert verdict(C.REFEREE_IS_NEW, case) == expected


@pytest.mark.parametrize(
    ("orders", "expected"),
    [([], NEW), ([bought(BOUGHT.occurred_at - TICK, order="o0")], EXISTING), ([bought("2026-07-12", order="o2")], NEW)],
)
def test_request_comes_after_the_order_it_names(orders: list[Fact], expected: tuple[Result, Reason | None]) -> None:
    case = dossier(requested("2026-07-15", referee=BRIE), *orders, without=[SENT, CLAIMED])
    assert verdict(C.REFEREE_IS_NEW, case) == expected


def test_program_may_welcome_existing_customers() -> None:
    under = terms(qualifying={"new_customers_only": False})
    assert verdict(C.REFEREE_IS_NEW, dossier(bought("2025-01-01", order="o0"), under=under)) == NEW


@pytest.mark.parametrize("kind", ["email", "phone", "customer", "payment_fingerprint", "device"])
def test_shared_identity_instrument_or_device_is_a_self_referral(kind: str) -> None:
    person = {"phone": "+14165550100", "device": "d-9", "customer": "c-brie", **BRIE}
    claim = claimed("2026-06-20", referee=person)
    order = told("conversion.recorded", "2026-07-10", order="o1", kind="purchase", customer=BRIE, amount="80.00",
                 currency="USD", payment_fingerprint="fp-1")  # fmt: skip
    prefix = "fingerprint" if kind == "payment_fingerprint" else kind
    marks = frozenset(mark for mark in claim.marks | order.marks if mark.startswith(f"{prefix}:"))
    assert marks
    case = dossier(claim, order, without=[CLAIMED, BOUGHT], referrer_marks=marks)
    assert verdict(C.NOT_SELF_REFERRAL, case) == (FAILED, Flag.SELF_REFERRAL)


@pytest.mark.parametrize("field", ["ip", "address", "name", "user_agent"])
def test_shared_address_or_surname_is_no_self_referral(field: str) -> None:
    claim = claimed("2026-06-20", referee={**BRIE, field: "Elm Cheese"})
    shared = claim.marks - SENT.marks
    assert shared
    case = dossier(claim, without=[CLAIMED], referrer_marks=shared | ENROLLED.marks)
    assert verdict(C.NOT_SELF_REFERRAL, case) == (PASSED, None)


def test_self_referral_can_not_be_told_of_a_referrer_nobody_knows() -> None:
    assert verdict(C.NOT_SELF_REFERRAL, dossier(referrer_marks=frozenset()))[0] is COULD_NOT_RUN


PER_YEAR = {"rewards": 3, "amount": "100.00", "period": "P1Y"}


@pytest.mark.parametrize(
    ("usage", "referee", "expected"),
    [
        (Usage(2, 7500), True, (PASSED, None)),
        (Usage(2, 7501), True, (FAILED, Flag.CAP_LIMITED)),
        (Usage(2, 7501), False, (FAILED, Flag.CAP_LIMITED)),
        (Usage(3, 0), True, (FAILED, Flag.CAP_LIMITED)),
        (Usage(3, 0), False, (FAILED, Reason.CAP_REACHED)),
        (Usage(0, 10_000), False, (FAILED, Reason.CAP_REACHED)),
        (None, True, (COULD_NOT_RUN, Flag.CHECK_COULD_NOT_RUN)),
    ],
)
def test_cap_cuts_or_denies(usage: Usage | None, referee: bool, expected: tuple[Result, Any]) -> None:
    under = terms(limits={"per_referrer": PER_YEAR}, **({} if referee else {"rewards": {"referee": None}}))
    assert verdict(C.CAP_AVAILABLE, dossier(under=under, usage=usage)) == expected


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (6700, (PASSED, None)),
        (6701, (FAILED, Flag.CAP_LIMITED)),
        (9999, (FAILED, Flag.CAP_LIMITED)),
        (10_000, (FAILED, Flag.BUDGET_EXHAUSTED)),
    ],
)
def test_budget_cuts_or_is_exhausted(used: int, expected: tuple[Result, Any]) -> None:
    under = terms(limits={"budget": "100.00"})
    assert verdict(C.BUDGET_AVAILABLE, dossier(under=under, usage=Usage(budget_minor=used))) == expected


GIVEN, REFUSED, UNCLEAR = (PASSED, None), (FAILED, Reason.CONSENT_WITHDRAWN), (FAILED, Flag.CONSENT_UNCLEAR)


def consent(what: str, time: str, scope: str = "contact", person: str = "brie@example.com") -> Fact:
    return told(f"consent.{what}", time, person={"email": person}, scope=scope)


@pytest.mark.parametrize(
    ("claim", "said", "expected"),
    [
        (True, [], GIVEN),
        (False, [], REFUSED),
        (None, [], UNCLEAR),
        (None, [consent("granted", "2026-06-21")], GIVEN),
        (None, [consent("granted", "2026-06-21", scope="public_advocacy")], UNCLEAR),
        (None, [consent("granted", "2026-06-21", person="cleo@example.com")], UNCLEAR),
        (True, [consent("withdrawn", "2026-06-21")], REFUSED),
        (True, [consent("withdrawn", "2026-06-20")], REFUSED),  # of two at one instant the no
        (True, [consent("withdrawn", "2026-06-19")], GIVEN),
        (True, [consent("withdrawn", "2026-08-02")], GIVEN),  # not yet
        (True, [consent("withdrawn", "2026-06-21", scope="public_advocacy")], GIVEN),
        (True, [consent("withdrawn", "2026-06-21"), consent("granted", "2026-06-22")], GIVEN),
        (False, [consent("granted", "2026-06-22")], GIVEN),
    ],
)
def test_consent_is_the_latest_word_on_contact(claim: bool | None, said: list[Fact], expected: Any) -> None:
    case = dossier(claimed("2026-06-20", consent=claim, referee=BRIE), *said, without=[CLAIMED])
    assert verdict(C.CONSENT_GIVEN, case) == expected


def issue(what: str, time: str, name: str = "case-5", email: str = "brie@example.com") -> Fact:
    return told(f"customer.issue_{what}", time, customer={"customer": "c-x", "email": email}, issue=name)


@pytest.mark.parametrize(
    ("said", "is_open"),
    [
        ([issue("opened", "2026-07-01")], True),
        ([issue("opened", "2026-07-01"), issue("resolved", "2026-07-02")], False),
        ([issue("opened", "2026-07-01"), issue("resolved", "2026-07-02", name="case-6")], True),
        ([issue("opened", "2026-07-03"), issue("resolved", "2026-07-02")], True),
        ([issue("opened", "2026-08-02")], False),
        ([issue("opened", "2026-07-01", email="cleo@example.com")], False),
    ],
)
def test_unresolved_issue_of_the_referee_is_flagged(said: list[Fact], is_open: bool) -> None:
    expected = (FAILED, Flag.UNRESOLVED_ISSUE) if is_open else (PASSED, None)
    assert verdict(C.NO_OPEN_ISSUE, dossier(*said)) == expected


@pytest.mark.parametrize(
    ("said", "permitted"),
    [
        ([], False),
        ([consent("granted", "2026-07-01", scope="public_advocacy")], True),
        ([consent("granted", "2026-07-01")], False),
        (
            [
                consent(w, d, scope="public_advocacy")
                for w, d in [("granted", "2026-07-01"), ("withdrawn", "2026-07-02")]
            ],
            False,
        ),
    ],
)
def test_advocacy_needs_permission_only_if_the_terms_ask(said: list[Fact], permitted: bool) -> None:
    asked = terms(qualifying={"advocacy_permission_required": True})
    expected = (PASSED, None) if permitted else (FAILED, Flag.ADVOCACY_NOT_PERMITTED)
    assert verdict(C.ADVOCACY_PERMITTED, dossier(*said, under=asked)) == expected
    assert verdict(C.ADVOCACY_PERMITTED, dossier(*said)) == (PASSED, None)


def dispute(what: str, time: str, order: str = "o1", outcome: str = "won") -> Fact:
    """A closing takes 1.00, if it takes an amount at all."""
    said = {"outcome": outcome, "amount": "1.00"} if what == "closed" else {}
    return told(f"conversion.dispute_{what}", time, order=order, **said)


@pytest.mark.parametrize(
    ("said", "is_open"),
    [
        ([dispute("opened", "2026-07-12")], True),
        ([dispute("opened", "2026-07-12", order="o2")], False),
        ([dispute("opened", "2026-07-12"), dispute("closed", "2026-07-13")], False),
        ([dispute("opened", "2026-07-12"), dispute("closed", "2026-07-13", order="o2")], True),
        ([dispute("closed", "2026-07-12"), dispute("opened", "2026-07-13")], True),
        ([dispute("opened", "2026-08-02")], False),
        ([dispute("opened", "2026-07-12"), dispute("closed", "2026-07-13", outcome="lost")], False),
        ([dispute("opened", "2026-07-12"), dispute("closed", "2026-07-13", outcome="inquiry_closed")], False),
        (
            [
                dispute("opened", "2026-07-12"),
                dispute("closed", "2026-07-13", outcome="lost"),
                told("conversion.reversed", "2026-07-14", order="o1", kind="chargeback_lost", amount="1.00"),
            ],
            False,
        ),
    ],
)
def test_open_dispute_of_the_conversion_is_flagged(said: list[Fact], is_open: bool) -> None:
    expected = (FAILED, Flag.DISPUTE_OPEN) if is_open else (PASSED, None)
    assert verdict(C.NO_OPEN_DISPUTE, dossier(*said)) == expected


def test_another_currency_is_flagged() -> None:
    case = dossier(bought("2026-07-10", currency="CAD"), without=[BOUGHT])
    assert verdict(C.CURRENCY_MATCHES, case) == (FAILED, Flag.CURRENCY_MISMATCH)


def test_conversion_without_an_amount_is_in_no_currency() -> None:
    case = dossier(bought("2026-07-10", amount=None, kind="account_opened"), without=[BOUGHT])
    assert verdict(C.CURRENCY_MATCHES, case) == (PASSED, None)


CASH = terms(rewards={"referrer": {"kind": "cash", "amount": "25.00"}})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], FAILED),
        ([("set", "dexter", "stripe_transfer")], PASSED),
        ([("set", "dexter", "paypal")], FAILED),
        ([("set", "mia", "stripe_transfer")], FAILED),
        ([("set", "dexter", "stripe_transfer"), ("removed", "dexter", "stripe_transfer")], FAILED),
        ([("set", "dexter", "stripe_transfer"), ("removed", "dexter", "paypal")], PASSED),
    ],
)
def test_payee_needs_a_method_for_a_rail_outside(said: list[tuple[str, str, str]], expected: Result) -> None:
    facts = [
        told(f"payee.method_{what}", f"2026-07-{11 + day}", payee=payee, rail=rail, reference="ref-1")
        for day, (what, payee, rail) in enumerate(said)
    ]
    # The leg waits for it, which is no flag: one that is always there is one that nobody reads.
    assert verdict(C.PAYEE_KNOWN, dossier(*facts, under=CASH)) == (expected, None)


WITHOUT_AN_ADDRESS = frozenset({"customer:c-dexter", "phone:p1"})
WITH_ONE = WITHOUT_AN_ADDRESS | {"email:e1"}


@pytest.mark.parametrize(
    ("kind", "rail", "marks", "expected"),
    [
        (kind, rail, marks, passes if marks is WITH_ONE else without)
        for kind, rail, passes, without in (
            ("credit", "account_credit", PASSED, PASSED),
            ("credit", "stripe_balance", FAILED, FAILED),
            ("cash", "manual", FAILED, FAILED),
            ("cash", "paypal_payouts", FAILED, FAILED),
            ("cash", "stripe_transfer", FAILED, FAILED),
            ("discount", "stripe_promotion", PASSED, FAILED),
            ("gift_card", "tremendous", PASSED, FAILED),
        )
        for marks in (WITH_ONE, WITHOUT_AN_ADDRESS)
    ],
)
def test_only_what_the_rail_needs_of_a_payee_is_asked_for(
    kind: str, rail: str, marks: frozenset[str], expected: Result
) -> None:
    """Nothing was recorded of the payee but their enrolment, with an email address or without."""
    under = terms(rewards={"referrer": {"kind": kind, "amount": "25.00"}, "referee": None},
                  payouts={"rails": {**TERMS["payouts"]["rails"], kind: rail}})  # fmt: skip
    assert verdict(C.PAYEE_KNOWN, dossier(under=under, referrer_marks=marks)) == (expected, None)


def test_a_gift_card_goes_to_nothing_that_was_named_as_a_method() -> None:
    under = terms(rewards={"referrer": {"kind": "gift_card", "amount": "25.00"}, "referee": None})
    named = told("payee.method_set", "2026-07-11", payee="dexter", rail="tremendous", reference="by-link")
    (leg,) = rewards.reckon(dossier(named, under=under)).legs
    assert leg.destination is None


def test_referee_without_a_customer_id_can_not_be_paid() -> None:
    nameless = [claimed("2026-06-20", referee=BRIE), bought("2026-07-10")]
    case = dossier(*nameless, without=[CLAIMED, BOUGHT])
    assert verdict(C.PAYEE_KNOWN, case) == (COULD_NOT_RUN, Flag.CHECK_COULD_NOT_RUN)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (TaxPosition(197_499), PASSED),
        (TaxPosition(197_500), FAILED),
        (TaxPosition(197_500, form_on_file=True), PASSED),
        (None, COULD_NOT_RUN),
    ],
)
def test_payee_who_reaches_the_threshold_waits_for_a_form(position: TaxPosition | None, expected: Result) -> None:
    known = {"dexter": position, "c-brie": TaxPosition()}
    case = dossier(tax={payee: each for payee, each in known.items() if each is not None})
    assert verdict(C.TAX_CLEARED, case) == (expected, Flag.CHECK_COULD_NOT_RUN if position is None else None)


@pytest.mark.parametrize(("form_on_file", "expected"), [(True, PASSED), (False, FAILED)])
def test_a_threshold_in_another_currency_asks_for_a_form_and_flags_nothing(
    form_on_file: bool, expected: Result
) -> None:
    positions = {payee: TaxPosition(form_on_file=form_on_file) for payee in ("dexter", "c-brie")}
    bought_in_euro = bought("2026-07-10", currency="EUR")
    case = dossier(bought_in_euro, without=[BOUGHT], under=terms(currency="EUR"), tax=positions)
    assert verdict(C.TAX_CLEARED, case) == (expected, None)


def test_threshold_is_that_of_the_year_in_the_program_s_zone() -> None:
    position = {"dexter": TaxPosition(60_000), "c-brie": TaxPosition()}
    times = ["2026-01-01T04:59:59.999999", "2026-01-01T05:00:00"]
    results = [verdict(C.TAX_CLEARED, replace(dossier(), now=at(time), tax=position, facts=())) for time in times]
    assert [result for result, _ in results] == [FAILED, PASSED]


@pytest.mark.parametrize(("regime", "expected"), [("none", PASSED), ("atlantis", COULD_NOT_RUN)])
def test_regime_nobody_knows_could_not_run(regime: str, expected: Result) -> None:
    under = terms().model_copy(update={"tax": Tax(regime=regime)})  # past the check of terms that are published
    assert verdict(C.TAX_CLEARED, replace(dossier(), terms=under))[0] is expected


@pytest.mark.parametrize(
    ("other", "agrees"),
    [({}, True), ({"referrer": "mia"}, False), ({"channel": "link"}, False)],
)
def test_invitations_of_one_referral_that_differ_go_to_a_person(other: dict[str, str], agrees: bool) -> None:
    """An earlier invitation moves the referral to another referrer: nobody may be paid for it unseen."""
    case = dossier(sent("2026-06-05", **other))
    assert verdict(C.EVIDENCE_AGREES, case) == ((PASSED, None) if agrees else (FAILED, Flag.EVIDENCE_CONFLICT))
