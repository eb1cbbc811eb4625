"""The tree of commands. A command's own module is loaded when it is run, completed or asked for its help: not before.

Each entry repeats the first line of its command's help, so that the list needs none of them loaded; a test holds the
two together.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from referral_rewards import interrupts


class Entry(NamedTuple):
    """Where a command or a group of them stands: a module below this package, and the name in it."""

    module: str
    name: str
    help: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "up": Entry("servers", "up", "Run everything on this machine: PostgreSQL, Temporal, the API and both workers."),
    "ingest": Entry("facts.ingest", "ingest", "Take a file of facts in."),
    "import": Entry(
        "facts.imports",
        "import_",
        "Import another referral tool's export; by default only say what each row would become.",
    ),
    "list": Entry("claims.referrals", "list_", "List referrals and where each stands."),
    "show": Entry("claims.show", "show", "Show one referral: where it stands and why."),
    "status-link": Entry("claims.referrals", "status_link", "Print the secret link to one side's own status page."),
    "queue": Entry("claims.queue", "queue_", "List what waits for a person."),
    "set-aside": Entry(
        "claims.queue", "set_aside", "Set aside, with a note, what waits in the queue and no decision ends."
    ),
    "approve": Entry("claims.decisions", "commands", "Approve a claim as it was shown."),
    "deny": Entry("claims.decisions", "commands", "Deny a claim, or leave a closed referral closed."),
    "hold": Entry("claims.decisions", "commands", "Hold a claim back until it is released."),
    "release": Entry("claims.decisions", "commands", "Release a claim that was held."),
    "request-evidence": Entry("claims.decisions", "commands", "Ask for more evidence; the claim goes on waiting."),
    "reassign": Entry("claims.decisions", "commands", "Move a claim to another referrer."),
    "adjust": Entry("claims.decisions", "commands", "Set a claim's reward to another amount, or leave it out."),
    "link": Entry("claims.decisions", "commands", "Let a referral hear of an order that matches none."),
    "reopen": Entry("claims.decisions", "commands", "Reopen a referral that was closed."),
    "decisions": Entry("claims.decisions", "record", "The record of decisions."),
    "simulate": Entry("programs.simulate", "simulate_", "Replay a program's past under other terms."),
    "program": Entry("programs.programs", "commands", "Programs and the versions of their terms."),
    "preflight": Entry("programs.programs", "preflight", "Check that a program is ready."),
    "pilot": Entry(
        "programs.pilots", "commands", "Pilots: a program is measured over one payout cycle, to a go or a no-go."
    ),
    "payout": Entry("money.payouts", "commands", "Payouts: one provider call each, for one reward or several."),
    "clawback": Entry("money.clawbacks", "commands", "Clawback cases: paid rewards that may have to be recovered."),
    "cycle": Entry(
        "money.cycles", "commands", "Payout cycles: what is due is gathered, released by finance, and paid."
    ),
    "rails": Entry(
        "money.rails",
        "commands",
        "Rails: connected or not, halted since when and why, and what a restored register forgot.",
    ),
    "restored": Entry(
        "money.restores",
        "restored",
        "Record that the register was restored to an earlier state: every outside rail halts.",
    ),
    "resync": Entry(
        "money.restores",
        "resync",
        "Start or wake everything that is open, after Temporal was lost or restored.",
    ),
    "ledger": Entry("money.ledger", "commands", "The double-entry books of what was approved, paid and taken back."),
    "reconcile": Entry("money.reconciliations", "reconcile", "Compare what a rail lists as paid with what we hold."),
    "payee": Entry("money.payees", "commands", "Payees: methods, tax forms, totals, and what waits."),
    "redirect": Entry(
        "money.redirects", "redirect", "Bind what waits for a payee to the payment method that they have now."
    ),
    "log": Entry(
        "people.audit_log",
        "log",
        "List who did what and what moved money, the newest first by default; sign-ins only where they are asked for.",
    ),
    "report": Entry("measures.reports", "commands", "The measures of a program, and reports as files."),
    "audit": Entry(
        "money.audits",
        "audit",
        "Derive every paid reward of a program again, print what is wrong, and end with 1 if anything is.",
    ),
    "user": Entry("people.users", "commands", "People and services, and how they sign in."),
    "person": Entry("people.persons", "commands", "Persons: all that is on record about one, and erasing it."),
    "keys": Entry("people.persons", "keys", "The keys that seal personal data."),
    "token": Entry("people.tokens", "commands", "API tokens: one's own, or anybody's for administrators."),
    "blocklist": Entry(
        "people.blocklist", "commands", "Identities, devices and payment instruments that are no longer trusted."
    ),
    "sources": Entry("facts.sources", "commands", "Connected sources of events: what came, and reading it again."),
    "db": Entry("servers", "db", "The database."),
    "api": Entry("servers", "api", "Run the HTTP API: the only process that is given the signing key."),
    "worker": Entry("servers", "worker", "Run workers."),
    "replay": Entry(
        "servers", "replay", "Replay runs of production with this build, and end with 1 if one would break."
    ),
    "site": Entry(
        "servers", "site", "Run the front door, where customers enrol, invite friends and see their rewards."
    ),
}


class _Listed(TyperCommand):
    """A command as the list shows it."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, short_help=entry.help, rich_markup_mode=None)
        self._entry = entry

    def load(self) -> Any:
        """The command or the group itself."""
        found = getattr(import_module(f"referral_rewards.cli.{self._entry.module}"), self._entry.name)
        assert self.name is not None
        above = typer.Typer(add_completion=False, rich_markup_mode=None)
        if isinstance(found, typer.Typer):
            above.add_typer(found, name=self.name)
        else:
            above.command(self.name)(dict(found())[self.name] if self._entry.name == "commands" else found)
        return get_group(above).commands[self.name]


class _Tree(TyperGroup):
    """The group of all commands, each loaded when it is named."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        loaded = listed.load() if isinstance(listed, _Listed) else listed
        if not ctx.resilient_parsing:
            interrupts.raise_again()  # from here on the command says what becomes of Ctrl-C
        return name, loaded, rest


def app() -> TyperGroup:
    """The command line."""
    made = typer.Typer(
        name="referrals",
        cls=_Tree,
        help="Durable referral rewards: from a referral to a reward that a person approved.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    made.callback()(_root)
    tree = get_command(made)
    assert isinstance(tree, _Tree)
    for name, entry in COMMANDS.items():
        tree.add_command(_Listed(name, entry), name)
    return tree


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # here, as it costs more than all the rest of this module

        typer.echo(f"referrals {version('referral-rewards')}")
        raise typer.Exit


def _root(
    shown: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Durable referral rewards: from a referral to a reward that a person approved."""
