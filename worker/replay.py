"""`python -m worker.replay`, or `referrals replay`: whether this build can go on with the runs of production.

It reads histories only, and starts, signals and changes nothing. Exit codes as of every command: 0 nothing breaks, 1
some run would break or Temporal did not answer, 2 the input is bad.
"""

from referral_rewards import interrupts

if __name__ == "__main__":
    # Imports take seconds. An interrupt meanwhile ends the process at once, without a traceback.
    interrupts.end_at_once()

import argparse
import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from temporalio.client import WorkflowHistory
from temporalio.service import RPCError

from referral_rewards.config.payloads import payload_keys
from referral_rewards.config.stack import PREFIX, local_stack
from referral_rewards.domain.errors import BadInput
from referral_rewards.payload_codec import Codec, converter
from referral_rewards.temporal import connect_beside
from worker.histories import Choice, files_of, of_files, of_server, save, type_of
from worker.replaying import WORKFLOWS, Replaying

TYPES: Final = tuple(each.__name__ for each in WORKFLOWS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay, print a line for each run that would break, and return the exit code."""
    given = _parsed(arguments)
    # Each run that breaks is told in one line, not by a traceback.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(_replay(given))
    except BadInput as error:
        for problem in error.problems:
            print(f"replay: {problem}", file=sys.stderr)
        return 2
    except (RPCError, RuntimeError) as error:
        print(f"replay: Temporal does not answer: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"replay: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="referrals replay")
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--recent", type=int, default=7)
    parser.add_argument("--from", dest="folder", type=Path)
    parser.add_argument("--save", type=Path)
    return parser.parse_args(arguments)


async def _replay(given: argparse.Namespace) -> int:
    replayed, broken = Counter[str](), 0
    codec = Codec(payload_keys())
    histories = await _histories(given, codec)
    if given.save is not None:
        histories = _saved(histories, given.save)
    async for history, found in Replaying(converter(codec)).each(histories):
        replayed[type_of(history)] += 1
        if found is not None:
            broken += 1
            print(found, flush=True)
    print(_summary(replayed, broken), file=sys.stderr)
    return 1 if broken else 0


async def _histories(given: argparse.Namespace, codec: Codec) -> AsyncIterator[WorkflowHistory]:
    """Return the histories that were asked for."""
    if given.folder is not None:
        return of_files(files_of(given.folder))
    client = await connect_beside(local_stack(Path(os.environ.get(f"{PREFIX}DATA", ".local"))), codec)
    return of_server(client, Choice.of(TYPES, given.sample, given.recent, datetime.now(UTC)))


async def _saved(histories: AsyncIterator[WorkflowHistory], folder: Path) -> AsyncIterator[WorkflowHistory]:
    async for history in histories:
        save(history, folder)
        yield history


def _summary(replayed: Counter[str], broken: int) -> str:
    of_each = ", ".join(f"{name} {count:,}" for name, count in sorted(replayed.items()))
    runs = replayed.total()
    ends = f"{broken:,} would break" if broken else "none would break"
    return f"replayed {runs:,} {'run' if runs == 1 else 'runs'} ({of_each}): {ends}" if runs else "no run was found"


if __name__ == "__main__":
    interrupts.raise_again()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # as worker.process.end: threads of Temporal's runtime may outlive the interpreter
