"""The referrals behind a figure of a program's report."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.measures.figures import Figure
from referral_rewards.register import programs
from referral_rewards.register.measures import past, sums
from referral_rewards.reporting.measures.program import Wanted, asked
from referral_rewards.reporting.shape import Shape


class BehindFigure(Shape):
    """A referral that adds to a figure: on which day first, to which part, how many and how much: minor units of the
    currency, or microseconds without one."""

    referral: str
    day: date
    part: str
    currency: str
    n: int
    amount: int


class BehindPage(Shape):
    """Referrals by id; ``next`` is the value of ``after`` for the next page, null at the end."""

    referrals: tuple[BehindFigure, ...]
    next: str | None


async def behind(
    connection: AsyncConnection, wanted: Wanted, figure: Figure, part: str | None, after: str, limit: int
) -> BehindPage:
    """Return the referrals behind a figure of a report, as of its moment.

    Raises:
        RequestInvalid: if there is no such program.
    """
    await programs.hold_known(connection, wanted.program)
    its = await asked(connection, wanted)
    if wanted.as_of is None:
        found = await sums.behind(connection, its, figure, part, after, limit)
    else:
        found = await past.behind_then(connection, its, wanted.as_of, figure, part, after, limit)
    rows = tuple(
        BehindFigure(referral=each.referral_id, **{name: getattr(each, name) for name in each._fields[1:]})
        for each in found
    )
    return BehindPage(referrals=rows, next=rows[-1].referral if len(rows) == limit else None)
