"""What comes too late for a closed referral, and would undo the reason of its closing, waits for a person (SPEC §3)."""

from typing import Any, Final

import pytest

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.case import Past
from referral_rewards.domain.referrals.closing import late_at_closing, late_facts
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from tests.domain.build import bought, enrolled, fact, reversed_, withdrawn
from tests.domain.case_files import file, past
from tests.domain.dossiers import BOUGHT, BRIE, CLAIMED, ENROLLED, FACTS, NOW, SENT, terms

#: The claim of 20 June gives an offer until 20 July; it is 1 August.
_WITHIN, _AFTER = "2026-07-18", "2026-07-25"
_IN_FULL: Final = fact(FactType.CONVERSION_REVERSED, "2026-07-12", {"order": "o1", "kind": "refund", "reversal": "re1"})
_SMALL: Final = bought("2026-07-10", amount="20.00", customer={"customer": "c-brie"})
_ELSEWHERE: Final = bought("2026-07-10", customer={"customer": "c-brie-2"})
_SUSPENDED: Final = fact(FactType.REFERRER_SUSPENDED, "2026-07-12", {"referrer": "dexter", "program": "acme-friends"})
_REFUSED: Final = fact(FactType.CONSENT_WITHDRAWN, "2026-07-12", {"person": BRIE, "scope": "contact"})


def _failed(time: str, reversal: str = "re1") -> Fact:
    return fact(FactType.REVERSAL_FAILED, time, {"order": "o1", "reversal": reversal})


def _amended(time: str, amount: str) -> Fact:
    return fact(FactType.CONVERSION_AMENDED, time, {"order": "o1", "amount": amount})


def _claimed_as(time: str, customer: str) -> Fact:
    return fact(FactType.REFERRAL_CLAIMED, time, {"referral": "r1", "referee": {"customer": customer}})


def _reinstated(time: str, referrer: str = "dexter") -> Fact:
    return fact(FactType.REFERRER_REINSTATED, time, {"referrer": referrer, "program": "acme-friends"})


def _granted(time: str, scope: str = "contact", person: dict[str, str] = BRIE) -> Fact:
    return fact(FactType.CONSENT_GRANTED, time, {"person": person, "scope": scope})


_BY_TIME: Final[list[tuple[Reason, tuple[Fact, ...], Fact, int]]] = [
    (Reason.CONVERSION_REVERSED, (*FACTS, _IN_FULL), _failed(_AFTER), 1),
    (Reason.CONVERSION_REVERSED, (*FACTS, _IN_FULL), _failed(_AFTER, "re2"), 0),
    (Reason.CONVERSION_REVERSED, (*FACTS, reversed_("2026-07-12", amount="40.00")), _amended(_AFTER, "90.00"), 1),
    (Reason.CONVERSION_REVERSED, (*FACTS, _IN_FULL), _amended(_AFTER, "90.00"), 0),
    (Reason.CONVERSION_REVERSED, (*FACTS, _IN_FULL), bought(_AFTER, order="o2", customer=BRIE), 0),
    (Reason.NO_CONVERSION, (ENROLLED, SENT, CLAIMED, _SMALL), _amended(_AFTER, "50.00"), 1),
    (Reason.NO_CONVERSION, (ENROLLED, SENT, CLAIMED, _SMALL), _amended(_AFTER, "49.99"), 0),
    (Reason.NO_CONVERSION, (ENROLLED, SENT, CLAIMED, _ELSEWHERE), _claimed_as(_AFTER, "c-brie-2"), 1),
    (Reason.NO_CONVERSION, (ENROLLED, SENT, CLAIMED), bought(_AFTER, order="o2", customer=BRIE), 0),
]


@pytest.mark.parametrize(("reason", "known", "after", "late"), _BY_TIME)
def test_what_happens_after_a_closing_by_time_waits_if_a_conversion_of_the_offer_counts_with_it(
    reason: Reason, known: tuple[Fact, ...], after: Fact, late: int
) -> None:
    """As much where it arrives after the closing as in a back-fill, which knows it at the closing."""
    row = _closed(reason, known)
    assert late_facts(file(row).row, NOW, _late(known, after)) == late
    its = file({"status": None}, known=past(*known, after)).case
    assert its is not None
    assert its.course.reason is reason
    assert late_at_closing(its) == late


_BY_RULE: Final[list[tuple[Reason, tuple[Fact, ...], Fact, int]]] = [
    (Reason.REFERRER_SUSPENDED, (*FACTS, _SUSPENDED), _reinstated(_WITHIN), 1),
    (Reason.REFERRER_SUSPENDED, (*FACTS, _SUSPENDED), _reinstated(_AFTER), 1),
    (Reason.REFERRER_SUSPENDED, (*FACTS, _SUSPENDED), _reinstated(_AFTER, "ann"), 0),
    (Reason.REFERRER_SUSPENDED, (*FACTS, _SUSPENDED), _granted(_AFTER), 0),
    (Reason.CONSENT_WITHDRAWN, (*FACTS, _REFUSED), _granted(_AFTER), 1),
    (Reason.CONSENT_WITHDRAWN, (*FACTS, _REFUSED), _granted(_AFTER, "public_advocacy"), 0),
    (Reason.CONSENT_WITHDRAWN, (*FACTS, _REFUSED), _granted(_AFTER, person={"customer": "c-zoe"}), 0),
    (Reason.CONSENT_WITHDRAWN, (*FACTS, _REFUSED), _reinstated(_AFTER), 0),
    (Reason.REFERRER_NOT_ENROLLED, (SENT, CLAIMED, BOUGHT), enrolled("2026-01-05"), 1),
]


@pytest.mark.parametrize(
    ("reason", "facts", "late"),
    [
        (Reason.REFERRER_SUSPENDED, (_SUSPENDED, _reinstated(_AFTER)), 1),
        (Reason.REFERRER_SUSPENDED, (_SUSPENDED,), 0),
        (Reason.REFERRER_SUSPENDED, (_SUSPENDED, _granted(_AFTER)), 0),
        (Reason.REFERRER_SUSPENDED, (_SUSPENDED, _reinstated(_AFTER), _reinstated(_AFTER, "ann")), 1),
        (Reason.CONSENT_WITHDRAWN, (_REFUSED, _granted(_AFTER)), 1),
        (Reason.CONSENT_WITHDRAWN, (_REFUSED, _granted(_AFTER), _claimed_as("2026-07-26", "c-brie")), 1),
        (Reason.CONSENT_WITHDRAWN, (_REFUSED, _granted(_AFTER), _granted(_AFTER, "public_advocacy")), 1),
        (Reason.CONSENT_WITHDRAWN, (_REFUSED, _reinstated(_AFTER)), 0),
        (Reason.EXISTING_CUSTOMER, (_SUSPENDED, _reinstated(_AFTER)), 0),
    ],
)
def test_what_a_back_fill_knows_to_undo_a_denial_by_rule_waits_too(
    reason: Reason, facts: tuple[Fact, ...], late: int
) -> None:
    its = file({"status": None}, known=past(*FACTS, *facts)).case
    assert its is not None
    assert late_at_closing(its, reason.value) == late


@pytest.mark.parametrize(("reason", "known", "after", "late"), _BY_RULE)
def test_what_undoes_a_denial_by_rule_waits_and_nothing_else_does(
    reason: Reason, known: tuple[Fact, ...], after: Fact, late: int
) -> None:
    assert late_facts(file(_closed(reason, known)).row, NOW, _late(known, after)) == late


def test_a_withdrawn_referral_waits_for_no_conversion() -> None:
    known = (*FACTS[:3], withdrawn("2026-07-01"))
    row = _closed(None, known, ReferralStatus.WITHDRAWN)
    assert late_facts(file(row).row, NOW, _late(known, BOUGHT)) == 0


def test_a_reversal_of_the_order_waits_though_the_offer_has_another_conversion() -> None:
    known = (*FACTS, bought("2026-07-11", order="o2", customer=BRIE))
    row = _closed(Reason.CONVERSION_REVERSED, known) | {"order_id": "o1"}
    assert late_facts(file(row).row, NOW, _late(known, reversed_(_AFTER))) == 1


def _closed(
    reason: Reason | None, known: tuple[Fact, ...], status: ReferralStatus = ReferralStatus.DENIED
) -> dict[str, Any]:
    return {
        "status": status,
        "reason": reason,
        "order_id": None,
        "closed_at": NOW,
        "closed_version": len(known),
        "facts_version": len(known) + 1,
    }


def _late(known: tuple[Fact, ...], after: Fact) -> Past:
    return past(*known, after, under=terms())
