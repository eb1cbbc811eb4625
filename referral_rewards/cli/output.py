"""How lists leave the command line, and where a command writes a file that may be long.

A list is a table on a terminal, tab-separated text where it is piped, CSV or JSON where that is asked for. A command
hands over its columns and its records; everything else is here.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TextIO

import typer

from referral_rewards.cli.layout import bold, laid_out, one_line, terminal_width
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.labels.vocabularies import label

Output = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write there, not to standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV for spreadsheets, with every column.")]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="Show the first N at most.")]

#: As many as the API hands out at once.
PAGE: Final = 500
#: What a spreadsheet takes for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Column(NamedTuple):
    """A column of a list: its heading, and a record's cell in it; None is an empty one.

    On a narrow terminal those with the highest ``spare`` are left out first; those with 0 always stay. Where the cell
    is a code of a ``vocabulary``, or has one a line, people read its label; programs, which are piped to, the code.
    """

    heading: str
    cell: Callable[[Any], object]
    spare: int = 0
    vocabulary: str | None = None

    def text(self, record: Any, *, for_people: bool) -> str:
        """What stands in a record's cell."""
        found = self.cell(record)
        if found is None:
            return ""
        if for_people and self.vocabulary:
            return "\n".join(label(self.vocabulary, code) for code in str(found).splitlines())
        return str(found)


@dataclass(frozen=True, slots=True)
class Form:
    """What the options ask of a list."""

    as_json: bool = False
    as_csv: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.as_json and self.as_csv:
            raise RequestInvalid("choose one of the two", "--json, --csv")

    @property
    def page(self) -> int:
        """How many to ask for at a time: one more than is shown tells whether there are more."""
        return PAGE if self.limit is None else min(PAGE, self.limit + 1)


def write_list(columns: Sequence[Column], records: Iterable[Any], form: Form) -> None:
    """Writes a list to standard output. Records, which are JSON values, are read as they are needed."""
    writing = _Writing(columns, form)
    for record in records:
        if not writing.take(record):
            break
    writing.end()


def order_of(shown: Mapping[str, Any]) -> str:
    """Return the order of a conversion that the API shows, with its store if one is known."""
    return str(OrderName(shown["order"], shown["store"]))


def tsv_line(cells: Iterable[object]) -> str:
    """A line of tab-separated text. What would break it, a tab or a line's end inside a cell, is told apart."""
    return "\t".join(one_line(cell) for cell in cells) + "\n"


def csv_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    said = "" if value is None else str(value)
    return f"'{said}" if said.startswith(_FORMULA) else said


@dataclass(slots=True)
class _Writing:
    """A list on its way out: lines at once, but a table only when all of its rows are known."""

    columns: Sequence[Column]
    form: Form
    taken: int = 0
    more: bool = False
    _rows: list[list[str]] = field(default_factory=list)

    def take(self, record: Any) -> bool:
        """Takes a record; False if it was one too many."""
        if self.taken == self.form.limit:
            self.more = True
            return False
        self._write(record)
        self.taken += 1
        return True

    def end(self) -> None:
        if self.form.as_json:
            sys.stdout.write("\n]\n" if self.taken else "[]\n")
        elif self._as_table:
            self._write_table()
        elif not self.taken:
            self._write_heading()
        if self.more and sys.stderr.isatty():
            sys.stderr.write(f"the first {self.taken} are shown, there are more\n")

    @property
    def _as_table(self) -> bool:
        return not self.form.as_csv and sys.stdout.isatty()

    def _write(self, record: Any) -> None:
        if self.form.as_json:
            text = json.dumps(record, ensure_ascii=False)
            sys.stdout.write(f"{',' if self.taken else '['}\n{text}")
            return
        cells = [column.text(record, for_people=self._as_table) for column in self.columns]
        if self._as_table:
            self._rows.append(cells)
            return
        if not self.taken:
            self._write_heading()
        self._write_line(cells)

    def _write_heading(self) -> None:
        self._write_line([column.heading for column in self.columns])

    def _write_line(self, cells: Sequence[str]) -> None:
        if self.form.as_csv:
            csv.writer(sys.stdout, lineterminator="\n").writerow(map(csv_cell, cells))
        else:
            sys.stdout.write(tsv_line(cells))

    def _write_table(self) -> None:
        headings = [column.heading for column in self.columns]
        lines, left_out = laid_out(headings, self._rows, [column.spare for column in self.columns], terminal_width())
        sys.stdout.write(f"{bold(lines[0])}\n")
        sys.stdout.writelines(f"{line}\n" for line in lines[1:])
        if left_out and sys.stderr.isatty():
            sys.stderr.write(f"not shown for want of room: {', '.join(left_out)}; a wider terminal or --csv has them\n")


@contextmanager
def written(output: Path | None) -> Iterator[TextIO]:
    """Where an export goes. A file stands there whole or not at all: what was there stays until everything is written.

    Raises:
        RequestInvalid: if none can be made there.
    """
    if output is None:
        yield sys.stdout
        return
    # What is no file (a terminal, a pipe) is written to, never put aside.
    whole = not output.exists() or output.is_file()
    beside = output.with_name(f".{output.name}.{os.getpid()}") if whole else output
    try:
        opened = beside.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise RequestInvalid(f"{output} can't be written: {error.strerror}", "--output") from None
    try:
        with opened:
            yield opened
        if whole:
            beside.replace(output)
    finally:
        if whole:
            beside.unlink(missing_ok=True)
