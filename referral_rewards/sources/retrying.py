"""One request to a vendor, tried again where a moment may help: a judgement waits for it, so not for long."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, ParamSpec, TypeVar

from referral_rewards.sources.asking import PAUSES
from referral_rewards.vendor_apis.port import NotTold, Trouble

_T = TypeVar("_T")
_P = ParamSpec("_P")
#: A vendor that asks for a longer pause counts as one that does not answer.
_PAUSE_MAX: Final = timedelta(seconds=2)


async def patiently(ask: Callable[_P, Awaitable[_T]], *asked: _P.args, **named: _P.kwargs) -> _T:
    """Return what is answered, after two more tries at most.

    Raises:
        NotTold: if a retry cannot help, or after the last try.
    """
    for pause in (*PAUSES, None):
        try:
            return await ask(*asked, **named)
        except NotTold as error:
            if pause is None or not _may_pass(error):
                raise
            await asyncio.sleep(max(pause, error.after.total_seconds() if error.after else 0.0))
    raise AssertionError("the last try returns or raises")


def _may_pass(error: NotTold) -> bool:
    if error.trouble not in (Trouble.SILENT, Trouble.LIMITED):
        return False
    return error.after is None or error.after <= _PAUSE_MAX
