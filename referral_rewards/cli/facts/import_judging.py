"""What each row of an import comes to, before anything is told: its facts, or why it has none."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from referral_rewards.cli.facts.import_paid import PaidByTool, Place
from referral_rewards.cli.facts.import_spool import RowResult
from referral_rewards.domain.facts.events import too_far_ahead
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.ids import event_id_problem
from referral_rewards.domain.facts.intake_warnings import WarningsOfFile
from referral_rewards.domain.imports.becoming import LEFT_OUT, Became
from referral_rewards.domain.imports.cells import Cells
from referral_rewards.domain.imports.mapping import ToolMapping
from referral_rewards.domain.imports.rows import Row
from referral_rewards.domain.imports.standing import Key, Left, keys_of, standing_of
from referral_rewards.domain.imports.translation import translated
from referral_rewards.domain.labels.vocabularies import label


class Judge(NamedTuple):
    """What every row of an import is judged by."""

    mapping: ToolMapping
    cells: Cells
    marker: Marker
    paid: PaidByTool
    program: str | None
    now: datetime


def judged(row: Row, file: Path, judge: Judge, warnings: WarningsOfFile) -> tuple[RowResult, Sequence[dict[str, Any]]]:
    """What a row comes to, and the facts to be told. What its facts say in vain is added to the warnings."""
    name = row.text(judge.mapping.row)
    shown = name if name and event_id_problem(name) is None else ""
    if row.unreadable:
        return RowResult(row.number, "", Became.UNREADABLE, 0, row.unreadable), ()
    standing = standing_of(row, judge.mapping)
    if standing.left is not Left.OPEN:
        why = f"column {standing.column}: {standing.why}"
        return RowResult(row.number, shown, LEFT_OUT[standing.left], 0, why), ()
    if (beside := judge.paid.of(keys_of(row, judge.cells, judge.marker))) is not None:
        return RowResult(row.number, shown, Became.BESIDE_PAID, 0, _beside(*beside, file)), ()
    made = translated(row, judge.cells, judge.program)
    problems = made.problems or tuple(
        wrong for event in made.events if (wrong := too_far_ahead(event, judge.now)) is not None
    )
    if problems:
        return RowResult(row.number, shown, Became.REFUSED, 0, "; ".join(map(str, dict.fromkeys(problems)))), ()
    for warning in (warning for event in made.events for warning in event.warnings):
        warnings.add(row.number, warning)
    told = ", ".join(label("fact", event.type) for event in made.events)
    return RowResult(row.number, shown, Became.WOULD_BE_IMPORTED, len(made.documents), told), made.documents


def _beside(key: Key, place: Place, file: Path) -> str:
    where = f"line {place.line}" if place.file == str(file) else f"line {place.line} of {place.file}"
    if place.left is Left.PAID:
        return f"the tool paid for the same {key.what}: {where}"
    return f"the tool may have paid for the same {key.what}: {where}, whose status the mapping does not know"
