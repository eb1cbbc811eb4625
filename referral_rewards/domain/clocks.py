"""Whether the clock of a process may be believed: it agrees with the database's, which all processes share."""

from datetime import datetime, timedelta
from typing import Final

from referral_rewards.domain.errors import ClocksApart
from referral_rewards.domain.instants import lasted

#: Two processes are at most twice this apart: less than the five minutes by which an audit lets their dates differ.
APART_MAX: Final = timedelta(minutes=2)


def need_the_same(ours: datetime, databases: datetime) -> None:
    """Return if both clocks say nearly the same.

    Raises:
        ClocksApart: telling by how much our clock is ahead or behind.
    """
    ahead = ours - databases
    if abs(ahead) > APART_MAX:
        by = lasted(abs(ahead).total_seconds())
        raise ClocksApart(
            f"the clock of this process is {by} {'ahead of' if ahead > timedelta() else 'behind'} the database's;"
            " what it records would bear a wrong time: set the clocks of both machines by one time server"
        )
