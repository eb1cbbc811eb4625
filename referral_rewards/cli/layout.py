"""Lays a table out in the columns that a terminal has: words are wrapped, ids stay whole, spare columns go first."""

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len

_GAP: Final = "  "
#: Prose is not wrapped into a column narrower than this.
_NARROWEST_PROSE: Final = 16
#: Where even ids must be folded, not narrower than this.
_NARROWEST: Final = 8


def terminal_width() -> int:
    """How many columns the terminal has; ``COLUMNS`` says it before the terminal does."""
    return shutil.get_terminal_size().columns


def bold(line: str) -> str:
    """A heading, unless the terminal is not to be told of anything but text."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return line if plain else f"\x1b[1m{line}\x1b[0m"


def one_line(cell: object) -> str:
    """A cell's text in one line, without what would steer a terminal or end a cell."""
    text = "" if cell is None else str(cell)
    return "".join(
        each if each.isprintable() else " " for each in "; ".join(filter(None, map(str.strip, text.splitlines())))
    )


def laid_out(
    headings: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[int], width: int
) -> tuple[list[str], list[str]]:
    """The table's lines, its headings first, and the headings of the columns that were left out.

    A column goes only if the others would not fit even with their prose wrapped, the highest ``spare`` first.
    """
    columns = [_Column(heading, [row[at] for row in rows]) for at, heading in enumerate(headings)]
    shown = list(range(len(columns)))
    while _total([columns[at].least for at in shown]) > width and any(spare[at] for at in shown):
        shown.remove(max(shown, key=lambda at: (spare[at], at)))
    widths = _fitted([columns[at] for at in shown], width)
    lines = [*_lines([headings[at] for at in shown], widths), _GAP.join("─" * each for each in widths)]
    # The heading is one line for whoever makes it bold; a wrapped one joins its lines.
    heading_lines = len(lines) - 1
    lines[:heading_lines] = ["\n".join(lines[:heading_lines])]
    for row in rows:
        lines += _lines([row[at] for at in shown], widths)
    return lines, [headings[at] for at in range(len(columns)) if at not in shown]


class _Column:
    """The widths that a column can have: all that it holds side by side, or wrapped between words."""

    def __init__(self, heading: str, cells: Sequence[str]) -> None:
        texts = [heading, *(line for cell in cells for line in _printable(cell))]
        self.natural = max(map(cell_len, texts), default=0)
        longest_word = max((cell_len(word) for text in texts for word in text.split()), default=0)
        self.least = min(self.natural, max(longest_word, _NARROWEST_PROSE))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _fitted(columns: Sequence[_Column], width: int) -> list[int]:
    """A width for each column: its own, or less for the widest ones, until all fit."""
    widths = [column.natural for column in columns]
    for floors in ([column.least for column in columns], [min(column.natural, _NARROWEST) for column in columns]):
        while (over := _total(widths) - width) > 0:
            can = [at for at in range(len(widths)) if widths[at] > floors[at]]
            if not can:
                break
            widest = max(can, key=lambda at: widths[at])
            others = [widths[at] for at in can if widths[at] < widths[widest]]
            widths[widest] = max(floors[widest], widths[widest] - over, max(others, default=0))
    return widths


def _lines(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """The lines of one row."""
    wrapped = [
        [piece for line in _printable(cell) for piece in _wrapped(line, width)]
        for cell, width in zip(cells, widths, strict=True)
    ]
    for at in range(max(map(len, wrapped), default=1) or 1):
        pieces = [lines[at] if at < len(lines) else "" for lines in wrapped]
        padded = (piece + " " * (width - cell_len(piece)) for piece, width in zip(pieces, widths, strict=True))
        yield _GAP.join(padded).rstrip()


def _printable(cell: str) -> list[str]:
    """A cell's lines, without what would steer a terminal."""
    return ["".join(each if each.isprintable() else " " for each in line) for line in cell.splitlines()]


def _wrapped(line: str, width: int) -> Iterator[str]:
    """A line in pieces of at most that width, broken between words and, where a word is longer, inside it."""
    piece = ""
    for word in line.split(" "):
        joined = f"{piece} {word}" if piece else word
        if cell_len(joined) <= width:
            piece = joined
            continue
        if piece:
            yield piece
        piece = word
        while cell_len(piece) > width:
            cut = max(1, width)
            while cut > 1 and cell_len(piece[:cut]) > width:
                cut -= 1
            yield piece[:cut]
            piece = piece[cut:]
    yield piece
