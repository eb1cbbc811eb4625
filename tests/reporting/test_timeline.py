"""A referral's time as it is drawn, and as it is told to whoever can't see it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.reporting.referrals.everything import ReferralShown
from referral_rewards.reporting.referrals.timeline import MARKS_MAX, Mark, Sign, Span, Timeline, timeline
from referral_rewards.reporting.referrals.timeline_picture import in_words, picture
from referral_rewards.reporting.referrals.timeline_scale import LEFT, RIGHT, Scale

NOW = datetime(2026, 7, 20, 12, tzinfo=UTC)


def shown(**changed: Any) -> ReferralShown:
    """A referral that was sent, claimed, bought on, and is in its return period; with other values."""
    periods = {
        "timezone": "America/Toronto",
        "began_at": "2026-06-01T14:00:00Z",
        "began_by": "sent",
        "invitation_ends": "2026-07-01T14:00:00Z",
        "claim_by": "2026-07-01T14:00:00Z",
        "claimed_at": "2026-06-20T14:00:00Z",
        "offer_ends": "2026-07-20T14:00:00Z",
        "return_ends": "2026-07-24T14:00:00Z",
        "minimum": None,
        "conversions": [{**_BOUGHT, "kind": "purchase", "grace_ends": "2026-08-09T14:00:00Z", "gross_minor": 8000,
                         "counts": True}],
    }  # fmt: skip
    given = {
        **dict.fromkeys(ReferralShown.model_fields),
        **dict.fromkeys(("decisions", "inquiries", "legs", "payouts", "clawbacks", "appeals", "history"), ()),
        **dict.fromkeys(("round", "facts_version", "judged_version"), 1),
        "referral": "db1",
        "status": "in_return_period",
        "late_facts": 0,
        "conversion": _BOUGHT,
        "communication": (),
        "facts": [
            told("referrer.enrolled", "2025-01-01T12:00:00Z"),
            told("referral.sent", "2026-06-01T14:00:00Z", channel="word_of_mouth"),
            told("referral.claimed", "2026-06-20T14:00:00Z"),
            told("conversion.recorded", "2026-07-10T14:00:00Z", order="o<1>", amount="80.00", currency="USD"),
        ],
        **changed,
        "periods": None if changed.get("periods", {}) is None else {**periods, **changed.get("periods", {})},
    }
    return ReferralShown.model_validate(given)


_BOUGHT: Final = {
    "order": "o<1>",
    "store": None,
    "occurred_at": "2026-07-10T14:00:00Z",
    "net_minor": 8000,
    "currency": "USD",
}
_SENT: Final = {
    **dict.fromkeys(("referral", "cycle", "why", "to_do", "reference", "destination", "settled_at")),
    **dict.fromkeys(("legs", "deductions", "steps"), ()),
    "payout": UUID(int=1),
    "program": "friends",
    "payee": "brie",
    "rail": "gift_card",
    "amount_minor": 1000,
    "currency": "USD",
    "state": "settled",
    "generation": 1,
    "key": "k1",
    "first_sent_at": "2026-07-12T10:00:00Z",
    "created_at": "2026-07-11T10:00:00Z",
    "updated_at": "2026-07-12T10:00:00Z",
    "role": "referee",
    "provider_reference": None,
}
_CASE: Final = {
    **dict.fromkeys(("payout", "to_do", "settled_at", "proposed_minor")),
    **dict.fromkeys(("exchange_order", "exchange_store", "exchange_minor", "exchange_currency")),
    "recovered_minor": 0,
    "written_off_minor": 0,
    "case": UUID(int=2),
    "leg": UUID(int=3),
    "fact": UUID(int=4),
    "referral": "db1",
    "program": "friends",
    "role": "referee",
    "payee": "brie",
    "rail": "gift_card",
    "state": "open",
    "why": "the order was refunded",
    "opened_at": "2026-07-13T10:00:00Z",
    "currency": "USD",
    "paid_minor": 1000,
    "taken_minor": 0,
    "room_minor": 1000,
    "clawbacks": (),
}
_DECISION: Final = {
    "id": UUID(int=5),
    "seq": 1,
    "kind": "request_evidence",
    "user": "paula",
    "roles": ["program_owner"],
    "reason": "identity",
    "note": None,
    "digest": "",
    "decided_at": "2026-07-11T10:00:00Z",
    "genuine": True,
    "effects": (),
    **dict.fromkeys(("leg", "amount_minor", "referrer", "order", "store", "facts_known")),
}


def told(type_: str, at: str, *, late: bool = False, **data: Any) -> dict[str, Any]:
    return {
        "fact": UUID(int=6),
        "type": type_,
        "source": "acme/shop",
        "event_id": "e1",
        "occurred_at": at,
        "received_at": at,
        "data": data,
        "version": 1,
        "late": late,
    }


def drawn(**changed: Any) -> Timeline:
    found = timeline(shown(**changed), NOW)
    assert found is not None
    return found


def test_what_no_terms_apply_to_yet_is_not_drawn() -> None:
    assert timeline(shown(periods=None), NOW) is None


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {"invitation": (1, 31), "grace": None, "offer": (20, 50), "return": (40, 54)}),
        ({"invitation_ends": None, "claim_by": None}, {"invitation": None}),
        ({"claimed_at": None, "offer_ends": None}, {"grace": (40, 70), "offer": None}),
        ({"claimed_at": "2026-07-15T14:00:00Z"}, {"grace": (40, 70)}),
        ({"claimed_at": "2026-08-15T14:00:00Z"}, {"grace": None}),
        ({"return_ends": None}, {"return": None}),
    ],
)
def test_each_period_is_a_span_or_says_why_not(
    changed: dict[str, Any], expected: dict[str, tuple[int, int] | None]
) -> None:
    """Days are counted from the end of May."""
    spans = {span.name: span for span in drawn(periods=changed).spans}
    assert set(spans) == {"invitation", "grace", "offer", "return"}
    first = datetime(2026, 5, 31, 14, tzinfo=UTC)
    for name, days in expected.items():
        span = spans[name]
        if days is None:
            assert (span.starts, span.ends) == (None, None)
            assert span.note
        else:
            assert span.starts is not None
            assert span.ends is not None
            assert ((span.starts - first).days, (span.ends - first).days) == days


def test_what_concerns_the_referrer_in_general_is_no_mark() -> None:
    assert [mark.said for mark in drawn().marks] == [
        "Invitation sent (word of mouth)",
        "Offer claimed by the referee",
        "Conversion, order o<1>, 80.00 USD",
    ]


def test_a_claim_that_came_too_late_is_no_good_news() -> None:
    marks = drawn(periods={"claim_by": "2026-06-20T14:00:00Z"}).marks
    assert (marks[1].said, marks[1].good) == ("Offer claimed by the referee, too late", False)


def test_decisions_payments_and_closings_are_marks() -> None:
    marks = drawn(
        decisions=[_DECISION, {**_DECISION, "genuine": False, "user": "mallory"}],
        payouts=[_SENT],
        clawbacks=[_CASE],
        closed_at="2026-07-14T10:00:00Z",
        status="denied",
        reason="conversion_reversed",
    ).marks[3:]
    assert [(mark.sign, mark.said, mark.good) for mark in marks] == [
        (Sign.DECISION, "Evidence requested by paula (proof of identity)", None),
        (Sign.PAYMENT, "The referee's reward was sent (gift card)", True),
        (Sign.TAKEN_BACK, "Clawback case opened", False),
        (Sign.STEP, "Closed: denied, conversion reversed", False),
    ]


def test_more_marks_than_can_be_read_are_left_out_and_counted() -> None:
    many = [told("conversion.recorded", f"2026-07-10T14:{n:02}:00Z", order=str(n)) for n in range(40)]
    found = drawn(facts=many)
    assert (len(found.marks), found.left_out) == (MARKS_MAX, 40 - MARKS_MAX)


def test_the_picture_is_well_formed_and_says_everything_in_words() -> None:
    found = drawn()
    svg = ElementTree.fromstring(picture(found))
    desc = svg.find("desc")
    assert desc is not None
    assert desc.text == " ".join(in_words(found))
    assert "Return: from 10 Jul 2026, 10:00 until 24 Jul 2026, 10:00." in desc.text
    assert "3. 10 Jul 2026, 10:00: Conversion, order o<1>, 80.00 USD." in desc.text


def test_a_strict_content_policy_admits_the_picture() -> None:
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script|href=", picture(drawn()))


_moments = st.timedeltas(timedelta(), timedelta(days=36500)).map(lambda since: datetime(1990, 1, 1, tzinfo=UTC) + since)


@given(
    now=_moments,
    spans=st.lists(st.tuples(_moments, st.timedeltas(timedelta(), timedelta(days=400))), max_size=4),
    marks=st.lists(_moments, max_size=MARKS_MAX),
    zone=st.sampled_from(["UTC", "America/Toronto", "Pacific/Apia"]),
)
def test_every_moment_stands_within_the_picture_and_in_its_order(
    now: datetime, spans: list[tuple[datetime, timedelta]], marks: list[datetime], zone: str
) -> None:
    found = Timeline(
        zone,
        now,
        tuple(Span("offer", "Offer", start, start + length) for start, length in spans),
        tuple(Mark(at, Sign.STEP, "it happened") for at in sorted(marks)),
    )
    scale = Scale(found)
    moments = sorted([now, *marks, *(start for start, _ in spans), *(start + length for start, length in spans)])
    places = [scale.x(moment) for moment in moments]
    assert places == sorted(places)
    assert all(LEFT <= place <= RIGHT for place in places)
    ElementTree.fromstring(picture(found))
