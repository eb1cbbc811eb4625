"""How the sentences of `referral.py` are carried out: activities, retries, timers and what the Web UI shows."""

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributeUpdate

from activities.messages import JudgeRequest

with workflow.unsafe.imports_passed_through():
    from activities.claims import Claims, Records
    from referral_rewards import search_attributes
    from referral_rewards.domain import money
    from referral_rewards.domain.referrals.lifecycle import ReferralStatus
    from referral_rewards.domain.referrals.standing import Standing
    from referral_rewards.workflow_ids import is_anothers, workflow_id

#: What the search attributes were last set to.
Shown = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A timer that is running: when it rings, and the task that ends with it."""

    at: datetime
    rings: "asyncio.Task[None]"


@dataclass(slots=True)
class Journey:
    """What a run remembers of its referral; all of it is read from the register again whenever there is news."""

    referral: str
    standing: Standing | None = None
    judged_at: datetime | None = None
    news: bool = False
    alarm: Alarm | None = None
    shown: Shown = field(default_factory=dict)


#: Postgres may be away for as long as it likes: nothing is lost and nothing is decided meanwhile.
_UNTIL_IT_WORKS: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
)
#: Waits longer than this get a few seconds of their own, so that a midnight's deadlines do not all fall due at once.
_JITTERED_FROM: Final = timedelta(hours=12)
_JITTER_SECONDS: Final = 30

_WAITS_FOR: Final[Mapping[ReferralStatus, str]] = {
    ReferralStatus.INVITED: "the referee to claim the offer",
    ReferralStatus.PURCHASED_UNCLAIMED: "the referee, who has bought, to claim the offer",
    ReferralStatus.CLAIMED: "a qualifying conversion",
    ReferralStatus.IN_RETURN_PERIOD: "the return period to end",
    ReferralStatus.IN_REVIEW: "the reward claim to be assembled",
    ReferralStatus.AWAITING_APPROVAL: "a person to decide",
    ReferralStatus.ON_HOLD: "a person to release it",
    ReferralStatus.APPROVED: "the payouts to be sent",
    ReferralStatus.PAYING: "the payouts to settle",
    ReferralStatus.REWARDED: "the watch for refunds to end",
    ReferralStatus.CLAWED_BACK: "the watch for refunds to end",
}


def bears_the_id_of_another(journey: Journey) -> bool:
    """Whether somebody started this run under an id by which another one is woken."""
    return is_anothers(workflow.info().workflow_id, workflow_id(journey.referral))


async def judge(journey: Journey) -> None:
    """Reads the register and learns where the referral stands now."""
    journey.news = False
    _take(
        journey,
        await workflow.execute_local_activity_method(
            Records.judge_referral,
            JudgeRequest(referral=journey.referral, now=workflow.now()),
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=_UNTIL_IT_WORKS,
            summary="Judge all facts and decisions",
        ),
    )


async def assemble_claim(journey: Journey) -> None:
    """Has the conversion confirmed at its source and the reward claim prepared."""
    journey.news = False
    _take(
        journey,
        await workflow.execute_activity_method(
            Claims.assemble_claim,
            JudgeRequest(referral=journey.referral, now=workflow.now()),
            start_to_close_timeout=timedelta(seconds=45),
            retry_policy=_UNTIL_IT_WORKS,
            summary="Re-validate the conversion and assemble the reward claim",
        ),
    )


async def wait_for_news_or_the_deadline(journey: Journey) -> None:
    """Waits for a signal, or until the verdict can change by itself; then judges again."""
    await deadline_comes_first(journey)
    await judge(journey)


async def deadline_comes_first(journey: Journey) -> bool:
    """Waits for a signal or the moment at which the verdict can change by itself; whether it was the latter.

    A timer that is already running for an earlier time is left to ring: waking once in vain costs a workflow less
    history than cancelling and starting anew.
    """
    while not journey.news and not _due(journey):
        alarm = journey.alarm = _alarm(journey)
        await workflow.wait_condition(partial(_woken, journey, alarm))
        if alarm is not None and alarm.rings.done():
            journey.alarm = None
    if workflow.info().is_continue_as_new_suggested():
        workflow.continue_as_new(journey.referral)
    return not journey.news


def stands(journey: Journey, *statuses: ReferralStatus) -> bool:
    """Whether the referral stands at one of these and is not closed."""
    return not closed(journey) and journey.standing is not None and journey.standing.status in statuses


def return_period_is_over(journey: Journey) -> bool:
    """Whether nothing but the clock leads on from the return period; assembling judges again by itself."""
    return stands(journey, ReferralStatus.IN_RETURN_PERIOD) and not journey.news and _due(journey)


def closed(journey: Journey) -> bool:
    return journey.standing is not None and journey.standing.closed


def outcome(journey: Journey) -> str:
    """The result that the Web UI shows of a finished run."""
    assert journey.standing is not None
    return _headline(journey.standing)


def _take(journey: Journey, standing: Standing) -> None:
    journey.standing, journey.judged_at = standing, workflow.now()
    workflow.set_current_details(_details(standing))
    wanted: dict[SearchAttributeKey[Any], Any] = {
        search_attributes.STATUS: standing.status.value,
        search_attributes.PROGRAM: standing.program,
        search_attributes.ROUTE: list(standing.routes) or None,
        search_attributes.FLAGS: list(standing.flags) or None,
        search_attributes.DEADLINE: standing.deadline,
        search_attributes.REWARD_MINOR: standing.reward_minor,
    }
    known = journey.shown or _initially_shown()
    updates: list[SearchAttributeUpdate[Any]] = [
        key.value_unset() if value is None else key.value_set(value)
        for key, value in wanted.items()
        if known.get(key.name) != value
    ]
    journey.shown = {key.name: value for key, value in wanted.items()}
    if updates:
        workflow.upsert_search_attributes(updates)


def _initially_shown() -> dict[str, Any]:
    """What the start itself, or the run before this one, has set."""
    return {pair.key.name: pair.value for pair in workflow.info().typed_search_attributes}


def _wake_at(journey: Journey) -> datetime | None:
    if journey.standing is None or journey.standing.wake_at is None:
        return None
    wake_at = journey.standing.wake_at
    if journey.judged_at is not None and wake_at - journey.judged_at > _JITTERED_FROM:
        wake_at += timedelta(seconds=zlib.crc32(journey.referral.encode()) % _JITTER_SECONDS)
    return wake_at


def _due(journey: Journey) -> bool:
    wake_at = _wake_at(journey)
    return wake_at is not None and wake_at <= workflow.now()


def _woken(journey: Journey, alarm: Alarm | None) -> bool:
    return journey.news or (alarm is not None and alarm.rings.done())


def _alarm(journey: Journey) -> Alarm | None:
    """The timer to wait for: one that rings no later than the verdict can change."""
    wake_at, running = _wake_at(journey), journey.alarm
    if wake_at is None:
        return running
    if running is not None:
        if running.at <= wake_at:
            return running
        running.rings.cancel()
    # Said of the time of setting: the timer may still run when what is waited for has come.
    summary = f"Set while it waits for {_WAITS_FOR[journey.standing.status]}" if journey.standing else None
    return Alarm(wake_at, asyncio.create_task(workflow.sleep(wake_at - workflow.now(), summary=summary)))


def _headline(standing: Standing) -> str:
    return f"{standing.status}: {standing.reason}" if standing.reason else str(standing.status)


def _details(standing: Standing) -> str:
    """Where the referral stands, in Markdown, for an engineer who looks at its run."""
    lines = [f"**{_headline(standing)}** in program {standing.program}"]
    if not standing.closed and standing.status in _WAITS_FOR:
        lines.append(f"Waits for {_WAITS_FOR[standing.status]}.")
    if standing.deadline:
        lines.append(f"Deadline {standing.deadline:%Y-%m-%d %H:%M:%S} UTC.")
    if standing.reward_minor is not None:
        lines.append(f"Reward {money.display(standing.reward_minor, standing.currency)}.")
    if standing.routes:
        lines.append(f"Approval by {' and '.join(standing.routes)}.")
    if standing.flags:
        lines.append(f"Flags: {', '.join(standing.flags)}.")
    return "\n\n".join(lines)
