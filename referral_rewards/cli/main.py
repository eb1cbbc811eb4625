"""`referrals`: everything a person or a script does with an installation.

Exit codes: 0 done, 1 found problems, 2 bad input, 130 interrupted; one line on standard error per problem.

This module loads nothing heavy: Ctrl-C must end the process quietly from its first moment on.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from referral_rewards import interrupts

if TYPE_CHECKING:
    from typer.core import TyperGroup


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with its exit code."""
    interrupts.end_at_once()
    # Whoever closed them (`>&-`) wants to read nothing.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        code = run(arguments)
        interrupts.end_at_once()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output (`| head`) has enough; what is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        sys.stderr.write(f"the output can't be written: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code."""
    from referral_rewards.cli.commands import app
    from referral_rewards.cli.problems import exit_code_of

    return exit_code_of(lambda: _invoked(app(), sys.argv[1:] if arguments is None else arguments))


def _invoked(tree: "TyperGroup", arguments: Sequence[str]) -> int | None:
    """Runs the command that the arguments name. Typer's own way to do so answers a shell that completes; but it ends
    the process where the reader of a pipe has gone, and says nothing of Ctrl-C."""
    from typer import Exit

    if "_REFERRALS_COMPLETE" in os.environ:
        return int(tree(list(arguments), prog_name="referrals", standalone_mode=False) or 0)
    try:
        with tree.make_context("referrals", list(arguments)) as context:
            code: int | None = tree.invoke(context)
            return code
    except Exit as end:
        return int(end.exit_code)


if __name__ == "__main__":
    main()
