"""What `show` prints: prose with tables between it. A table that is piped is tab-separated text under its title."""

import sys
from typing import Any, Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from referral_rewards.cli.layout import bold, laid_out
from referral_rewards.cli.output import tsv_line

#: Where there is no terminal nothing is wrapped.
_ENDLESS: Final = 1_000_000


class Page(Console):
    """Standard output, whatever it is."""

    def __init__(self) -> None:
        super().__init__(highlight=False, width=None if sys.stdout.isatty() else _ENDLESS)

    def print(self, *objects: Any, **how: Any) -> None:
        for each in objects:
            if not isinstance(each, Table):
                super().print(each, **how)
            elif not self.is_terminal:
                self._pipe(each)
            elif Measurement.get(self, self.options.update(width=_ENDLESS), each).maximum <= self.width:
                super().print(each, **how)
            else:
                self._lay_out(each)

    def _pipe(self, listed: Table) -> None:
        if listed.title:
            self.file.write(f"{listed.title}\n")
        if listed.show_header:
            self.file.write(tsv_line(column.header for column in listed.columns))
        for row in _rows(listed):
            self.file.write(tsv_line(row))

    def _lay_out(self, listed: Table) -> None:
        headings = [str(column.header) if listed.show_header else "" for column in listed.columns]
        lines, _ = laid_out(headings, _rows(listed), [0] * len(headings), self.width)
        if listed.title:
            self.file.write(f"{listed.title}\n")
        if listed.show_header:
            self.file.write(f"{bold(lines[0])}\n{lines[1]}\n")
        self.file.writelines(f"{line}\n" for line in lines[2:])


def _rows(listed: Table) -> list[list[str]]:
    return [["" if cell is None else str(cell) for cell in row] for row in zip(*_cells(listed), strict=True)]


def _cells(listed: Table) -> list[list[Any]]:
    return [list(column.cells) for column in listed.columns]
