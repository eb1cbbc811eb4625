"""The steps that `referral.py` is written in: activities, retries, timers and what the Web UI shows."""

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
from workflows.turns import Turn

with workflow.unsafe.imports_passed_through():
    from activities.referrals import Referrals
    from referral_rewards import search_attributes
    from referral_rewards.domain import money
    from referral_rewards.domain.referrals.course import Standing
    from referral_rewards.domain.referrals.lifecycle import ReferralStatus
    from referral_rewards.workflow_ids import is_anothers, workflow_id

#: What the search attributes were last set to.
Shown = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A running timer: when it fires, and the task that ends when it does."""

    at: datetime
    rings: "asyncio.Task[None]"


@dataclass(slots=True)
class Journey:
    """The state of a run. Whenever there is news, the run reads it from the register again."""

    referral: str
    standing: Standing | None = None
    judged_at: datetime | None = None
    news: bool = False
    alarm: Alarm | None = None
    shown: Shown = field(default_factory=dict)


#: Retries without limit while Postgres is down: nothing is lost and nothing is decided meanwhile.
_UNTIL_IT_WORKS: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
)
_JUDGE: Final = Turn(
    Referrals.judge_referral,
    summary="Judge all facts and decisions",
    patience=timedelta(seconds=30),
    retries=_UNTIL_IT_WORKS,
)
_ASSEMBLE: Final = Turn(
    Referrals.assemble_claim,
    summary="Re-validate the conversion and assemble the reward claim",
    patience=timedelta(seconds=45),
    retries=_UNTIL_IT_WORKS,
)
#: The last waits, in which news is rare: a timer that fires for nothing would only cost a workflow task.
_LAST_WAITS: Final = frozenset({ReferralStatus.REWARDED, ReferralStatus.CLAWED_BACK})
#: A wait is lengthened by up to one part in so many, and two minutes at most, so that deadlines at one midnight do not
#: all fall due in one second. Who waits for minutes is not made to wait longer.
_JITTER_PART: Final = 720
_JITTER_MAX: Final = timedelta(minutes=2)

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
    """Whether this run was started under the id of another workflow, and so would receive its signals."""
    return is_anothers(workflow.info().workflow_id, workflow_id(journey.referral))


async def judge(journey: Journey) -> None:
    """Judge the referral from the register and take over its standing."""
    journey.news = False
    _take(journey, await _JUDGE.take(_request(journey)))


async def assemble_claim(journey: Journey) -> None:
    """Have the conversion re-validated at its source and the reward claim assembled."""
    journey.news = False
    # Through the server: a source may take long to answer, and would hold up every other run of this worker.
    _take(journey, await _ASSEMBLE.take_at(None, _request(journey)))


async def wait_for_news_or_the_deadline(journey: Journey) -> None:
    """Wait for a signal or until the verdict can change by itself, then judge again."""
    await deadline_comes_first(journey)
    await judge(journey)


async def deadline_comes_first(journey: Journey) -> bool:
    """Wait for a signal or for the time at which the verdict can change by itself; return True if it was the latter.

    A running timer for an earlier time is kept, except for the last wait: mostly the next step comes before it fires,
    and needs an earlier timer anyway.
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
    """Whether the referral has one of these statuses and is not closed."""
    return not closed(journey) and journey.standing is not None and journey.standing.status in statuses


def return_period_is_over(journey: Journey) -> bool:
    """Whether the return period has ended by the clock, without news. No judging is needed: assembling judges again."""
    return stands(journey, ReferralStatus.IN_RETURN_PERIOD) and not journey.news and _due(journey)


def closed(journey: Journey) -> bool:
    return journey.standing is not None and journey.standing.closed


def outcome(journey: Journey) -> str:
    """The result that the Web UI shows of a finished run."""
    assert journey.standing is not None
    return _headline(journey.standing)


def _request(journey: Journey) -> JudgeRequest:
    return JudgeRequest(referral=journey.referral, now=workflow.now())


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
    """The search attributes set at the start or by the run before this one."""
    return {pair.key.name: pair.value for pair in workflow.info().typed_search_attributes}


def _wake_at(journey: Journey) -> datetime | None:
    if journey.standing is None or journey.standing.wake_at is None:
        return None
    wake_at = journey.standing.wake_at
    if journey.judged_at is not None and wake_at > journey.judged_at:
        most = min((wake_at - journey.judged_at) / _JITTER_PART, _JITTER_MAX)
        wake_at += timedelta(seconds=zlib.crc32(journey.referral.encode()) % (int(most.total_seconds()) + 1))
    return wake_at


def _due(journey: Journey) -> bool:
    wake_at = _wake_at(journey)
    return wake_at is not None and wake_at <= workflow.now()


def _woken(journey: Journey, alarm: Alarm | None) -> bool:
    return journey.news or (alarm is not None and alarm.rings.done())


def _alarm(journey: Journey) -> Alarm | None:
    """The timer to wait for. It fires no later than the verdict can change by itself."""
    wake_at, running = _wake_at(journey), journey.alarm
    if wake_at is None:
        return running
    if running is not None:
        if running.at == wake_at or (running.at < wake_at and not stands(journey, *_LAST_WAITS)):
            return running
        running.rings.cancel()
    # Worded as of now: the timer may still run after the awaited event has come.
    summary = f"Set while it waits for {_WAITS_FOR[journey.standing.status]}" if journey.standing else None
    return Alarm(wake_at, asyncio.create_task(workflow.sleep(wake_at - workflow.now(), summary=summary)))


def _headline(standing: Standing) -> str:
    return f"{standing.status}: {standing.reason}" if standing.reason else str(standing.status)


def _details(standing: Standing) -> str:
    """The referral's standing in Markdown, for an engineer who looks at the run."""
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
