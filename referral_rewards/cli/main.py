"""`referrals`: everything a person or a script does with an installation.

Exit codes: 0 done, 1 found problems, 2 bad input, 130 interrupted; one line on standard error per problem.

This module loads nothing heavy: Ctrl-C must end the process quietly from its first moment on.
"""

import os
import sys
from collections.abc import Sequence

from referral_rewards import interrupts


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

    return exit_code_of(lambda: app()(arguments, prog_name="referrals", standalone_mode=False))


if __name__ == "__main__":
    main()
