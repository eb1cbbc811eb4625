"""What comes to light when the watch over a paid reward is over: late facts, reopening, and cases opened by hand."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.approval import Approver, DecisionKind
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.errors import ActRefused, DecisionRefused, NotAllowed
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.claims import subject as claims
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from tests.clawbacks.taking import act, cases, rewarded, takes, told
from tests.installation import Installation
from tests.workflows.scenes import quiet, scene, sql

FINANCE = frozenset({Role.FINANCE})


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    """A referral that was paid so long ago that nobody watches it any more."""
    async with scene(database_url, temporal_env) as life, life.workers():
        await rewarded(life, "r1")
        await watched_out(life)
        yield life


async def watched_out(life: Installation) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    await sql(life, "UPDATE referral SET rewarded_at = :at", at=long_ago)
    await life.record("reward.requested", datetime.now(UTC), {
        "program": "acme-friends", "referrer": "dexter", "referee": {"customer": "c-r1"}, "by": "nobody",
    })  # fmt: skip
    row = await quiet(life, "r1")
    assert (row.status, row.closed_at is not None) == ("rewarded", True)


async def reopen(life: Installation) -> Any:
    now = datetime.now(UTC)
    async with life.database.transaction() as connection:
        shown = (await claims.shown(connection, "r1", now, life.keys)).subject
        asked = Asked("r1", DecisionKind.REOPEN, "late_fact", "a chargeback", shown.digest)
        await record(connection, asked, Approver("paula", frozenset({Role.PROGRAM_OWNER})), now=now, keys=life.keys,
                     signer=life.signer)  # fmt: skip
    return await quiet(life, "r1")


async def open_by_hand(life: Installation, role: str, amount_minor: int, roles: frozenset[Role] = FINANCE) -> Decision:
    (leg,) = await sql(life, "SELECT id FROM leg WHERE role = :role", role=role)
    async with life.database.transaction() as connection:
        shown = await subjects.shown(connection, SubjectKind.REWARD, leg.id, life.keys)
        asked = Asked(str(leg.id), MoneyAct.OPEN_CLAWBACK, "chargeback", "a letter of the bank", shown.digest,
                      amount_minor=amount_minor)  # fmt: skip
        made, _ = await record(connection, asked, Approver("fiona", roles), now=datetime.now(UTC), keys=life.keys,
                               signer=life.signer)  # fmt: skip
    return made


async def test_a_late_chargeback_waits_for_a_person_and_reopening_opens_a_case_for_each_reward(
    life: Installation,
) -> None:
    row = await told(life, "conversion.reversed", kind="chargeback_lost")
    assert (row.late_facts, await cases(life)) == (1, {})
    assert await sql(life, "SELECT exception FROM queue_entry") == [("late_fact",)]
    row = await reopen(life)
    found = await cases(life)
    assert {role: [(c.state, c.proposed_minor) for c in its] for role, its in found.items()} == {
        "referrer": [("open", 2500)],
        "referee": [("open", 800)],
    }
    assert (row.status, row.closed_at is not None, row.late_facts, row.round) == ("rewarded", True, 0, 2)
    assert {each.exception for each in await sql(life, "SELECT exception FROM queue_entry")} == {"clawback"}
    # The decision reopened that closing, and no other.
    row = await told(life, "conversion.dispute_opened")
    assert (row.late_facts, row.round) == (1, 2)


async def test_a_dispute_that_is_admitted_late_keeps_the_referral_open_until_it_ends(life: Installation) -> None:
    await told(life, "conversion.dispute_opened")
    row = await reopen(life)
    assert (row.closed_at, {c.state for its in (await cases(life)).values() for c in its}) == (None, {"frozen"})
    row = await told(life, "conversion.dispute_closed", outcome="won")
    assert row.closed_at is not None
    assert {c.state for its in (await cases(life)).values() for c in its} == {"dismissed"}


async def test_a_change_of_attribution_after_the_watch_is_late_too(life: Installation) -> None:
    changed = {"referral": "r1", "from_referrer": "dexter", "to_referrer": "mia"}
    await life.record("attribution.changed", datetime.now(UTC), changed)
    assert (await quiet(life, "r1")).late_facts == 1
    await reopen(life)
    found = await cases(life)
    assert {role: [(c.state, c.proposed_minor) for c in its] for role, its in found.items()} == {
        "referrer": [("open", 2500)]
    }


async def test_while_it_is_watched_nothing_is_reopened(life: Installation) -> None:
    await sql(life, "UPDATE referral SET closed_at = NULL, closed_version = NULL")
    with pytest.raises(DecisionRefused, match="only a closed referral can be reopened"):
        await reopen(life)


async def test_finance_opens_a_case_by_hand_over_what_was_paid_and_not_taken(life: Installation) -> None:
    made = await open_by_hand(life, "referrer", 1500)
    await quiet(life, "r1")
    (case,) = (await cases(life))["referrer"]
    assert (case.state, case.proposed_minor) == ("open", 1500)
    assert case.why == "fiona opened it by hand: the payment was charged back"
    assert await sql(life, "SELECT effect FROM decision_effect WHERE decision_id = :id", id=made.id) == [("applied",)]
    assert {each.exception for each in await sql(life, "SELECT exception FROM queue_entry")} == {"clawback"}
    await act(life, MoneyAct.WRITE_OFF_CLAWBACK, case.id, 1500)
    await quiet(life, "r1")
    assert await takes(life, case.id) == (set(), 1000)
    with pytest.raises(ActRefused, match=r"only 10\.00 USD remain"):
        await open_by_hand(life, "referrer", 1001)
    await open_by_hand(life, "referrer", 1000)


async def test_only_finance_opens_one(life: Installation) -> None:
    with pytest.raises(NotAllowed, match="finance"):
        await open_by_hand(life, "referrer", 1, frozenset({Role.PROGRAM_OWNER, Role.OPERATIONS}))
