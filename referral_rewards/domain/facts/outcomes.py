"""What intake did with each of the facts that it was told, in their order (SPEC §3)."""

from collections.abc import Iterable, Iterator, Sequence, Set
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from referral_rewards.domain.facts.events import Event


class Outcome(StrEnum):
    """What became of one fact. After all but the last two it is stored."""

    RECORDED = "recorded"
    PARKED = "parked"  # recorded; it waits until its program is published
    REPEATED = "repeated"  # recorded before; nothing changed
    CONFLICT = "conflict"  # its source and id were recorded before with another payload
    REFUSED = "refused"  # it is no fact; intake never comes to record it


def outcomes(events: Sequence[Event], fresh: Set[str], refuted: Set[int], unpublished: Set[str]) -> tuple[Outcome, ...]:
    """Return what became of each event.

    Args:
        fresh: ids of the facts that were stored now; the first event of such an id is the one that was.
        refuted: places of the events that contradict what is on record, or an earlier event.
        unpublished: programs that nobody has published.
    """
    stored: set[str] = set()
    each = enumerate(events)
    return tuple([_outcome(event, event.id in fresh, place in refuted, unpublished, stored) for place, event in each])


def _outcome(event: Event, fresh: bool, refuted: bool, unpublished: Set[str], stored: set[str]) -> Outcome:
    if refuted:
        return Outcome.CONFLICT
    if not fresh or event.id in stored:
        return Outcome.REPEATED
    stored.add(event.id)
    return Outcome.PARKED if event.public.get("program") in unpublished else Outcome.RECORDED


class LineRun(NamedTuple):
    """Lines of a file, from ``first`` to ``last``, of which one thing became; empty ones between them count too."""

    first: int
    last: int
    outcome: Outcome


def line_runs(outcomes: Iterable[tuple[int, Outcome]]) -> Iterator[LineRun]:
    """Yield the runs of lines with one outcome, from the lines' numbers and outcomes in any order."""
    for outcome, run in groupby(sorted(outcomes), key=itemgetter(1)):
        numbers = [number for number, _ in run]
        yield LineRun(numbers[0], numbers[-1], outcome)
