"""`referrals import`: another tool's export, translated to facts. What that tool paid stays out, with the reason."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import Data, say, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.facts.import_judging import Judge, judged
from referral_rewards.cli.facts.import_mappings import Tool, chosen, shipped
from referral_rewards.cli.facts.import_paid import Place, paid_by_tool
from referral_rewards.cli.facts.import_spool import RowResult, Spool, spool
from referral_rewards.cli.facts.ingest import say_counts, sent, wait_for
from referral_rewards.cli.output import csv_cell, written
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS, INTERRUPTED
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.errors import BadInput, Problem, RequestInvalid, uncapitalized
from referral_rewards.domain.facts.file_forms import HEAD_BYTES, not_text
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.intake_warnings import WarningsOfFile
from referral_rewards.domain.facts.outcomes import Outcome
from referral_rewards.domain.imports.becoming import Became, became
from referral_rewards.domain.imports.cells import Cells
from referral_rewards.domain.imports.mapping import Said, ToolMapping
from referral_rewards.domain.imports.rows import HOW, Sheet, sheet_of
from referral_rewards.domain.imports.standing import keys_of, other_kind, standing_of
from referral_rewards.domain.labels.sentences import counted, listed
from referral_rewards.domain.labels.vocabularies import label

HEADINGS: Final = ("line", "row", "became", "facts", "why")

File = Annotated[Path | None, typer.Argument(metavar="FILE", help="The tool's export of its rewards, as CSV.")]
OfTool = Annotated[Tool | None, typer.Option("--tool", help="The tool that wrote the file.")]
OwnMapping = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE.yaml", help="A mapping of your own in place of the tool's.")
]
OfProgram = Annotated[
    str | None, typer.Option("--program", metavar="PROGRAM", help="The program of ours that all rows belong to.")
]
Write = Annotated[bool, typer.Option("--write", help="Tell the facts; without it nothing is written.")]
Report = Annotated[Path | None, typer.Option("--report", metavar="FILE.csv", help="What became of each row, and why.")]
PaidIn = Annotated[
    list[Path] | None,
    typer.Option("--paid-in", metavar="FILE", help="A further export, read only for what the tool paid. Repeatable."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until each referral waits for a timer or a person.")]
PrintMapping = Annotated[bool, typer.Option("--print-mapping", help="Print the tool's mapping, to be copied.")]


def import_(
    file: File = None,
    tool: OfTool = None,
    mapping: OwnMapping = None,
    program: OfProgram = None,
    write: Write = False,
    report: Report = None,
    paid_in: PaidIn = None,
    wait: Wait = False,
    print_mapping: PrintMapping = False,
    user: As = None,
    data: Data = None,
) -> int:
    """Import another referral tool's export; by default only say what each row would become."""
    if print_mapping:
        return _print_mapping(tool)
    if file is None:
        raise RequestInvalid("name the file that the tool exported", "FILE")
    its = chosen(tool, mapping)
    if program is None and Said.PROGRAM not in its.facts:
        raise RequestInvalid("name the program of ours that the rows belong to", "--program")
    with paid_by_tool() as paid, spool() as kept:
        # Keyed by chance: what is kept on disk meanwhile can be read by nobody.
        judge = Judge(its, Cells(its), Marker(os.urandom(32)), paid, program, datetime.now(UTC))
        unsure = sum(_note_paid(each, judge) for each in (file, *(paid_in or ())))
        _judge_all(file, judge, kept)
        if write and kept.facts and not unsure:
            return _tell_facts(file, kept, report, wait, user, data)
        code = _end(kept, report, None, Became.NOT_WRITTEN if write and unsure else None)
        return FOUND_PROBLEMS if unsure else code


def _print_mapping(tool: Tool | None) -> int:
    if tool is None:
        raise RequestInvalid(f"name one of {', '.join(Tool)}", "--tool")
    say(shipped(tool).rstrip("\n"))
    return DONE


@contextmanager
def _sheet(file: Path, mapping: ToolMapping) -> Iterator[Sheet]:
    """The export in a file.

    Raises:
        BadInput: if it can't be read, or is no export that the mapping reads; each problem with the file's name.
    """
    try:
        with file.open("rb") as raw:
            what = not_text(raw.read(HEAD_BYTES))
        text = file.open(**HOW)
    except OSError as error:
        raise BadInput([Problem(str(file), uncapitalized(error.strerror or str(error)))]) from None
    with text:
        try:
            if what:
                raise BadInput([Problem("", what)])
            sheet = sheet_of(text, mapping)
        except BadInput as wrong:
            raise BadInput([Problem(str(file), str(each)) for each in wrong.problems]) from None
        yield sheet


def _note_paid(file: Path, judge: Judge) -> int:
    """Keeps what the rows of a file tell of paid rewards; how many rows might tell of one and can't be read."""
    unsure = 0
    with _sheet(file, judge.mapping) as sheet:
        for row in sheet.rows:
            if row.unreadable:
                tell(f"{file}: line {row.number}: {row.unreadable}")
                unsure += 1
                continue
            left = standing_of(row, judge.mapping).left
            if not left.may_be_paid:
                continue
            keys = keys_of(row, judge.cells, judge.marker)
            if not keys and other_kind(row, judge.mapping) is None:
                tell(f"{file}: line {row.number}: may have been paid, and names no referral, order or referee")
                unsure += 1
            judge.paid.add(keys, Place(str(file), row.number, left))
    return unsure


def _judge_all(file: Path, judge: Judge, kept: Spool) -> None:
    """Judges each row, keeps what it comes to, and tells what is wrong."""
    warnings = WarningsOfFile()
    with _sheet(file, judge.mapping) as sheet:
        for column in sheet.missing:
            tell(f"{file}: has no column {column!r}; what the mapping reads there is left out")
        for row in sheet.rows:
            result, documents = judged(row, file, judge, warnings)
            kept.add(result, documents)
    for group in warnings:
        lines = listed([str(each) for each in group.lines])
        tell(
            f"warning ({label('intake_warning', group.kind)}), {counted(group.count, 'time')}, first in line {lines}: "
            f"{Problem(group.where, group.what)}"
        )


def _tell_facts(file: Path, kept: Spool, report: Path | None, wait: bool, user: str | None, data: Path | None) -> int:
    """Sends the facts, and tells what intake said of them by the rows' lines."""
    with api_of(data, user, Purpose.TELL) as api:
        try:
            taken = sent(api, kept.fact_file(file.name), strict=False)
            assert taken is not None
            for group in taken["warnings"]:
                lines = listed([str(kept.row_line(each)) for each in group["lines"]])
                said = Problem(group["where"], group["what"])
                tell(
                    f"warning ({label('intake_warning', group['kind'])}), {counted(group['count'], 'time')}, first in "
                    f"line {lines}: {said}"
                )
            say_counts(taken)
            code = _end(kept, report, taken, None)
            if wait:
                wait_for(api, taken["batch"])
        except KeyboardInterrupt:
            tell("interrupted; what is stored stays, import the same file again to go on")
            return INTERRUPTED
    return code


def _end(kept: Spool, report: Path | None, taken: Mapping[str, Any] | None, instead: Became | None) -> int:
    """Writes what became of each row, and says how many of each there are."""
    counts = Counter[Became]()
    with _report(report) as write:
        for each in _as_told(kept, taken, instead):
            counts[each.became] += 1
            write(each)
            if each.became.is_problem:
                _tell_problem(each)
            elif report is None and taken is None:
                _say_row(each)
    _say_total(counts, kept.facts, taken)
    return FOUND_PROBLEMS if any(each.is_problem for each in counts) else DONE


@contextmanager
def _report(file: Path | None) -> Iterator[Callable[[RowResult], object]]:
    """What writes a row's line of the report."""
    if file is None:
        yield lambda result: None
        return
    with written(file) as opened:
        sheet = csv.writer(opened, lineterminator="\n")
        sheet.writerow(HEADINGS)
        yield lambda result: sheet.writerow(map(csv_cell, result))


def _tell_problem(result: RowResult) -> None:
    # What can't be read was told when it was found; what was not written stays for a reason that is told there.
    if result.became not in (Became.UNREADABLE, Became.NOT_WRITTEN):
        tell(f"line {result.line}: {label('import', result.became)}: {result.why}")


def _as_told(kept: Spool, taken: Mapping[str, Any] | None, instead: Became | None) -> Iterator[RowResult]:
    """What each row came to; where its facts were sent, by what intake did with them."""
    outcomes = _outcomes(taken["lines"]) if taken is not None else iter(())
    problems = {each["line"]: Problem(each["where"], each["what"]) for each in taken["problems"]} if taken else {}
    first = 1
    for each in kept.results():
        if each.became is not Became.WOULD_BE_IMPORTED:
            yield each
            continue
        if taken is not None:
            found = became([next(outcomes) for _ in range(each.facts)])
            wrong = [str(problems[fact]) for fact in range(first, first + each.facts) if fact in problems]
            each = each._replace(became=found, why="; ".join(wrong) or each.why)
        elif instead is not None:
            each = each._replace(became=instead, why="nothing was written: another row can't be read")
        first += each.facts
        yield each


def _outcomes(runs: Sequence[Mapping[str, Any]]) -> Iterator[Outcome]:
    """What became of each line of the facts, in their order."""
    for run in runs:
        for _ in range(run["first"], run["last"] + 1):
            yield Outcome(run["outcome"])


def _say_row(result: RowResult) -> None:
    named = f" {result.row}" if result.row else ""
    say(f"line {result.line}{named}: {label('import', result.became)}: {result.why}")


def _say_total(counts: Mapping[Became, int], facts: int, taken: Mapping[str, Any] | None) -> None:
    rows = ", ".join(f"{counts[each]} {label('import', each)}" for each in Became if counts.get(each))
    end = "" if taken is not None else f"; {counted(facts, 'fact')}, nothing was written"
    say(f"{counted(sum(counts.values()), 'row')}: {rows or 'none'}{end}")
