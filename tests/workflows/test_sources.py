"""Outside sources on real servers: asked at the end of the return period, at the approval and before each payment.

A shop confirms the conversions and a CRM knows the customers. Both are scripted; everything else is real.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.findings import CheckCode, Flag, Result
from referral_rewards.domain.facts.events import Event
from referral_rewards.local.fake_source import FakeSource, as_app
from referral_rewards.loopback import served
from referral_rewards.register.referrals import cases as claims
from referral_rewards.sources.http import connected
from referral_rewards.sources.port import Endpoint, Told
from referral_rewards.temporal import payout_workflow_id
from tests.chaos.cluster import until
from tests.installation import PROGRAM, Installation
from tests.sources.told import LONG
from tests.workflows.scenes import (
    books,
    days_ago,
    payouts,
    purchase,
    quiet,
    referrals_at_work,
    scene,
    sql,
)

TERMS = PROGRAM.read_text().replace("  conversions: register ", "  conversions: shop\n  customers: crm ")
BRIE = {"customer": "c-r1", "email": "r1@example.com", "name": "Brie Cheese"}
REFUND: dict[str, Any] = {"order": "o-r1", "kind": "refund"}
ISSUE = {"customer": BRIE, "issue": "i1"}


class Outside:
    """An installation, and what is outside of it."""

    def __init__(self, life: Installation) -> None:
        self.life = life
        self.shop, self.crm = FakeSource("shop"), FakeSource("crm")
        life.sources |= {"shop": self.shop, "crm": self.crm}

    async def posted(self, event: Event) -> None:
        """The shop tells us of what happened when it happens, and will tell it again when asked."""
        self.shop.tell(event)
        async with self.life.database.transaction() as connection:
            await self.life.intake.record(connection, [event], received_at=event.occurred_at)

    async def lived_until_review(self) -> None:
        """Referral r1 with a purchase of 80.00 at the shop, and its return period over; the wake-ups undelivered."""
        await invited_and_claimed(self.life, sent=60, claimed=50)
        await self.posted(self.life.event("conversion.recorded", days_ago(40), purchase("r1", "o-r1")))

    async def before_its_approver(self) -> RewardClaim:
        await self.lived_until_review()
        return await self.asks()

    async def approved_but_unsent(self) -> None:
        async with referrals_at_work(self.life):
            await self.before_its_approver()
            await self.life.decide("r1")
            await self.life.settled("r1", among=frozenset({"approved"}))

    async def asks(self) -> RewardClaim:
        """The claim, once it waits for a person."""
        row = await self.life.settled("r1", among=frozenset({"awaiting_approval"}))
        async with self.life.database.transaction() as connection:
            return (await claims.current(connection, row.claim_id))[0]

    async def denied(self) -> str:
        """Why, once it is."""
        return str((await self.life.settled("r1", among=frozenset({"denied"}))).reason)

    async def inquiries(self, moment: str) -> list[tuple[str, str, str]]:
        """Each answer on record of those asked at that moment, with who was asked about what."""
        rows = await sql(
            self.life, "SELECT source, subject, answer FROM inquiry WHERE moment = :moment ORDER BY 1, 2", moment=moment
        )
        return [tuple(row) for row in rows]

    async def effects(self) -> set[str]:
        """What became of the decisions."""
        return {row.effect for row in await sql(self.life, "SELECT effect FROM decision_effect")}

    def event(self, type_: str, at: datetime, data: dict[str, Any]) -> Event:
        return self.life.event(type_, at, data)

    def refund(self, **amount: str) -> Event:
        return self.event("conversion.reversed", days_ago(30), REFUND | amount)

    def issue(self) -> Event:
        return self.event("customer.issue_opened", days_ago(30), ISSUE)

    def dispute(self) -> Event:
        return self.event("conversion.dispute_opened", days_ago(30), {"order": "o-r1"})


async def invited_and_claimed(life: Installation, *, sent: float, claimed: float) -> None:
    about = {"referrer": "dexter", "program": "acme-friends", "referral": "r1", "channel": "email"}
    await life.record("referral.sent", days_ago(sent), about | {"referee": BRIE})
    await life.record("referral.claimed", days_ago(claimed), {"referral": "r1", "referee": BRIE, "consent": True})


def result(claim: RewardClaim, code: CheckCode) -> Result:
    return next(check.result for check in claim.checks if check.code is code)


@pytest.fixture
async def outside(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Outside]:
    assert PROGRAM.read_text() != TERMS
    async with scene(database_url, temporal_env, TERMS) as life:
        yield Outside(life)


# At the end of the return period.


async def test_a_conversion_that_its_source_confirms_is_rewarded_and_was_asked_about_three_times(
    outside: Outside,
) -> None:
    async with outside.life.workers():
        claim = await outside.before_its_approver()
        assert claim.flag_names == ()
        assert result(claim, CheckCode.CONVERSION_CONFIRMED) is Result.PASSED
        await outside.life.decide("r1")
        await outside.life.settled("r1", among=frozenset({"rewarded"}))
        asking = await _through_the_server(outside.life)
    # A slow source must not hold up the worker's other runs.
    assert asking == {"assemble_claim": 1, "judge_referral": 1}
    assert await outside.life.money() == books("r1")
    both = [("crm", "c-r1", "confirmed"), ("shop", "o-r1", "confirmed")]
    assert await outside.inquiries("assembly") == both
    assert await outside.inquiries("approval") == both
    assert set(await outside.inquiries("payout")) == set(both)
    assert len(await outside.inquiries("payout")) >= 2 * len(both)


async def _through_the_server(life: Installation) -> Counter[str]:
    """The steps of the run that were not taken within its own worker."""
    return Counter(
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in (await life.handle("r1").fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    )


async def test_a_refund_that_only_the_source_knows_of_denies_and_becomes_a_fact(outside: Outside) -> None:
    outside.shop.tell(outside.refund())
    async with outside.life.workers():
        await outside.lived_until_review()
        assert await outside.denied() == "conversion_reversed"
    assert await sql(outside.life, "SELECT source, data->>'order' FROM fact WHERE type = 'conversion.reversed'") == [
        ("test", "o-r1")
    ]


async def test_a_partial_refund_that_only_the_source_knows_of_lowers_what_is_put_forward(outside: Outside) -> None:
    outside.shop.tell(outside.refund(amount="20.00"))
    async with outside.life.workers():
        claim = await outside.before_its_approver()
    assert claim.flag_names == (Flag.PARTIAL_REFUND,)
    assert {leg.role: leg.amount_minor for leg in claim.legs} == {"referrer": 2500, "referee": 600}


async def test_what_the_source_tells_in_vain_is_seen_where_its_answer_is(outside: Outside) -> None:
    outside.shop.tell(outside.event("conversion.reversed", days_ago(30), REFUND | {"amount": "20.00", "amuont": "1"}))
    async with outside.life.workers():
        claim = await outside.before_its_approver()
    told = "data.amuont is no field of conversion.reversed and changes nothing"
    confirmed = next(check for check in claim.checks if check.code is CheckCode.CONVERSION_CONFIRMED)
    assert (confirmed.result, told in confirmed.sentence) == (Result.PASSED, True)
    assert claim.flag_names == (Flag.PARTIAL_REFUND,)
    (row,) = await sql(outside.life, "SELECT sentence FROM inquiry WHERE source = 'shop'")
    assert told in row.sentence


async def test_a_dispute_that_only_the_source_knows_of_is_flagged(outside: Outside) -> None:
    outside.shop.tell(outside.dispute())
    async with outside.life.workers():
        claim = await outside.before_its_approver()
    assert claim.flag_names == (Flag.DISPUTE_OPEN,)


async def test_an_issue_that_only_the_crm_knows_of_is_flagged(outside: Outside) -> None:
    outside.crm.tell(outside.issue())
    async with outside.life.workers():
        claim = await outside.before_its_approver()
    assert claim.flag_names == (Flag.UNRESOLVED_ISSUE,)


async def test_an_order_that_its_source_does_not_know_is_a_conflict(outside: Outside) -> None:
    await outside.lived_until_review()
    outside.shop.forget()
    async with outside.life.workers():
        claim = await outside.asks()
    assert claim.flag_names == (Flag.EVIDENCE_CONFLICT,)
    assert result(claim, CheckCode.CONVERSION_CONFIRMED) is Result.FAILED
    assert await outside.inquiries("assembly") == [("crm", "c-r1", "confirmed"), ("shop", "o-r1", "contradicted")]


async def test_another_story_under_the_same_ids_is_a_conflict_and_changes_no_fact(outside: Outside) -> None:
    record = outside.event("conversion.recorded", days_ago(40), purchase("r1", "o-r1"))
    await invited_and_claimed(outside.life, sent=60, claimed=50)
    await outside.posted(record)
    outside.life.ids = iter([record.event_id.removeprefix("t")])
    outside.shop.tell(outside.event("conversion.recorded", days_ago(40), purchase("r1", "o-r1", "8000.00")))
    async with outside.life.workers():
        claim = await outside.asks()
    assert claim.flag_names == (Flag.EVIDENCE_CONFLICT,)
    assert result(claim, CheckCode.CONVERSION_CONFIRMED) is Result.FAILED
    assert await sql(outside.life, "SELECT data->>'amount' FROM fact WHERE type = 'conversion.recorded'") == [
        ("80.00",)
    ]


@pytest.mark.parametrize(
    ("away", "unchecked"),
    [("shop", {CheckCode.CONVERSION_CONFIRMED}), ("crm", {CheckCode.NO_OPEN_ISSUE, CheckCode.CONSENT_GIVEN})],
)
async def test_without_an_answer_the_check_could_not_run_and_a_person_may_do_without(
    outside: Outside, away: str, unchecked: set[CheckCode]
) -> None:
    source = {"shop": outside.shop, "crm": outside.crm}[away]
    source.down = True
    async with outside.life.workers():
        claim = await outside.before_its_approver()
        assert claim.flag_names == (Flag.CHECK_COULD_NOT_RUN,)
        assert {check.code for check in claim.checks if check.result is Result.COULD_NOT_RUN} == unchecked
        assert await outside.life.money() == {}
        await outside.life.decide("r1")
        await outside.life.settled("r1", among=frozenset({"rewarded"}))
    assert await outside.life.money() == books("r1")


async def test_a_source_that_is_not_connected_is_one_that_does_not_answer(outside: Outside) -> None:
    del outside.life.sources["shop"]
    async with outside.life.workers():
        claim = await outside.before_its_approver()
    assert claim.flag_names == (Flag.CHECK_COULD_NOT_RUN,)


class Broken:
    """A source that breaks its promise never to raise."""

    async def order(self, order: str, store: str | None = None) -> Told:
        raise OSError("r1@example.com")

    async def customer(self, customer: str) -> Told:
        raise OSError("r1@example.com")

    async def reachable(self) -> str | None:
        return None


async def test_a_source_that_raises_has_not_answered_and_what_it_raised_is_on_no_record(outside: Outside) -> None:
    outside.life.sources["shop"] = Broken()
    async with outside.life.workers():
        claim = await outside.before_its_approver()
    assert claim.flag_names == (Flag.CHECK_COULD_NOT_RUN,)
    assert await sql(outside.life, "SELECT sentence FROM inquiry WHERE source = 'shop'") == [
        ("Asking it broke (OSError).",)
    ]


async def test_a_source_that_tells_of_the_future_has_not_answered_and_nothing_of_it_is_taken(outside: Outside) -> None:
    outside.shop.tell(outside.refund(), outside.event("conversion.dispute_opened", days_ago(-1), {"order": "o-r1"}))
    async with outside.life.workers():
        claim = await outside.before_its_approver()
    assert claim.flag_names == (Flag.CHECK_COULD_NOT_RUN,)
    assert await sql(outside.life, "SELECT 1 FROM fact WHERE type LIKE 'conversion.%' OFFSET 1") == []


async def test_over_http_it_is_the_same(outside: Outside) -> None:
    """Asked by the worker's own means, and broken off in the middle of an answer before it gives a whole one."""
    answering = as_app(outside.shop, "secret")
    begun = 0

    async def at_first_half_an_answer(scope: Any, receive: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        if begun > 1:
            return await answering(scope, receive, send)
        length = [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b'{"facts": [', "more_body": True})
        raise ConnectionAbortedError

    async with served(at_first_half_an_answer) as url, connected({"shop": Endpoint(url, "secret")}) as sources:
        outside.life.sources["shop"] = sources["shop"]
        # What is served here may be slow, however short a worker waits for a shop.
        sources["shop"]._patience_seconds = LONG  # type: ignore[attr-defined]
        outside.shop.tell(outside.refund(amount="20.00"))
        async with outside.life.workers():
            claim = await outside.before_its_approver()
            assert claim.flag_names == (Flag.PARTIAL_REFUND,)
            await outside.life.decide("r1")
            await outside.life.settled("r1", among=frozenset({"rewarded"}))
    assert (await outside.life.money())["credit:c-r1"] == -600


# Between the claim and the approval.


async def test_an_approval_of_what_its_source_took_back_meanwhile_pays_nothing(outside: Outside) -> None:
    async with outside.life.workers():
        await outside.before_its_approver()
        outside.shop.tell(outside.refund())
        await outside.life.decide("r1")
        assert await outside.denied() == "conversion_reversed"
        await quiet(outside.life, "r1")
    assert await outside.life.money() == {}
    assert await payouts(outside.life, "r1") == {}


@pytest.mark.parametrize(
    ("news", "flag"),
    [("refund", Flag.PARTIAL_REFUND), ("dispute", Flag.DISPUTE_OPEN), ("issue", Flag.UNRESOLVED_ISSUE)],
)
async def test_an_approval_of_what_changed_at_its_source_is_void_and_asks_again(
    outside: Outside, news: str, flag: Flag
) -> None:
    async with outside.life.workers():
        before = await outside.before_its_approver()
        told = {"refund": outside.refund(amount="20.00"), "dispute": outside.dispute(), "issue": outside.issue()}[news]
        (outside.crm if news == "issue" else outside.shop).tell(told)
        await outside.life.decide("r1")
        await until(lambda: _was_void(outside))
        after = await outside.asks()
        await quiet(outside.life, "r1")
        assert (after.digest != before.digest, after.flag_names) == (True, (flag,))
        assert await outside.life.money() == {}
        assert await payouts(outside.life, "r1") == {}


async def _was_void(outside: Outside) -> bool:
    await outside.life.relay.deliver()
    return await outside.effects() == {"void"}


# Between the approval and the payment.


async def test_what_its_source_took_back_after_the_approval_is_not_paid(outside: Outside) -> None:
    await outside.approved_but_unsent()
    outside.shop.tell(outside.refund())
    async with outside.life.workers():
        assert await outside.denied() == "conversion_reversed"
        await _at_rest(outside)
    assert await outside.life.money() == {}


async def test_what_changed_at_its_source_after_the_approval_is_asked_again_and_not_paid(outside: Outside) -> None:
    await outside.approved_but_unsent()
    outside.crm.tell(outside.issue())
    async with outside.life.workers():
        claim = await outside.asks()
        assert claim.flag_names == (Flag.UNRESOLVED_ISSUE,)
        await _at_rest(outside)
    assert await outside.life.money() == {}
    assert "void" in await outside.effects()


async def test_a_referrer_who_is_suspended_after_the_approval_is_not_paid(outside: Outside) -> None:
    await outside.approved_but_unsent()
    await outside.life.record("referrer.suspended", days_ago(0), {"referrer": "dexter", "program": "acme-friends"})
    async with outside.life.workers():
        assert await outside.denied() == "referrer_suspended"
        await _at_rest(outside)
    assert await outside.life.money() == {}


async def _at_rest(outside: Outside) -> None:
    """Waits until no payout can move any more."""

    async def resting() -> bool:
        await outside.life.relay.deliver()
        states = [each.state for each in (await payouts(outside.life, "r1")).values()]
        return states == ["cancelled", "cancelled"]

    await until(resting)


async def test_while_a_source_is_silent_nothing_is_paid_and_when_it_is_back_everything(outside: Outside) -> None:
    await outside.approved_but_unsent()
    outside.shop.down = True
    async with outside.life.workers():
        await _both_asked(outside)
        assert (await quiet(outside.life, "r1")).status == "approved"
        assert await _credited(outside) == 0
        outside.shop.down = False
        for role in ("referrer", "referee"):
            await _pass_time(outside, role, timedelta(minutes=1))
        await outside.life.settled("r1", among=frozenset({"rewarded"}))
    assert await outside.life.money() == books("r1")
    assert len(await outside.inquiries("assembly")) == 2, "the claim was not put forward anew"


@pytest.mark.slow
@pytest.mark.chaos
async def test_after_an_hour_of_silence_people_are_asked_to_do_without(outside: Outside) -> None:
    await outside.approved_but_unsent()
    outside.shop.down = True
    async with outside.life.workers():
        await _both_asked(outside)
        await _pass_time(outside, "referrer", timedelta(minutes=58))
        assert (await quiet(outside.life, "r1")).status == "approved"
        assert await _credited(outside) == 0
        await _pass_time(outside, "referrer", timedelta(minutes=3))
        claim = await outside.asks()
        assert claim.flag_names == (Flag.CHECK_COULD_NOT_RUN,)
        await _at_rest(outside)
    assert await outside.life.money() == {}
    assert "void" in await outside.effects()


async def _credited(outside: Outside) -> int:
    """What was paid; what was approved and is owed stands in the books from the approval on."""
    return -sum(total for account, total in (await outside.life.money()).items() if account.startswith("credit:"))


async def _both_asked(outside: Outside) -> None:
    """Waits until both payouts have had no answer."""

    async def unanswered() -> bool:
        await outside.life.relay.deliver()
        asked = await outside.inquiries("payout")
        return asked.count(("shop", "o-r1", "unavailable")) == len(await payouts(outside.life, "r1"))

    await until(unanswered)


async def _pass_time(outside: Outside, role: str, duration: timedelta) -> None:
    """Lets that much of a payout's time go by."""
    payout = (await payouts(outside.life, "r1"))[role]
    handle = outside.life.environment.client.get_workflow_handle(payout_workflow_id(str(payout.id)))
    await outside.life.environment.fast_forward(handle, duration)


# The referee's own word.


async def _reported(outside: Outside) -> None:
    """The referee says that she bought; no source has told of it."""
    await invited_and_claimed(outside.life, sent=10, claimed=9)
    report = {"referral": "r1", "order": "o-r1", "by": "referee", "note": "call me, r1@example.com"}
    await outside.life.record("conversion.reported", days_ago(7), report)


async def test_a_reported_conversion_that_its_source_tells_of_counts_from_then_on(outside: Outside) -> None:
    outside.shop.tell(outside.event("conversion.recorded", days_ago(8), purchase("r1", "o-r1")))
    async with outside.life.workers():
        await _reported(outside)
        row = await outside.life.settled("r1", among=frozenset({"in_return_period"}))
    assert (row.order_id, row.net_minor) == ("o-r1", 8000)
    assert await outside.inquiries("report") == [("shop", "o-r1", "confirmed")]


async def test_a_reported_conversion_that_its_source_does_not_know_never_counts(outside: Outside) -> None:
    async with outside.life.workers():
        await _reported(outside)
        row = await quiet(outside.life, "r1")
        assert (row.status, row.order_id) == ("claimed", None)
        assert await outside.inquiries("report") == [("shop", "o-r1", "contradicted")]
        await outside.life.tell("satisfaction.rated", days_ago(6), referral="r1", by="referee", score=5)
        assert (await quiet(outside.life, "r1")).status == "claimed"
    assert len(await outside.inquiries("report")) == 1, "what was answered once is not asked again"


async def test_a_reported_conversion_is_asked_about_until_there_is_an_answer(outside: Outside) -> None:
    outside.shop.tell(outside.event("conversion.recorded", days_ago(8), purchase("r1", "o-r1")))
    outside.shop.down = True
    async with outside.life.workers():
        await _reported(outside)
        assert (await quiet(outside.life, "r1")).status == "claimed"
        outside.shop.down = False
        await outside.life.tell("satisfaction.rated", days_ago(6), referral="r1", by="referee", score=5)
        assert (await quiet(outside.life, "r1")).status == "in_return_period"
    assert sorted(await outside.inquiries("report")) == [
        ("shop", "o-r1", "confirmed"),
        ("shop", "o-r1", "unavailable"),
    ]


# What nobody may read in Temporal.


async def test_nothing_personal_that_a_source_tells_enters_a_history(outside: Outside) -> None:
    outside.crm.tell(outside.issue())
    outside.shop.tell(outside.refund(amount="20.00"))
    async with outside.life.workers():
        await outside.before_its_approver()
        await outside.life.decide("r1")
        await outside.life.settled("r1", among=frozenset({"rewarded"}))
        sent = [payout_workflow_id(str(each.id)) for each in (await payouts(outside.life, "r1")).values()]
        handles = [outside.life.handle("r1"), *map(outside.life.environment.client.get_workflow_handle, sent)]
        histories = [await handle.fetch_history() for handle in handles]
    assert len(histories) == 3
    written = b"".join(event.SerializeToString() for history in histories for event in history.events)
    assert b"referral-r1" in written
    for personal in (b"example.com", b"Cheese", b"c-r1", b"o-r1", b"80.00"):
        assert personal not in written, personal
    # As a number of its own: the same digits stand in many an id.
    assert re.search(rb"(?<![0-9a-f-])8000(?![0-9a-f-])", written) is None
