"""One month of a program, to hand over: what is on the page beside the figures and the charts of its report."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, NamedTuple, Self

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.measures.figures import Figure
from referral_rewards.domain.measures.measures import Days
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.measures import ranking
from referral_rewards.register.measures.ranking import Brought, Flagged

#: Of the referrers, and of the partners.
LISTED_MAX: Final = 10
_YEARS: Final = range(1970, 3000)


class Month(NamedTuple):
    """A calendar month."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the month that somebody wrote as ``2026-07``.

        Raises:
            RequestInvalid: if it is none.
        """
        year, dash, month = text.partition("-")
        written = len(text) == len("2026-07") and text.isascii() and year.isdecimal() and month.isdecimal() and dash
        if not written or int(year) not in _YEARS or not 1 <= int(month) <= 12:
            raise RequestInvalid(f"{text!r} is no month such as 2026-07", "month")
        return cls(int(year), int(month))

    @classmethod
    def of(cls, day: date) -> Self:
        """Return the month in which a day is."""
        return cls(day.year, day.month)

    @property
    def days(self) -> Days:
        first = date(self.year, self.month, 1)
        return Days(first, (first + timedelta(days=31)).replace(day=1))

    @property
    def before(self) -> Self:
        return self.of(date(self.year, self.month, 1) - timedelta(days=1))

    @property
    def after(self) -> Self:
        return self.of(date(self.year, self.month, 1) + timedelta(days=31))

    @property
    def in_words(self) -> str:
        """``July 2026``."""
        return f"{date(self.year, self.month, 1):%B %Y}"

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


@dataclass(frozen=True, slots=True)
class FlagEnded:
    """A flag, how many claims first had it in the month, and how many of these stand where now."""

    flag: str
    claims: int
    now: Mapping[ReferralStatus, int]


@dataclass(frozen=True, slots=True)
class Leader:
    """A referrer or partner: the referrals rewarded in the month, and by currency in minor units the net revenue of
    these and what was settled in the month less what was taken back of it."""

    name: str
    rewarded: int
    revenue: Mapping[str, int] = field(default_factory=dict)
    cost: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Behind:
    """The exceptions of a month and how they ended, and who brought most."""

    exceptions: Sequence[FlagEnded]
    referrers: Sequence[Leader]
    partners: Sequence[Leader]


async def behind(connection: AsyncConnection, program: str, month: Month) -> Behind:
    """Return who and what stands behind the figures of a month."""
    days = month.days
    return Behind(
        _exceptions(await ranking.flagged(connection, program, days)),
        _leaders(await ranking.referrers(connection, program, days, LISTED_MAX)),
        _leaders(await ranking.partners(connection, program, days, LISTED_MAX)),
    )


def _exceptions(found: Iterable[Flagged]) -> list[FlagEnded]:
    by_flag: defaultdict[str, dict[ReferralStatus, int]] = defaultdict(dict)
    for each in found:
        by_flag[each.flag][each.status] = each.claims
    ended = [FlagEnded(flag, sum(now.values()), now) for flag, now in by_flag.items()]
    return sorted(ended, key=lambda each: (-each.claims, each.flag))


def _leaders(found: Iterable[Brought]) -> list[Leader]:
    leaders: dict[str, Leader] = {}
    revenue: defaultdict[str, dict[str, int]] = defaultdict(dict)
    cost: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for each in found:
        leaders[each.name] = Leader(each.name, each.rewarded, revenue[each.name], cost[each.name])
        if each.figure is Figure.REWARDED and each.currency:
            revenue[each.name][each.currency] = each.amount
        elif each.figure in (Figure.SETTLED, Figure.TAKEN_BACK):
            cost[each.name][each.currency] += each.amount if each.figure is Figure.SETTLED else -each.amount
    return list(leaders.values())
