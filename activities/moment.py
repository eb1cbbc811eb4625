"""The moment as of which a step is taken: the workflow's clock, but not whatever somebody makes it out to be."""

from datetime import datetime

from temporalio import activity


def moment(asked: datetime) -> datetime:
    """``asked``, the clock of the workflow that asks, and never later than the server put the step on its queue.

    Whoever may use Temporal could have a workflow of their own ask for one of our steps as of a moment they like: to
    end a period before its time, or to date a payment into another year. A local activity is asked for by ours alone.
    """
    if not activity.in_activity() or activity.info().is_local:
        return asked
    return min(asked, activity.info().scheduled_time)
