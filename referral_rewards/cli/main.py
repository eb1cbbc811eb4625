"""`referrals`: everything a person or a script does with an installation.

Exit codes: 0 done, 1 found problems, 2 bad input, 130 interrupted; one line on standard error per problem.
"""

import os
import sys
from collections.abc import Sequence

import typer

from referral_rewards.cli import (
    blocklist,
    clawbacks,
    cycles,
    decisions,
    ledger,
    payees,
    payouts,
    programs,
    reports,
    servers,
    tokens,
    users,
)
from referral_rewards.cli.console import tell
from referral_rewards.cli.ingest import ingest
from referral_rewards.cli.payouts import rails_
from referral_rewards.cli.preflight import preflight
from referral_rewards.cli.problems import FOUND_PROBLEMS, exit_code_of
from referral_rewards.cli.queue import queue_
from referral_rewards.cli.reconcile import reconcile
from referral_rewards.cli.referrals import list_
from referral_rewards.cli.show import show
from referral_rewards.cli.simulate import simulate_
from referral_rewards.cli.status_link import status_link

app = typer.Typer(
    name="referrals",
    help="Durable referral rewards: from a referral to a reward that a person approved.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(servers.up)
app.command()(ingest)
app.command("list")(list_)
app.command()(show)
app.command("status-link")(status_link)
app.command("queue")(queue_)
for name, decide in decisions.commands():
    app.command(name)(decide)
app.add_typer(decisions.record, name="decisions")
app.command("simulate")(simulate_)
app.add_typer(programs.commands, name="program")
app.command()(preflight)
app.add_typer(payouts.commands, name="payout")
app.add_typer(clawbacks.commands, name="clawback")
app.add_typer(cycles.commands, name="cycle")
app.command("rails")(rails_)
app.add_typer(ledger.commands, name="ledger")
app.command()(reconcile)
app.add_typer(payees.commands, name="payee")
app.add_typer(reports.commands, name="report")
app.add_typer(users.commands, name="user")
app.add_typer(tokens.commands, name="token")
app.add_typer(blocklist.commands, name="blocklist")
app.add_typer(servers.db, name="db")
app.command()(servers.api)
app.command()(servers.worker)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with its exit code."""
    # Whoever closed them (`>&-`) wants to read nothing.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        code = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output (`| head`) has enough; what is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        tell(f"the output can't be written: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FOUND_PROBLEMS
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code."""
    return exit_code_of(lambda: app(arguments, prog_name="referrals", standalone_mode=False))


if __name__ == "__main__":
    main()
