"""The moment as of which a step is taken: the workflow's clock, but not whatever somebody makes it out to be."""

from datetime import datetime, timedelta
from typing import Final

from temporalio import activity

#: A workflow's clock stands still for as long as one of its tasks takes, of which the server allows ten seconds.
_TASK: Final = timedelta(minutes=1)


def moment(asked: datetime) -> datetime:
    """``asked``, the clock of the workflow that asks, if the server put the step on its queue then; else when it did.

    Whoever may use Temporal could have a workflow of their own ask for one of our steps as of a moment they like: to
    end a period before its time, or to date a payment into another year. A local activity is asked for by ours alone.
    """
    if not activity.in_activity() or activity.info().is_local:
        return asked
    queued_at = activity.info().scheduled_time
    return asked if queued_at - _TASK <= asked <= queued_at else queued_at
