"""Each part of a paid reward fails where a fact, the terms or a decision behind it was changed by hand."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from referral_rewards.audit.findings import Part
from tests.audit.settled import audited, rows, settle
from tests.desk import Desk, days_ago, desk_after
from tests.snapshots import Snapshots

P = Part


async def _settled(desk: Desk) -> None:
    await settle(desk, "r1")


@pytest.fixture
async def desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    """A desk whose r1 was paid: 25.00 to Dexter and 8.00 to his friend."""
    async with desk_after(snapshots, _settled) as opened:
        yield opened


async def test_a_reward_that_was_earned_holds_every_part(desk: Desk) -> None:
    examined = await audited(desk)

    assert sorted((each.reward.role, each.reward.amount_minor) for each in examined) == [
        ("referee", 800),
        ("referrer", 2500),
    ]
    assert [each.findings for each in examined] == [(), ()]
    assert not any(each.held_by_decision for each in examined)


#: What was changed by hand, and the part of which the audit says so.
CHANGED: dict[str, tuple[str, Part]] = {
    "who referred": ("UPDATE leg SET referrer = 'mia'", P.SOURCE_ATTRIBUTION),
    "who is paid": ("UPDATE leg SET beneficiary = 'mia' WHERE role = 'referee'", P.SOURCE_ATTRIBUTION),
    "the envelope of the invitation": (
        """UPDATE personal_data SET sealed = (
               SELECT sealed FROM personal_data JOIN fact ON id = subject_id WHERE event_id = 'r1-2'
           ) WHERE subject_id = (SELECT id FROM fact WHERE event_id = 'r1-1')""",
        P.SOURCE_ATTRIBUTION,
    ),
    "the marks of the claim": (
        "UPDATE fact SET marks = '{customer:c-mia}' WHERE event_id = 'r1-2'",
        P.SOURCE_ATTRIBUTION,
    ),
    "the order that is paid": ("UPDATE leg SET order_key = 'o-other'", P.QUALIFYING_EVENT),
    "when it was bought": (
        "UPDATE fact SET occurred_at = occurred_at - interval '200 days' WHERE event_id = 'r1-3'",
        P.QUALIFYING_EVENT,
    ),
    "what was bought, but for its envelope": (
        """UPDATE fact SET data = jsonb_set(data, '{amount}', '"800.00"') WHERE event_id = 'r1-3'""",
        P.QUALIFYING_EVENT,
    ),
    "that it was bought at all": (
        "DELETE FROM fact_key WHERE fact_id = (SELECT id FROM fact WHERE event_id = 'r1-3')",
        P.QUALIFYING_EVENT,
    ),
    "the text of the terms": (
        "UPDATE program_version SET source = replace(source, 'amount: \"25.00\"', 'amount: \"20.00\"')",
        P.PAYOUT_AMOUNT,
    ),
    "the terms that are kept": (
        """UPDATE program_version SET terms = jsonb_set(terms, '{rewards,referee,percent}', '"50"')""",
        P.PROGRAM_TERMS,
    ),
    "from when they are in force": (
        "UPDATE program_version SET effective_from = effective_from + interval '100 years'",
        P.SOURCE_ATTRIBUTION,
    ),
    "the version that was applied": (
        "UPDATE reward_claim SET body = jsonb_set(body, '{version}', '2')",
        P.PROGRAM_TERMS,
    ),
    "how much is paid": ("UPDATE leg SET amount_minor = 3500 WHERE role = 'referrer'", P.PAYOUT_AMOUNT),
    "in what it is paid": ("UPDATE leg SET kind = 'cash' WHERE role = 'referrer'", P.PAYOUT_AMOUNT),
    "how many rewards came before": ("UPDATE reward_claim SET approved_rewards = 7", P.PAYOUT_AMOUNT),
    "the approval's roles": ("UPDATE decision SET roles = '{finance}'", P.APPROVAL_RECORD),
    "the approval itself": ("DELETE FROM decision", P.APPROVAL_RECORD),
    "what was approved": ("UPDATE decision SET digest = repeat('0', 64)", P.APPROVAL_RECORD),
    "the digest of the claim": ("UPDATE reward_claim SET digest = repeat('0', 64)", P.APPROVAL_RECORD),
    "the claim": ("DELETE FROM reward_claim", P.APPROVAL_RECORD),
    "when it was approved": ("UPDATE decision SET decided_at = decided_at + interval '1 day'", P.APPROVAL_RECORD),
}


@pytest.mark.parametrize(("change", "part"), CHANGED.values(), ids=CHANGED)
@pytest.mark.suite_has(11)
async def test_what_was_changed_by_hand_is_found(desk: Desk, change: str, part: Part) -> None:
    await rows(desk, change)

    assert part in {finding.part for each in await audited(desk) for finding in each.findings}


#: A fact that was there before the payment, and that nobody weighed: the part that would have been decided otherwise.
UNWEIGHED: dict[str, tuple[str, dict[str, Any], Part]] = {
    "a refund": ("conversion.reversed", {"order": "o-r1", "kind": "refund"}, P.QUALIFYING_EVENT),
    "a part of it refunded": (
        "conversion.reversed",
        {"order": "o-r1", "kind": "refund", "amount": "20.00"},
        P.PAYOUT_AMOUNT,
    ),
    "an open dispute": ("conversion.dispute_opened", {"order": "o-r1"}, P.FRAUD_CONFLICT_CHECK),
    "a suspension": (
        "referrer.suspended",
        {"referrer": "dexter", "program": "acme-friends", "reason": "looked_into"},
        P.SOURCE_ATTRIBUTION,
    ),
    "a consent that was withdrawn": (
        "consent.withdrawn",
        {"person": {"customer": "c-r1"}, "scope": "contact"},
        P.FRAUD_CONFLICT_CHECK,
    ),
    "an open issue": (
        "customer.issue_opened",
        {"customer": {"customer": "c-r1"}, "issue": "i1"},
        P.FRAUD_CONFLICT_CHECK,
    ),
    "a second enrolment that the referee shares": (
        "referrer.enrolled",
        {"referrer": "dexter", "program": "acme-friends", "customer": "c-r1"},
        P.FRAUD_CONFLICT_CHECK,
    ),
    "another referrer to whom it belongs": (
        "attribution.changed",
        {"referral": "r1", "to_referrer": "mia"},
        P.SOURCE_ATTRIBUTION,
    ),
    "a request for it": (
        "reward.requested",
        {"program": "acme-friends", "referrer": "dexter", "referee": {"customer": "c-r1"}},
        P.SOURCE_ATTRIBUTION,
    ),
}


@pytest.mark.parametrize(("kind", "data", "part"), UNWEIGHED.values(), ids=UNWEIGHED)
async def test_a_fact_that_the_product_would_have_left_out_is_found(
    desk: Desk, kind: str, data: dict[str, Any], part: Part
) -> None:
    """It came after the payment; then its arrival is dated back, as if the payment had not heeded it."""
    told = await desk.tell([{**_dated(), "id": "late", "type": kind, "data": data}])
    assert told.status_code == 202, told.text
    assert all(each.accurate for each in await audited(desk)), "what came after a payment changes nothing of it"

    await rows(desk, "UPDATE fact SET received_at = occurred_at, position = 0 WHERE event_id = 'late'")

    assert part in {finding.part for each in await audited(desk) for finding in each.findings}


def _dated() -> dict[str, Any]:
    return {"specversion": "1.0", "source": "test", "time": days_ago(30).isoformat()}
