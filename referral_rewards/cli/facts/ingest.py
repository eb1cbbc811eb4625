"""`referrals ingest`: a file of facts, sent to the API, and a wait for what comes of them."""

import hashlib
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, NamedTuple

import typer

from referral_rewards.cli.client import Api, api_of
from referral_rewards.cli.console import Data, progress_console, say, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.problems import BAD_INPUT, DONE, FOUND_PROBLEMS, INTERRUPTED
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.errors import BadInput, Problem, uncapitalized
from referral_rewards.domain.facts.file_forms import HEAD_BYTES, FileForm, form_of
from referral_rewards.domain.labels.sentences import counted, listed
from referral_rewards.domain.labels.vocabularies import label

#: What each form of a file is sent as.
MEDIA_TYPES: Final = {
    FileForm.LINES: "application/x-ndjson",
    FileForm.ARRAY: "application/json",
    FileForm.CSV: "text/csv",
}

_STANDARD_INPUT: Final = Path("-")
_PATH: Final = "/v1/batches"
_CHUNK_BYTES: Final = 1 << 16
#: Once everything is sent, what was not stored yet is: a file that is taken all or not at all takes longest.
_ANSWER_SECONDS: Final = 900
_WAIT_SECONDS: Final = 2

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="CloudEvents as JSON Lines, a JSON array or CSV; - is standard input.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Until every referral it touches waits for a timer or a person.")]
Strict = Annotated[bool, typer.Option("--strict", help="All of the file or nothing of it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only check each line by itself; asks no server.")]


def ingest(
    file: File,
    wait: Wait = False,
    strict: Strict = False,
    dry_run: DryRun = False,
    user: As = None,
    data: Data = None,
) -> int:
    """Take a file of facts in. Taken in again, what is known changes nothing."""
    with _opened(file) as facts:
        return _check(facts) if dry_run else _send(facts, wait, strict, user, data)


class FactFile(NamedTuple):
    """A file of facts: where it is, what people call it, its form, the hash of its content, and its size."""

    path: Path
    name: str
    form: FileForm
    digest: str
    size: int


@contextmanager
def _opened(file: Path) -> Iterator[FactFile]:
    """The file; of standard input a copy that is deleted at the end, for it is read more than once.

    Raises:
        BadInput: if there is none, it can't be read, or it holds no facts in a form that we read.
    """
    if file != _STANDARD_INPUT:
        yield _looked_at(file, str(file), file.suffix.lower() or ".")
        return
    if sys.stdin.isatty():
        tell("reading facts from the keyboard; Ctrl-D ends them")
    with tempfile.NamedTemporaryFile(prefix="referrals-facts-") as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        kept.flush()
        yield _looked_at(Path(kept.name), "standard input", "")


def _looked_at(path: Path, name: str, suffix: str) -> FactFile:
    try:
        with path.open("rb") as opened:
            form = form_of(opened.read(HEAD_BYTES), name, suffix)
            opened.seek(0)
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            return FactFile(path, name, form, digest, opened.tell())
    except OSError as error:
        raise BadInput([Problem(name, uncapitalized(error.strerror or str(error)))]) from None


def _check(facts: FactFile) -> int:
    """Looks at every line as the API would by itself, and tells what it would say."""
    # Here, as it loads every type of fact.
    from referral_rewards.domain.facts.file_check import READERS, told_apart
    from referral_rewards.domain.facts.intake_warnings import WarningsOfFile

    warnings = WarningsOfFile()
    with facts.path.open("rb") as opened:
        counts = Counter[bool]()
        for line in READERS[facts.form](opened):
            taken, refused = told_apart([line], datetime.now(UTC))
            counts[bool(taken)] += 1
            for problem in (problem for each in refused for problem in each.problems):
                _tell_problem(facts, line.number, problem)
            for warning in (warning for _, event in taken for warning in event.warnings):
                warnings.add(line.number, warning)
    for group in warnings:
        _tell_warning(facts, asdict(group))
    say(f"{counts[True]} can be taken in, {counts[False]} can't; nothing was stored")
    return FOUND_PROBLEMS if counts[False] else DONE


def _tell_problem(facts: FactFile, number: int, problem: Problem) -> None:
    tell(f"{facts.form.counted} {number}: {problem}")


def _tell_warning(facts: FactFile, group: dict[str, Any]) -> None:
    """Tells equal warnings in one line: of what kind, which lines come first with them, and how many there are."""
    lines, more = group["lines"], group["count"] - len(group["lines"])
    numbers = listed([str(each) for each in lines] + ([f"{more:,} more"] if more else []))
    counted_by = facts.form.counted + ("s" if group["count"] > 1 else "")
    said = Problem(group["where"], group["what"])
    tell(f"warning ({label('intake_warning', group['kind'])}), {counted_by} {numbers}: {said}")


def _send(facts: FactFile, wait: bool, strict: bool, user: str | None, data: Path | None) -> int:
    with api_of(data, user, Purpose.TELL) as api:
        try:
            taken = sent(api, facts, strict)
        except KeyboardInterrupt:
            tell("interrupted; what is stored stays, ingest the same file again to go on")
            return INTERRUPTED
        if taken is None:
            return BAD_INPUT
        for each in taken["problems"]:
            _tell_problem(facts, each["line"], Problem(each["where"], each["what"]))
        for group in taken["warnings"]:
            _tell_warning(facts, group)
        say_counts(taken)
        if wait:
            try:
                wait_for(api, taken["batch"])
            except KeyboardInterrupt:
                tell("interrupted; everything is stored, only the waiting ended")
                return INTERRUPTED
    return FOUND_PROBLEMS if taken["refused"] or taken["conflicts"] else DONE


def sent(api: Api, facts: FactFile, strict: bool) -> dict[str, Any] | None:
    """What the API did with the file; None if it was to be all or nothing, and is nothing, which is told.

    Raises:
        BadInput: if it is no file of facts.
    """
    with facts.path.open("rb") as opened, _bar(facts.name, facts.size) as progress:
        response = api.client.post(
            _PATH,
            params={"sha256": facts.digest, "strict": strict},
            content=_pieces(opened, progress),
            headers={"Content-Type": MEDIA_TYPES[facts.form]},
            timeout=_ANSWER_SECONDS,
        )
    try:
        taken: dict[str, Any] = api.answer(response)
    except BadInput as refusal:
        if not strict:
            raise
        for problem in refusal.problems:
            tell(str(problem))
        tell(f"nothing of {facts.name} was stored")
        return None
    return taken


def _pieces(opened: BinaryIO, progress: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := opened.read(_CHUNK_BYTES):
        yield chunk
        progress(len(chunk))


@contextmanager
def _bar(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """Shows how much of the file is sent, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda more: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=progress_console(), transient=True) as bar:
        shown = bar.add_task(name, total=size)
        yield lambda more: bar.advance(shown, more)


def say_counts(taken: dict[str, Any]) -> None:
    counts = [f"{taken['recorded']} recorded", f"{taken['repeated']} repeated"]
    counts += [f"{taken['refused']} refused", f"{taken['conflicts']} in conflict"]
    for why, count in taken["parked"].items():
        counts.append(f"{count} {'referral' if count == 1 else 'referrals'} parked ({why})")
    if warned := sum(group["count"] for group in taken["warnings"]):
        counts.append(counted(warned, "warning"))
    say(", ".join(counts))


def wait_for(api: Api, batch: str) -> None:
    """Asks until every referral of the batch is at rest; how many are not yet is shown on a terminal."""
    shown: AbstractContextManager[Any] = nullcontext()
    if sys.stderr.isatty():
        shown = progress_console().status("waiting")
    with shown as status:
        while (found := api.get(f"{_PATH}/{batch}", wait=_WAIT_SECONDS))["moving"]:
            if status is not None:
                status.update(f"{found['moving']} of {found['referrals']} referrals are being worked on")
