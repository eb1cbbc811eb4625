"""Whom we write to, when, and why not."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import pytest

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.notices.contact import (
    COURTESIES,
    NEWS_FOR,
    TO_APPROVERS,
    Change,
    Template,
    asked_enough,
    no_news,
    objection,
    opens_at,
    overtaken,
    surveyed,
    tellings,
)
from referral_rewards.domain.referrals.lifecycle import CLOSED, Reason, ReferralStatus
from tests.domain import build
from tests.domain.build import at
from tests.domain.dossiers import terms

_S = ReferralStatus
_T = Template
REFERRER, REFEREE = Side.REFERRER, Side.REFEREE
BOTH = (REFERRER, REFEREE)


def told(after: ReferralStatus, *, took_part: bool = True, rewarded: Collection[Side] = BOTH, **more: Any) -> Any:
    change = Change(after=after, took_part=took_part, rewarded=rewarded, **more)
    return [(each.template, each.side) for each in tellings(change)]


@pytest.mark.parametrize("status", [_S.DENIED, _S.EXPIRED, _S.WITHDRAWN])
def test_every_closing_is_told_to_those_who_took_part(status: ReferralStatus) -> None:
    template = Template(status.value)
    assert told(status, surveyed=False) == [(template, REFERRER), (template, REFEREE)]
    assert told(status, surveyed=False, took_part=False) == [(template, REFERRER)]


@pytest.mark.parametrize("status", _S)
def test_people_are_asked_how_satisfied_they_are_after_payment_and_denial_alone(status: ReferralStatus) -> None:
    asked = [side for letter, side in told(status) if letter is _T.SATISFACTION_SURVEY]
    assert asked == (list(BOTH) if status in (_S.REWARDED, _S.DENIED) else [])
    assert _T.SATISFACTION_SURVEY not in dict(told(status, surveyed=False))
    assert (overtaken(_T.SATISFACTION_SURVEY, status) is None) == (status in (_S.REWARDED, _S.DENIED))


@pytest.mark.parametrize(
    ("on", "reason", "asked"),
    [
        (True, None, True),
        (True, Reason.EXISTING_CUSTOMER, True),
        (True, Reason.DUPLICATE_CLAIM, False),
        (False, None, False),
        (False, Reason.EXISTING_CUSTOMER, False),
    ],
)
def test_the_terms_say_whether_anybody_is_asked_and_a_second_invitation_is_not(
    on: bool, reason: Reason | None, asked: bool
) -> None:
    assert surveyed(terms(satisfaction_survey=on), reason) is asked


@pytest.mark.parametrize(
    ("asked", "answered", "why"),
    [
        (False, False, None),
        (True, False, "They were asked before."),
        (False, True, "They have answered already."),
        (True, True, "They have answered already."),
    ],
)
def test_each_person_is_asked_once_and_answers_once(asked: bool, answered: bool, why: str | None) -> None:
    assert asked_enough(asked=asked, answered=answered) == why


@pytest.mark.parametrize(
    ("status", "more", "expected"),
    [
        (_S.PURCHASED_UNCLAIMED, {}, [(_T.CLAIM_REMINDER, REFEREE)]),
        (
            _S.REWARDED,
            {},
            [(letter, side) for letter in (_T.REWARDED, _T.SATISFACTION_SURVEY) for side in BOTH],
        ),
        (_S.REWARDED, {"rewarded": [REFERRER]}, [(_T.REWARDED, REFERRER), (_T.SATISFACTION_SURVEY, REFERRER)]),
        (_S.CLAWED_BACK, {"rewarded": [REFEREE]}, []),  # each recovery is told by itself
        (_S.APPROVED, {"at_once": False}, [(_T.APPROVED, REFERRER), (_T.APPROVED, REFEREE)]),
        (_S.APPROVED, {"at_once": True}, []),
        (_S.APPROVED, {"at_once": True, "left_out": [REFERRER]}, [(_T.LEFT_OUT, REFERRER)]),
        (
            _S.APPROVED,
            {"at_once": False, "rewarded": [REFEREE], "left_out": [REFERRER]},
            [(_T.APPROVED, REFEREE), (_T.LEFT_OUT, REFERRER)],
        ),
    ],
)
def test_what_else_is_told(status: ReferralStatus, more: dict[str, Any], expected: Any) -> None:
    assert told(status, **more) == expected


def test_other_changes_of_status_are_nobodys_news() -> None:
    silent = {status for status in _S if not told(status)}
    assert silent == {
        *(_S.INVITED, _S.CLAIMED, _S.IN_RETURN_PERIOD, _S.IN_REVIEW),
        *(_S.AWAITING_APPROVAL, _S.ON_HOLD, _S.APPROVED, _S.PAYING),
        _S.CLAWED_BACK,
    }


def test_a_closing_is_never_a_courtesy() -> None:
    assert not {Template(status.value) for status in CLOSED} & (COURTESIES | TO_APPROVERS)


@pytest.mark.parametrize("template", Template)
def test_every_message_says_something_somewhere_and_nothing_elsewhere(template: Template) -> None:
    lost = {status for status in _S if overtaken(template, status) is not None}
    assert lost < set(_S)
    # A changed account is news to its payee whatever became of the referral; so is an admitted appeal.
    assert lost or template in (Template.METHOD_CHANGED, Template.APPEAL_ADMITTED)


@pytest.mark.parametrize(
    ("after", "told"), [(timedelta(0), True), (NEWS_FOR, True), (NEWS_FOR + timedelta(microseconds=1), False)]
)
def test_what_lies_more_than_thirty_days_back_is_no_news(after: timedelta, told: bool) -> None:
    assert (no_news(at("2026-06-01"), at("2026-06-01") + after) is None) == told


def said(kind: FactType, when: str, **data: Any) -> Fact:
    return build.fact(kind, when, data)


GRANTED = said(FactType.CONSENT_GRANTED, "2026-06-02", person={}, scope="contact")
WITHDRAWN = said(FactType.CONSENT_WITHDRAWN, "2026-06-03", person={}, scope="contact")
ABOUT_ADVOCACY = said(FactType.CONSENT_WITHDRAWN, "2026-06-04", person={}, scope="public_advocacy")
OPENED = said(FactType.ISSUE_OPENED, "2026-06-05", customer={}, issue="i-1")
RESOLVED = said(FactType.ISSUE_RESOLVED, "2026-06-06", customer={}, issue="i-1")


@pytest.mark.parametrize(
    ("side", "facts", "why"),
    [
        (REFEREE, [GRANTED], None),
        (REFEREE, [GRANTED, ABOUT_ADVOCACY], None),
        (REFEREE, [], "There is no consent to be contacted on record."),
        (REFERRER, [], None),
        (REFEREE, [GRANTED, WITHDRAWN], "Consent to be contacted was refused or withdrawn 2026-06-03 12:00 UTC."),
        (REFERRER, [WITHDRAWN], "Consent to be contacted was refused or withdrawn 2026-06-03 12:00 UTC."),
        (REFEREE, [GRANTED, OPENED], "A customer issue is unresolved: i-1."),
        (REFERRER, [OPENED], "A customer issue is unresolved: i-1."),
        (REFEREE, [GRANTED, OPENED, RESOLVED], None),
    ],
)
def test_a_courtesy_waits_for_nobody_who_has_a_problem_or_said_no(side: Side, facts: Any, why: str | None) -> None:
    assert objection(side, facts, dispute=None) == why


def test_an_open_dispute_is_no_time_for_a_courtesy() -> None:
    assert objection(REFEREE, [GRANTED], dispute="A dispute is open.") == "A dispute is open."


HOURS = {"start": "09:00", "end": "18:00"}


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-07-01T13:00:00Z", None),  # 09:00 in Toronto
        ("2026-07-01T12:59:59.999999Z", "2026-07-01T13:00:00Z"),
        ("2026-07-01T21:59:59.999999Z", None),
        ("2026-07-01T22:00:00Z", "2026-07-02T13:00:00Z"),  # at the end is too late
        ("2026-07-02T03:59:00Z", "2026-07-02T13:00:00Z"),  # still the evening before in Toronto
        ("2026-03-08T04:00:00Z", "2026-03-08T13:00:00Z"),  # clocks go forward in the night: an hour sooner
        ("2026-11-01T03:00:00Z", "2026-11-01T14:00:00Z"),  # and back: an hour later
    ],
)
def test_contact_hours_are_on_the_clocks_of_the_programs_zone(now: str, opens: str | None) -> None:
    expected = datetime.fromisoformat(opens) if opens else None
    assert opens_at(datetime.fromisoformat(now), terms(contact_hours=HOURS)) == expected


@pytest.mark.parametrize(
    ("start", "now", "opens"),
    [
        ("02:30", "2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z"),  # 02:30 is skipped: half past three
        ("01:30", "2026-11-01T05:10:00Z", "2026-11-01T05:30:00Z"),  # the first 01:10
        ("01:30", "2026-11-01T06:10:00Z", "2026-11-01T06:30:00Z"),  # the second one
    ],
)
def test_an_opening_that_a_clock_change_skips_or_repeats_lies_ahead(start: str, now: str, opens: str) -> None:
    hours = {"start": start, "end": "18:00"}
    assert opens_at(datetime.fromisoformat(now), terms(contact_hours=hours)) == datetime.fromisoformat(opens)


def test_a_program_without_contact_hours_writes_at_any_time() -> None:
    assert opens_at(at("2026-07-01"), terms()) is None
