"""The life of a program: whether it has ended, when it is paused, and its budget (SPEC §10).

A program is paused, resumed and ended by signed acts. Of two acts that hold at the same time the later decision counts.
An act never holds before its decision, so what was judged before it stays right.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from referral_rewards.domain.programs.terms import Terms, in_force


@dataclass(frozen=True, slots=True)
class Turn:
    """A pause, or a resumption, that holds from ``at`` on until a later decision holds."""

    at: datetime
    paused: bool


@dataclass(frozen=True, slots=True)
class Added:
    """An amount that was added to the budget, in minor units of its currency."""

    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Life:
    """What the signed acts on a program say. ``turns`` and ``added`` are in the order in which they were decided.

    Without an act a program runs, and has the budget of its terms.
    """

    ended_at: datetime | None = None
    turns: tuple[Turn, ...] = ()
    added: tuple[Added, ...] = ()

    def has_ended(self, moment: datetime) -> bool:
        """Whether a referral that begins at that moment comes too late: at the end is too late."""
        return self.ended_at is not None and self.ended_at <= moment

    def is_paused(self, moment: datetime) -> bool:
        """Whether nothing is approved and nothing is sent for the first time at that moment."""
        holding = [turn for turn in self.turns if turn.at <= moment]
        return bool(holding) and holding[-1].paused

    def next_turn(self, moment: datetime) -> datetime | None:
        """Return when, after that moment, it is next paused or resumed; None if it stays as it is."""
        later = sorted(turn.at for turn in self.turns if turn.at > moment)
        return next((at for at in later if self.is_paused(at) is not self.is_paused(moment)), None)

    def next_change(self, moment: datetime) -> datetime | None:
        """Return when, after that moment, it next ends, is paused or is resumed; None if nothing is to come."""
        ends = self.ended_at if self.ended_at is not None and self.ended_at > moment else None
        return min((at for at in (ends, self.next_turn(moment)) if at is not None), default=None)

    def last_claim(self, terms: Terms) -> datetime | None:
        """Return when the last invitation of an ended program stops being claimable: the longest expiry after its end.

        None if the program has no end.
        """
        if self.ended_at is None:
            return None
        expiries = terms.periods.expiry.values()
        return max((terms.end(self.ended_at, each) for each in expiries), default=self.ended_at)

    def budget_minor(self, newest: Terms) -> int | None:
        """Return the budget in minor units: the figure of the terms and all additions in their currency.

        None if the terms have no budget.
        """
        if newest.limits.budget is None:
            return None
        additions = sum(each.amount_minor for each in self.added if each.currency == newest.currency)
        return newest.minor(newest.limits.budget) + additions


#: The life of a program on which nobody decided anything.
RUNNING: Final = Life()


def newest(versions: Iterable[tuple[int, Terms]], now: datetime) -> Terms | None:
    """Return the version whose budget counts now: the latest in force; None if there is none."""
    bound = in_force(versions, now)
    return None if bound is None else bound[1]


def paused_words(program: str, life: Life, now: datetime) -> str | None:
    """Return in a sentence that the program is paused now, and until when; None if it is not."""
    if not life.is_paused(now):
        return None
    until = life.next_turn(now)
    ends = "until somebody resumes it" if until is None else f"until {_instant(until)}"
    return f"program {program} is paused {ends}; nothing is approved and nothing new is sent meanwhile"


def program_id(program: str) -> UUID:
    """Return the id that decisions on a program sign. PostgreSQL finds it as ``CAST(md5('program:' || …) AS uuid)``."""
    return named_id("program", program)


def named_id(kind: str, name: str) -> UUID:
    """Return the id of what is known by its name alone."""
    return UUID(hashlib.md5(f"{kind}:{name}".encode(), usedforsecurity=False).hexdigest())


def state_words(life: Life, now: datetime) -> str:
    """Return in words whether a program runs now, is paused or has ended, and what is to come."""
    said = "paused" if life.is_paused(now) else "running"
    if life.ended_at is not None and life.has_ended(now):
        over = f"ended {_instant(life.ended_at)}"
        said = f"{over}, paused" if life.is_paused(now) else over
    elif life.ended_at is not None:
        said += f", ends {_instant(life.ended_at)}"
    if (turns_at := life.next_turn(now)) is not None:
        said += f", {'resumes' if life.is_paused(now) else 'pauses'} {_instant(turns_at)}"
    return said


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def stopped_words(life: Life, now: datetime) -> str | None:
    """Return in a sentence why a program does not take or pay referrals now; None if it runs."""
    if life.ended_at is not None and life.has_ended(now):
        return f"The program ended {_instant(life.ended_at)}; it takes no new referrals."
    return "The program is paused; resume it first." if life.is_paused(now) else None
