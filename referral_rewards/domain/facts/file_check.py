"""A look at the lines of a file of facts, each by itself: what can be taken in, and what can't and why."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import BinaryIO, Final

from referral_rewards.domain.facts.csv_rows import csv_rows
from referral_rewards.domain.facts.events import Event, too_far_ahead
from referral_rewards.domain.facts.file_forms import FileForm
from referral_rewards.domain.facts.json_array import json_array
from referral_rewards.domain.facts.jsonl import Line, json_lines
from referral_rewards.domain.facts.rights import EVERYTHING, Rights

#: How each form is read.
READERS: Final[Mapping[FileForm, Callable[[BinaryIO], Iterator[Line]]]] = {
    FileForm.LINES: json_lines,
    FileForm.ARRAY: json_array,
    FileForm.CSV: csv_rows,
}


def told_apart(
    lines: Iterable[Line], now: datetime, may: Rights = EVERYTHING
) -> tuple[list[tuple[int, Event]], list[Line]]:
    """The facts that can be taken at that moment, of somebody who ``may`` tell these, with their lines' numbers, and
    the lines that can't."""
    taken, refused = [], []
    for line in lines:
        if line.event is None:
            refused.append(line)
        elif (wrong := too_far_ahead(line.event, now) or may.objection(line.event.source, line.event.type)) is not None:
            refused.append(Line(line.number, None, (wrong,)))
        else:
            taken.append((line.number, line.event))
    return taken, refused
