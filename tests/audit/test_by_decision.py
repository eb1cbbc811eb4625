"""What people decided by name holds, and is counted beside; what they decided without enough people does not."""

from collections.abc import AsyncIterator

import pytest

from referral_rewards.audit.findings import Part
from referral_rewards.audit.parts import Examined
from tests.audit.settled import approve_and_pay, audited, rows, settle
from tests.desk import Desk, days_ago, desk_after, event, life_of
from tests.snapshots import Snapshots


async def _nothing(desk: Desk) -> None:
    """The desk as it is furnished."""


@pytest.fixture
async def desk(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, _nothing) as opened:
        yield opened


async def _right(desk: Desk) -> list[Examined]:
    """The rewards that were paid, which all hold."""
    found = await audited(desk)
    assert found, "nothing was paid"
    assert [finding for each in found for finding in each.findings] == []
    return found


async def test_a_self_referral_that_finance_and_operations_overrode_holds_by_decision(desk: Desk) -> None:
    await desk.tell([event("device", "referrer.enrolled", days_ago(299), _enrolment(device="d1"))])
    await settle(desk, "r1", "paula", "fiona", "oscar", device="d1")

    assert all(each.held_by_decision for each in await _right(desk))

    await rows(desk, "DELETE FROM decision WHERE username = 'fiona'")
    assert {Part.APPROVAL_RECORD} <= {finding.part for each in await audited(desk) for finding in each.findings}


async def test_a_claim_that_was_moved_is_right_for_whom_it_was_moved_to(desk: Desk) -> None:
    mia = {"referrer": "mia", "program": "acme-friends", "customer": "c-mia", "email": "mia@example.com"}
    moved = {"referral": "r1", "from_referrer": "dexter", "to_referrer": "mia", "reason": "typo"}
    await desk.tell([event("e-mia", "referrer.enrolled", days_ago(300), mia)])
    await desk.referral("r1")
    await desk.tell([event("moved", "attribution.changed", days_ago(30), moved)])
    await desk.judge("r1")
    for user in ("oscar", "paula"):
        answer = await desk.decide("r1", "reassign", user, referrer="mia")
        assert answer.status_code == 201, answer.text
        await desk.judge("r1")
    await approve_and_pay(desk, "r1")

    assert {each.reward.referrer for each in await _right(desk)} == {"mia"}

    await rows(desk, "DELETE FROM decision WHERE username = 'oscar'")
    assert Part.SOURCE_ATTRIBUTION in {finding.part for each in await audited(desk) for finding in each.findings}


async def test_an_order_that_was_linked_by_hand_is_the_referrals(desk: Desk) -> None:
    await desk.tell([fact for fact in life_of("r1") if fact["type"] != "conversion.recorded"])
    strange = {"order": "o-9", "kind": "purchase", "customer": {"customer": "c-colleague"}, "new_customer": True}
    await desk.tell(
        [event("b", "conversion.recorded", days_ago(40), {**strange, "amount": "80.00", "currency": "USD"})]
    )
    await desk.judge("r1")
    for user in ("oscar", "paula"):
        answer = await desk.decide("r1", "link", user, order="o-9")
        assert answer.status_code == 201, answer.text
        await desk.judge("r1")
    await approve_and_pay(desk, "r1", *await _needed(desk, "r1"))

    assert {each.reward.order for each in await _right(desk)} == {"o-9"}


async def test_a_reward_that_was_asked_for_by_hand_is_a_persons_decision(desk: Desk) -> None:
    who = {"customer": "c-9", "email": "nine@example.com"}
    bought = {"order": "o-9", "kind": "purchase", "customer": who, "amount": "80.00", "currency": "USD"}
    asked = {"program": "acme-friends", "referrer": "dexter", "referee": who, "order": "o-9"}
    consent = {"person": who, "scope": "contact"}
    await desk.tell(
        [
            event("b", "conversion.recorded", days_ago(40), {**bought, "new_customer": True}),
            event("c", "consent.granted", days_ago(41), consent),
            event("q", "reward.requested", days_ago(30), asked),
        ]
    )
    (row,) = await rows(desk, "SELECT id FROM referral")
    await desk.judge(row.id)
    await approve_and_pay(desk, row.id, *await _needed(desk, row.id))

    assert {each.reward.order for each in await _right(desk)} == {"o-9"}


async def test_one_order_number_of_two_stores_is_two_orders(desk: Desk) -> None:
    other = {"order": "o-r1", "kind": "purchase", "customer": {"customer": "c-other"}, "store": "berlin"}
    await desk.tell([event("x", "conversion.recorded", days_ago(45), {**other, "amount": "10.00", "currency": "USD"})])
    life = life_of("r1")
    life[-1]["data"]["store"] = "toronto"
    await desk.tell(life)
    await desk.judge("r1")
    await approve_and_pay(desk, "r1")

    assert sorted(each.reward.amount_minor for each in await _right(desk)) == [800, 2500]


async def test_a_referral_that_was_reopened_holds_by_decision(desk: Desk) -> None:
    await desk.tell([fact for fact in life_of("r1") if fact["type"] != "conversion.recorded"])
    await desk.judge("r1")
    late = {**life_of("r1")[-1], "time": days_ago(15).isoformat()}
    await desk.tell([late])
    await desk.judge("r1")
    reopened = await desk.decide("r1", "reopen", "paula")
    assert reopened.status_code == 201, reopened.text
    await desk.judge("r1")
    await approve_and_pay(desk, "r1", *await _needed(desk, "r1"))

    assert all(each.held_by_decision for each in await _right(desk))


async def _needed(desk: Desk, referral: str) -> list[str]:
    """Whoever has to approve the claim."""
    by_role = {"finance": "fiona", "program_owner": "paula", "operations": "oscar"}
    (row,) = await rows(
        desk,
        """SELECT c.body->'requirement'->'routes' AS routes FROM referral r JOIN reward_claim c ON c.id = r.claim_id
           WHERE r.id = :referral""",
        referral=referral,
    )
    return [by_role[role] for role in row.routes]


def _enrolment(**also: str) -> dict[str, str]:
    return {"referrer": "dexter", "program": "acme-friends", "customer": "c-dexter", **also}
