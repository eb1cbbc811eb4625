"""When the marks of an erased person go: once the retention of each of their referrals is over (SPEC §11). Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

#: The shortest retention, in days: a referral can be appealed and a payment disputed for months.
DAYS_MIN: Final = 30
#: The longest one: what is dated so far ahead no calendar can hold.
DAYS_MAX: Final = 36_500


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days after its end the marks of a referral stay: of one that paid a reward, and of another."""

    paid_days: int
    unpaid_days: int

    def days(self, *, paid: bool) -> int:
        """The days that hold for a referral."""
        return self.paid_days if paid else self.unpaid_days


@dataclass(frozen=True, slots=True)
class Life:
    """A referral of an erased person, on either side.

    ``ended_at`` is when it closed, or when the watch of its reward ended; None while it is open. ``paid``: a reward of
    it was ever paid, even if it was taken back. ``before_person``: something of it waits for a decision, as an appeal.
    """

    referral: str
    ended_at: datetime | None
    paid: bool
    before_person: bool = False


@dataclass(frozen=True, slots=True)
class Erased:
    """An erased person. ``open`` are other things of theirs that are open, in words (`erasing.waits_for`).

    ``told_again``: the text of a fact that a mark links to them is not erased. A source told it after the erasing, or
    it is of somebody who shares an address with them.
    """

    at: datetime
    lives: Sequence[Life] = ()
    open: Sequence[str] = ()
    told_again: bool = False


class Stays(StrEnum):
    """Why the marks stay."""

    OPEN = "open"
    TOLD_AGAIN = "told_again"
    RETAINED = "retained"


@dataclass(frozen=True, slots=True)
class Marks:
    """What becomes of the marks: they stay for a reason, or go (None). ``due_at`` is when they go if nothing happens
    until then; None while nobody can say. ``of`` says in words what they wait for."""

    stays: Stays | None
    due_at: datetime | None = None
    of: str | None = None


def judge(person: Erased, retention: Retention, now: datetime) -> Marks:
    """Return what becomes of the marks of an erased person.

    The latest end counts, each by its own retention: a mark is of the person and not of one referral. Who has no
    referral is kept as long as one that paid nothing and ended with the erasing.
    """
    waits = (*_open(person.lives), *person.open)
    if waits:
        return Marks(Stays.OPEN, of=waits[0])
    if person.told_again:
        return Marks(Stays.TOLD_AGAIN, of="a fact with the same address or number is not erased: erase them once more")
    due_at, of = max(_ends(person, retention))
    return Marks(None if due_at <= now else Stays.RETAINED, due_at, of)


def _open(lives: Iterable[Life]) -> Iterable[str]:
    for life in lives:
        if life.ended_at is None:
            yield f"referral {life.referral} is open"
        elif life.before_person:
            yield f"referral {life.referral} waits for a person"


def _ends(person: Erased, retention: Retention) -> Iterable[tuple[datetime, str]]:
    for life in person.lives:
        assert life.ended_at is not None
        yield life.ended_at + timedelta(days=retention.days(paid=life.paid)), f"referral {life.referral}"
    if not person.lives:
        yield person.at + timedelta(days=retention.days(paid=False)), "the erasing"
