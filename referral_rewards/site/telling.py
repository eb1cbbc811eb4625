"""Tells the API what happened at the front door, until it has acknowledged it; and forgets what nobody needs."""

from datetime import timedelta
from typing import Final

import structlog

from referral_rewards.site import rows
from referral_rewards.site.parts import Parts
from referral_rewards.site.pausing import step_by_step
from referral_rewards.site.product import Answer, Silent
from referral_rewards.site.rows import Told
from referral_rewards.site.rules.limits import pause_after

_log = structlog.get_logger("site")
_AT_ONCE: Final = 50
#: What the API refuses is for the company to mend: a right that the token lacks, say.
_REFUSED_AGAIN_AFTER: Final = timedelta(minutes=15)


async def run(parts: Parts) -> None:
    """Tell facts until cancelled."""
    await step_by_step(parts, "telling", step)


async def step(parts: Parts) -> bool:
    """Tell what is due; return whether there may be more."""
    now = parts.clock()
    await parts.store.write(rows.forget, now, parts.settings.keep_days)
    due = await parts.store.read(rows.due_facts, now, _AT_ONCE)
    for each in due:
        await _tell(parts, each)
    if due:
        await parts.store.overwrite()
    return len(due) == _AT_ONCE


async def _tell(parts: Parts, told: Told) -> None:
    """Tell one fact. A conflict means that another one was told under its id before: it stays told as it was."""
    try:
        answer, places = await parts.product.tell(told.fact)
    except Silent as silent:
        await _again(parts, told, pause_after(told.tries + 1), f"silent {silent}")
        return
    if answer is Answer.REFUSED:
        await _again(parts, told, _REFUSED_AGAIN_AFTER, f"refused {places}")
        return
    if answer is Answer.CONFLICT:
        _log.error("fact_conflicts", fact_type=told.fact["type"], fact=told.id)
    await parts.store.write(rows.acknowledged, told.id)


async def _again(parts: Parts, told: Told, pause: timedelta, trouble: str) -> None:
    _log.warning("fact_not_told", fact_type=told.fact["type"], fact=told.id, trouble=trouble, tries=told.tries + 1)
    await parts.store.write(rows.keep, told.id, parts.clock() + pause, trouble)
