"""`referrals ingest`: a file of facts, sent to the API, and a wait for what comes of them."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from referral_rewards.cli.client import Api, api_of
from referral_rewards.cli.console import Data, progress_console, say, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.problems import BAD_INPUT, DONE, FOUND_PROBLEMS, INTERRUPTED
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.errors import BadInput, Problem

#: What each kind of file is sent as.
MEDIA_TYPES: Final = {".jsonl": "application/x-ndjson", ".csv": "text/csv"}

_PATH: Final = "/v1/batches"
_CHUNK_BYTES: Final = 1 << 16
#: Once everything is sent, what was not stored yet is: a file that is taken all or not at all takes longest.
_ANSWER_SECONDS: Final = 900
_WAIT_SECONDS: Final = 2

File = Annotated[Path, typer.Argument(metavar="FILE.jsonl|FILE.csv", help="One CloudEvent a line, or a row.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until every referral it touches waits for a timer or a person.")]
Strict = Annotated[bool, typer.Option("--strict", help="All of the file or nothing of it.")]


def ingest(file: File, wait: Wait = False, strict: Strict = False, user: As = None, data: Data = None) -> int:
    """Take a file of facts in. Taken in again, what is known changes nothing."""
    media_type, digest, size = _looked_at(file)
    with api_of(data, user, Purpose.TELL) as api:
        try:
            taken = _sent(api, file, media_type, digest, size, strict)
        except KeyboardInterrupt:
            tell("interrupted; what is stored stays, ingest the same file again to go on")
            return INTERRUPTED
        if taken is None:
            return BAD_INPUT
        for each in taken["problems"]:
            tell(f"line {each['line']}: {Problem(each['where'], each['what'])}")
        _say_counts(taken)
        if wait:
            try:
                _wait(api, taken["batch"])
            except KeyboardInterrupt:
                tell("interrupted; everything is stored, only the waiting ended")
                return INTERRUPTED
    return FOUND_PROBLEMS if taken["refused"] or taken["conflicts"] else DONE


def _looked_at(file: Path) -> tuple[str, str, int]:
    """As what a file is sent, the hash of its content, and its size.

    Raises:
        BadInput: if there is none, it can't be read, or its name ends in nothing that we read.
    """
    media_type = MEDIA_TYPES.get(file.suffix.lower())
    if media_type is None:
        raise BadInput([Problem(str(file), f"is neither {' nor '.join(MEDIA_TYPES)}")])
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            return media_type, digest, opened.tell()
    except OSError as error:
        raise BadInput([Problem(str(file), (error.strerror or str(error)).lower())]) from None


def _sent(api: Api, file: Path, media_type: str, digest: str, size: int, strict: bool) -> dict[str, Any] | None:
    """What the API did with the file; None if it was to be all or nothing, and is nothing, which is told.

    Raises:
        BadInput: if it is no file of facts.
    """
    with file.open("rb") as opened, _bar(file.name, size) as progress:
        response = api.client.post(
            _PATH,
            params={"sha256": digest, "strict": strict},
            content=_pieces(opened, progress),
            headers={"Content-Type": media_type},
            timeout=_ANSWER_SECONDS,
        )
    try:
        taken: dict[str, Any] = api.answer(response)
    except BadInput as refusal:
        if not strict:
            raise
        for problem in refusal.problems:
            tell(str(problem))
        tell(f"nothing of {file} was stored")
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


def _say_counts(taken: dict[str, Any]) -> None:
    counts = [f"{taken['recorded']} recorded", f"{taken['repeated']} repeated"]
    counts += [f"{taken['refused']} refused", f"{taken['conflicts']} in conflict"]
    for why, count in taken["parked"].items():
        counts.append(f"{count} {'referral' if count == 1 else 'referrals'} parked ({why})")
    say(", ".join(counts))


def _wait(api: Api, batch: str) -> None:
    """Asks until every referral of the batch is at rest; how many are not yet is shown on a terminal."""
    shown: AbstractContextManager[Any] = nullcontext()
    if sys.stderr.isatty():
        shown = progress_console().status("waiting")
    with shown as status:
        while (found := api.get(f"{_PATH}/{batch}", wait=_WAIT_SECONDS))["moving"]:
            if status is not None:
                status.update(f"{found['moving']} of {found['referrals']} referrals are being worked on")
