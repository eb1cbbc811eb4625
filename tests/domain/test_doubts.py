"""What a referral leaves for a person to find out: reports of other orders, closings that a record would prevent."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.case import case_on
from referral_rewards.domain.referrals.doubts import doubts
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from tests.domain.build import acme, at, bought, claimed, fact, reversed_, sent
from tests.domain.case_files import ROW, past

STRANGER: Final = {"email": "carl@example.com"}
_S = ReferralStatus
#: Expiry, offer and grace of 30 days, a return period of 14, from 1 June.
BEGUN: Final = (sent("2026-06-01"), claimed("2026-06-10"))


def report(order: str | None = "o1", by: str = "referee") -> Fact:
    return fact(
        FactType.CONVERSION_REPORTED, "2026-06-20", {"referral": "r1", "by": by, **({"order": order} if order else {})}
    )


def found(facts: Sequence[Fact], now: str, **row: Any) -> tuple[ReferralStatus, dict[str, list[str]]]:
    """The status by the periods, and the events of the facts in doubt."""
    open_row = replace(ROW, status=None, judged_at=None, claim_id=None, **row)
    terms = acme(
        periods__expiry={"email": "P30D"}, periods__offer="P30D", periods__grace="P30D", periods__return="P14D"
    )
    case = case_on(open_row, at(now), facts, past(*facts, under=terms))
    assert case is not None
    course = case.course
    order = course.conversion.order if course.conversion else None
    left = doubts(case, course.status, course.reason, order) or {}
    names = {str(each.id): each.event_id for each in facts}
    return course.status, {doubt: [names[each] for each in ids] for doubt, ids in left.items()}


@pytest.mark.parametrize(
    ("more", "now", "status", "left"),
    [
        ((), "2026-06-25", _S.CLAIMED, 0),
        ((report(),), "2026-06-25", _S.CLAIMED, 1),
        ((report(by="referrer"),), "2026-06-25", _S.CLAIMED, 1),
        ((report(None),), "2026-06-25", _S.CLAIMED, 1),
        ((report(),), "2026-06-19", _S.CLAIMED, 0),  # it has not occurred yet
        ((report(), bought("2026-06-18")), "2026-06-25", _S.IN_RETURN_PERIOD, 0),
        ((report("o2"), bought("2026-06-18")), "2026-06-25", _S.IN_RETURN_PERIOD, 0),  # nobody looks for another
        ((report(), bought("2026-06-18", amount="1.00")), "2026-06-25", _S.CLAIMED, 0),  # it is on record
        ((report(), bought("2026-06-18", customer=STRANGER)), "2026-06-25", _S.CLAIMED, 1),  # of somebody else
        ((report(),), "2026-08-01", _S.EXPIRED, 1),
        ((report(), report("o2")), "2026-08-01", _S.EXPIRED, 2),
        ((report(), bought("2026-06-18", amount="1.00")), "2026-08-01", _S.EXPIRED, 0),
        ((report("o2"), bought("2026-06-18"), reversed_("2026-06-19")), "2026-08-01", _S.DENIED, 1),
    ],
)
def test_a_report_is_in_doubt_while_its_order_is_not_among_the_conversions(
    more: Sequence[Fact], now: str, status: ReferralStatus, left: int
) -> None:
    stood, doubtful = found((*BEGUN, *more), now)
    assert (stood, len(doubtful.pop("reported", []))) == (status, left)
    assert doubtful == {}


def record(day: str, event_id: str, **said: Any) -> Fact:
    return bought(day, event_id=event_id, **said)


@pytest.mark.parametrize(
    ("records", "left"),
    [
        # Two shops have one order number: the earlier is a stranger's (case 08).
        ((record("2026-06-17", "1", customer=STRANGER), record("2026-06-18", "2")), ["2"]),
        ((record("2026-06-17", "1", amount="1.00"), record("2026-06-18", "2", amount="80.00")), ["2"]),
        ((record("2026-05-17", "1"), record("2026-06-18", "2")), ["2"]),
        # Any one of several is enough.
        (
            (
                record("2026-06-16", "1", customer=STRANGER),
                record("2026-06-17", "2", customer=STRANGER),
                record("2026-06-18", "3"),
            ),
            ["3"],
        ),
        # With neither would it qualify.
        ((record("2026-06-17", "1", customer=STRANGER), record("2026-07-18", "2")), []),
        ((record("2026-06-17", "1", customer=STRANGER), record("2026-06-18", "2", amount="1.00")), []),
        # They agree.
        ((record("2026-07-18", "1"), record("2026-07-18", "2")), []),
        ((record("2026-06-17", "1", customer=STRANGER),), []),
    ],
)
def test_a_closing_by_time_that_another_record_would_prevent_is_in_doubt(
    records: Sequence[Fact], left: list[str]
) -> None:
    assert found((*BEGUN, *records), "2026-06-25")[1] == {}, "nothing is in doubt while it is open"
    status, doubtful = found((*BEGUN, *records), "2026-08-20")
    assert (status, doubtful.get("closed_in_conflict", [])) == (_S.EXPIRED, left)


def refund(amount: str, *, by: str, **said: Any) -> Fact:
    data = {"order": "o1", "kind": "refund", "amount": amount, **said}
    return fact(FactType.CONVERSION_REVERSED, "2026-06-19", data, source=by, event_id=by)


@pytest.mark.parametrize(
    ("back", "left"),
    [
        # 80.00 less 25.00 is above the minimum of 50.00, less both it is not.
        ((refund("25.00", by="shop"), refund("27.00", by="bank")), ["shop"]),
        ((refund("25.00", by="shop"), refund("27.00", by="bank", reversal="x")), ["shop"]),
        # Whichever counts, it takes too much.
        ((refund("35.00", by="shop"), refund("37.00", by="bank")), []),
        # Two amounts that are no one refund with its tax.
        ((refund("10.00", by="shop"), refund("25.00", by="bank")), []),
    ],
)
def test_a_closing_by_what_may_be_one_refund_told_twice_is_in_doubt(back: Sequence[Fact], left: list[str]) -> None:
    status, doubtful = found((*BEGUN, bought("2026-06-18"), *back), "2026-08-20")
    assert (status, doubtful.get("closed_in_conflict", [])) == (_S.DENIED, left)


def test_the_order_of_arrival_changes_nothing() -> None:
    facts = (*BEGUN, report("o9"), record("2026-06-17", "1", customer=STRANGER), record("2026-06-18", "2"))
    assert found(facts, "2026-08-20") == found(facts[::-1], "2026-08-20")
