"""The oracle holds the examples of SPEC §4 and the hard sentences of its rules; only then may it judge the product."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests import oracle

FAR = datetime(2027, 6, 1, tzinfo=UTC)


def terms(zone: str = "America/Toronto", **periods: Any) -> dict[str, Any]:
    return {
        "timezone": zone,
        "currency": "USD",
        "periods": {"expiry": {"email": "P30D"}, "offer": "P30D", "grace": "P30D", "return": "P14D"} | periods,
        "qualifying": {"kinds": ["purchase"], "minimum": "50.00"},
    }


def sent(time: str, channel: str = "email") -> dict[str, Any]:
    return _fact("referral.sent", time, referral="r", channel=channel, program="p", referee={"email": "b@example.com"})


def claimed(time: str, begins: bool = False, **referee: str) -> dict[str, Any]:
    program = {"program": "p", "referrer": "dexter"} if begins else {}
    referee = referee or {"email": "b@example.com"}
    return _fact("referral.claimed", time, referral="r", referee=referee, **program)


def bought(time: str, order: str = "o", amount: str = "80.00", **customer: str) -> dict[str, Any]:
    customer = customer or {"email": "b@example.com"}
    data = {"order": order, "kind": "purchase", "amount": amount, "currency": "USD", "customer": customer}
    return _fact("conversion.recorded", time, **data)


def returned(time: str, order: str = "o") -> dict[str, Any]:
    return _fact("conversion.reversed", time, order=order, kind="return")


def withdrawn(time: str) -> dict[str, Any]:
    return _fact("referral.withdrawn", time, referral="r")


def _fact(type_: str, time: str, /, **data: Any) -> dict[str, Any]:
    time = f"{time}T14:00:00Z" if "T" not in time else time
    return {"type": type_, "source": "test", "id": f"{type_} {time} {sorted(data.items())}", "time": time, "data": data}


REACHES = {
    "claims and buys in time": (
        [sent("2026-06-01"), claimed("2026-06-20"), bought("2026-07-10")],
        ("awaiting_approval", None, "o"),
    ),
    "claims a day after the invitation": (
        [sent("2026-06-01"), claimed("2026-07-02")],
        ("expired", "invitation_not_claimed", None),
    ),
    "claims within grace of a purchase": (
        [sent("2026-06-01"), bought("2026-06-20"), claimed("2026-07-10")],
        ("awaiting_approval", None, "o"),
    ),
    "claims after grace of a purchase": (
        [sent("2026-06-01"), bought("2026-06-20"), claimed("2026-07-25")],
        ("expired", "grace_period_ended", None),
    ),
    "claims by link after a purchase": (
        [bought("2026-06-01"), claimed("2026-06-15", begins=True)],
        ("awaiting_approval", None, "o"),
    ),
    "a late claim cannot reveal a purchase after the door has closed": (
        [sent("2026-06-01"), bought("2026-06-20", customer="c-b"), claimed("2026-07-10", customer="c-b")],
        ("expired", "invitation_not_claimed", None),
    ),
    "a claim reveals a purchase while the door is open": (
        [sent("2026-06-01"), bought("2026-06-20", customer="c-b"), claimed("2026-06-25", customer="c-b")],
        ("awaiting_approval", None, "o"),
    ),
    "the next purchase takes the place of a returned one": (
        [
            sent("2026-06-01"),
            claimed("2026-06-02"),
            bought("2026-06-03"),
            bought("2026-06-09", "o2"),
            returned("2026-06-10"),
        ],
        ("awaiting_approval", None, "o2"),
    ),
    "returned within the return period, then bought again": (
        [
            sent("2026-06-01"),
            claimed("2026-06-02"),
            bought("2026-06-03"),
            returned("2026-06-10"),
            bought("2026-06-20", "o2"),
        ],
        ("awaiting_approval", None, "o2"),
    ),
    "returned after the return period, then bought again": (
        [
            sent("2026-06-01"),
            claimed("2026-06-02"),
            bought("2026-06-03"),
            returned("2026-06-18"),
            bought("2026-06-20", "o2"),
        ],
        ("awaiting_approval", None, "o2"),
    ),
    "withdrawn a microsecond before the deadline": (
        [sent("2026-06-01"), withdrawn("2026-07-01T13:59:59.999999Z")],
        ("withdrawn", None, None),
    ),
    "withdrawn at the deadline": (
        [sent("2026-06-01"), withdrawn("2026-07-01")],
        ("expired", "invitation_not_claimed", None),
    ),
    "withdrawn while a person decides": (
        [sent("2026-06-01"), claimed("2026-06-02"), bought("2026-06-03"), withdrawn("2026-08-20")],
        ("withdrawn", None, None),
    ),
    "an order is its earliest record, whoever it names": (
        [
            sent("2026-06-01"),
            claimed("2026-06-02"),
            bought("2026-06-03", email="x@example.com"),
            bought("2026-06-04"),
        ],
        ("expired", "no_conversion", None),
    ),
}


@pytest.mark.parametrize(("facts", "expected"), REACHES.values(), ids=REACHES)
def test_a_back_fill_reaches(facts: list[dict[str, Any]], expected: tuple[str, str | None, str | None]) -> None:
    found = oracle.verdict(facts[::-1], terms(), "r", FAR)
    assert found is not None
    assert (found["status"], found["reason"], found["order"]) == expected


ENDS = {
    "the same wall-clock time over a spring change": ("2026-03-01T14:00:00", "P30D", {}, "2026-03-31T13:00:00"),
    "a skipped time moves forward by the gap": ("2026-03-07T07:30:00", "P1D", {}, "2026-03-08T07:30:00"),
    "a repeated time is its first": ("2026-10-31T05:30:00", "P1D", {}, "2026-11-01T05:30:00"),
    "no end before its start": ("2026-11-01T06:30:00", "P0D", {}, "2026-11-01T06:30:00"),
    "months are clamped": ("2026-01-31T15:00:00", "P1M", {}, "2026-02-28T15:00:00"),
    "months before days": ("2026-01-31T15:00:00", "P1M1D", {}, "2026-03-01T15:00:00"),
    "hours are exact": ("2026-03-07T15:00:00", "PT24H", {}, "2026-03-08T15:00:00"),
    "the midnight that closes its day": (
        "2026-06-01T14:00:00",
        "P1D",
        {"day_boundary": "end_of_day"},
        "2026-06-03T04:00:00",
    ),
    "an end at midnight stays": ("2026-06-01T04:00:00", "P1D", {"day_boundary": "end_of_day"}, "2026-06-02T04:00:00"),
}


@pytest.mark.parametrize(("start", "period", "rules", "expected"), ENDS.values(), ids=ENDS)
def test_a_period_ends_at(start: str, period: str, rules: dict[str, Any], expected: str) -> None:
    begun = datetime.fromisoformat(start + "+00:00")
    assert oracle.end(begun, period, terms(**rules)) == datetime.fromisoformat(expected + "+00:00")
