"""An exchange after the payment: the first order is returned, a second one of the same offer stands in its place."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.approval import Approver, DecisionKind
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.errors import DecisionRefused
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.claims import subject as claims
from referral_rewards.register.recording.record import record
from referral_rewards.register.referrals import cases as stored
from referral_rewards.reporting import clawbacks as reporting
from referral_rewards.reporting.books import checking
from referral_rewards.reporting.referrals.decidable import decidable
from tests.clawbacks.taking import act, cases, rewarded, told
from tests.clawbacks.test_life import done
from tests.installation import Installation
from tests.workflows.scenes import days_ago, purchase, quiet, scene, sql

A = MoneyAct


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life, life.workers():
        await rewarded(life, "r1")
        yield life
        async with life.database.transaction() as connection:
            assert [each async for each in checking.problems(connection)] == []


async def returned(life: Installation, *, other: bool = True, **data: Any) -> dict[str, Any]:
    """The first order is returned; ``other``: a second one was bought within the offer."""
    facts = [("conversion.recorded", days_ago(25), purchase("r1", "o-2", "100.00") | {"store": "fr"})] if other else []
    facts.append(("conversion.reversed", days_ago(24), {"order": "o-r1", "kind": "return", **data}))
    # Received long ago, so that no late arrivals are waited for.
    async with life.database.transaction() as connection:
        for type_, occurred_at, data in facts:
            await life.intake.record(connection, [life.event(type_, occurred_at, data)], received_at=occurred_at)
    await quiet(life, "r1")
    return {role: its[0].id for role, its in (await cases(life)).items()}


async def reopen(life: Installation) -> Any:
    now = datetime.now(UTC)
    async with life.database.transaction() as connection:
        digest = (await decidable(connection, "r1", life.keys)).digest
        assert digest is not None
        asked = Asked("r1", DecisionKind.REOPEN, "late_fact", "an exchange", digest)
        await record(connection, asked, Approver("olga", frozenset({Role.PROGRAM_OWNER})), now=now, keys=life.keys,
                     signer=life.signer)  # fmt: skip
    return await quiet(life, "r1")


async def approve(life: Installation) -> None:
    """What was reopened is approved as an override: by two people."""
    await life.user("fiona")
    await life.decide("r1", roles=(Role.PROGRAM_OWNER, Role.OPERATIONS))
    await life.decide("r1", user="fiona", roles=(Role.FINANCE,))


async def claimed(life: Installation) -> dict[str, int]:
    row = await life.row("r1")
    async with life.database.transaction() as connection:
        claim, _ = await stored.current(connection, row.claim_id)
    return {leg.role: leg.amount_minor for leg in claim.legs}


async def test_the_case_names_the_other_order_and_what_was_taken_back_is_claimed_anew_for_it(
    life: Installation,
) -> None:
    its = await returned(life)
    async with life.database.transaction() as connection:
        shown = await reporting.case(connection, its["referrer"], life.keys)
    assert (shown.exchange_order, shown.exchange_store, shown.exchange_minor) == ("o-2", "fr", 10_000)
    assert "order o-2 of store fr (100.00 USD)" in str(shown.to_do)
    await act(life, A.REVERSE_CLAWBACK, its["referrer"], 2500)
    await act(life, A.REVERSE_CLAWBACK, its["referee"], 800)
    await done(life)
    assert (await life.row("r1")).status == "clawed_back"
    row = await reopen(life)
    assert (row.status, row.order_id, row.round) == ("awaiting_approval", "o-2", 2)
    assert await claimed(life) == {"referrer": 2500, "referee": 1000}
    before = {each.id for each in await sql(life, "SELECT id FROM payout")}
    await approve(life)
    row = await life.settled("r1", among=frozenset({"rewarded"}))
    assert (row.order_id, row.closed_at) == ("o-2", None)
    assert len({each.id for each in await sql(life, "SELECT id FROM payout")} - before) == 2
    assert await life.money() == {"expense:acme-friends": 3500, "credit:dexter": -2500, "credit:c-r1": -1000}
    # A refund of the second order is a case of the second rewards alone.
    await life.record("conversion.reversed", datetime.now(UTC), {"order": "o-2", "kind": "refund"})
    await quiet(life, "r1")
    found = await cases(life)
    assert {role: [(c.state, c.proposed_minor) for c in each] for role, each in found.items()} == {
        "referrer": [("decided", 2500), ("open", 2500)],
        "referee": [("decided", 800), ("open", 1000)],
    }


async def test_only_what_was_recovered_in_full_is_claimed_anew(life: Installation) -> None:
    its = await returned(life)
    await act(life, A.WRITE_OFF_CLAWBACK, its["referrer"], 2500)
    await act(life, A.REVERSE_CLAWBACK, its["referee"], 800)
    await done(life)
    assert (await life.row("r1")).status == "rewarded"
    with pytest.raises(DecisionRefused):
        await reopen(life)
    await sql(life, "UPDATE referral SET closed_at = now(), closed_version = facts_version, wake_at = NULL")
    row = await reopen(life)
    assert (row.status, row.order_id) == ("awaiting_approval", "o-2")
    assert await claimed(life) == {"referee": 1000}
    await approve(life)
    await life.settled("r1", among=frozenset({"rewarded"}))
    assert await sql(life, "SELECT role, state, former FROM leg ORDER BY role, former") == [
        ("referee", "paid", False),
        ("referee", "clawed_back", True),
        ("referrer", "paid", True),
    ]


async def exchanged(life: Installation, its: dict[str, Any]) -> None:
    """The referee's reward is taken back whole, and the referral is reopened for the second order after its watch."""
    await act(life, A.REVERSE_CLAWBACK, its["referee"], 800)
    await done(life)
    await sql(life, "UPDATE referral SET closed_at = now(), closed_version = facts_version, wake_at = NULL")
    assert (await reopen(life)).status == "awaiting_approval"


async def states(life: Installation) -> dict[str, list[tuple[str, int | None]]]:
    return {role: [(c.state, c.proposed_minor) for c in each] for role, each in (await cases(life)).items()}


async def test_a_later_loss_of_the_former_order_opens_a_case_for_what_still_stands_of_it(life: Installation) -> None:
    its = await returned(life, reversal="x")
    # The referrer's reward may stand. The refund that this was about never went through, and a later one did.
    await act(life, A.DISMISS_CLAWBACK, its["referrer"])
    await exchanged(life, its)
    await approve(life)
    await life.settled("r1", among=frozenset({"rewarded"}))
    await told(life, "conversion.reversal_failed", reversal="x")
    row = await told(life, "conversion.reversed", kind="refund", reversal="y")
    assert await states(life) == {"referrer": [("dismissed", 0), ("open", 2500)], "referee": [("decided", 800)]}
    assert (row.status, row.order_id) == ("rewarded", "o-2")
    case = (await cases(life))["referrer"][1].id
    await act(life, A.REVERSE_CLAWBACK, case, 2500)
    await done(life)
    assert await life.money() == {"expense:acme-friends": 1000, "credit:c-r1": -1000}


async def test_a_dispute_of_the_former_order_ends_its_cases_while_the_fresh_claim_waits(life: Installation) -> None:
    its = await returned(life)
    await told(life, "conversion.dispute_opened", dispute="d")
    await exchanged(life, its)
    assert await states(life) == {
        "referrer": [("open", 2500), ("frozen", None)],
        "referee": [("decided", 800), ("frozen", None)],
    }
    row = await told(life, "conversion.dispute_closed", dispute="d", outcome="won")
    assert row.status == "awaiting_approval"
    assert await states(life) == {
        "referrer": [("open", 2500), ("dismissed", None)],
        "referee": [("decided", 800), ("dismissed", None)],
    }
    # A case of a reward that stands has it wait once more, and another one opens none for what was taken back whole.
    await approve(life)
    await life.settled("r1", among=frozenset({"rewarded"}))
    await told(life, "conversion.dispute_opened", dispute="e")
    assert {role: each[2:] for role, each in (await states(life)).items()} == {
        "referrer": [("frozen", None)],
        "referee": [],
    }


async def test_a_loss_of_the_former_order_is_late_once_the_referral_is_closed(life: Installation) -> None:
    its = await returned(life)
    await exchanged(life, its)
    await approve(life)
    await life.settled("r1", among=frozenset({"rewarded"}))
    await sql(life, "UPDATE referral SET closed_at = now(), closed_version = facts_version, wake_at = NULL")
    assert (await told(life, "conversion.dispute_opened", dispute="e")).late_facts == 1
    assert len((await cases(life))["referrer"]) == 1
    await reopen(life)
    assert (await states(life))["referrer"] == [("open", 2500), ("frozen", None)]


async def test_without_another_order_there_is_nothing_to_reopen_it_for(life: Installation) -> None:
    its = await returned(life, other=False)
    await act(life, A.REVERSE_CLAWBACK, its["referrer"], 2500)
    await act(life, A.REVERSE_CLAWBACK, its["referee"], 800)
    await done(life)
    async with life.database.transaction() as connection:
        shown = (await claims.shown(connection, "r1", datetime.now(UTC), life.keys)).subject
        assert (await decidable(connection, "r1", life.keys)).takes == ()
    assert shown.exchange is None
    with pytest.raises(DecisionRefused, match="no other conversion of its offer would qualify"):
        await reopen(life)
