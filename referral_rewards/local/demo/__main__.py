"""`python -m referral_rewards.local.demo`: starts an ephemeral stack on free loopback ports, plays the demo, and prints
the table of results.

Exit codes: 0 all as expected, 1 any difference, 130 interrupted.
"""

from referral_rewards import interrupts

if __name__ == "__main__":
    interrupts.end_at_once()

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from rich.console import Console

from models.session import Database
from referral_rewards.config.credentials import passwords_file
from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import PREFIX
from referral_rewards.domain.errors import ReferralRewardsError
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.local import event_sources, front_door
from referral_rewards.local.bootstrap import example_front_door
from referral_rewards.local.demo import approvers, story
from referral_rewards.local.demo.door import PROGRAM, Door
from referral_rewards.local.demo.output import Progress, show
from referral_rewards.local.demo.script import Script
from referral_rewards.local.embedded import HOST, free_port
from referral_rewards.local.sandbox.shops.delivery import signing
from referral_rewards.local.stack import Ports, stack
from referral_rewards.register import programs
from referral_rewards.register.decisions.signing import KeyRing

FAILED = 1
_REFERRALS = quote('WorkflowType="Referral"')


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo and return the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description="Live a cast of referrals through on real servers.")
    parser.add_argument("--stay", action="store_true", help="leave everything running at the end, until Ctrl-C")
    stay = parser.parse_args(arguments).stay
    _forget_other_places()
    try:
        interrupts.raise_again()
        return asyncio.run(_until_signalled(stay))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("interrupted; everything is stopped and removed\n")
        return interrupts.INTERRUPTED
    except ReferralRewardsError as error:
        sys.stderr.write(f"demo: {error}\n")
        return FAILED


async def demo(console: Console, *, stay: bool) -> int:
    """Start the stack, play the demo, and print the table of results."""
    script, progress = Script.load(), Progress(console)
    tokens: dict[str, str] = {}
    chosen: list[Settings] = []

    async def furnish(settings: Settings) -> None:
        chosen.append(settings)
        database = Database.at(settings.database_url, pool_size=1, personal=settings.personal())
        try:
            for source in script.programs:
                await database.write(programs.publish, source, by="demo", at=datetime.now(UTC))
            tokens.update(await approvers.hire(database))
            if stay:
                await approvers.let_in(database, settings.data, tokens)
        finally:
            await database.close()
        await example_front_door(settings)

    progress.say("starting PostgreSQL, Temporal, the API and the workers")
    with tempfile.TemporaryDirectory(prefix="referrals-demo-", ignore_cleanup_errors=True) as folder:
        ports = Ports(*(free_port() for _ in Ports._fields))
        running = stack(Path(folder), ports, bootstrap=[furnish], sandboxes=True, site=True, say=progress.say)
        async with running as (_, info):
            settings = chosen[0]
            assert settings.verify_keys is not None
            progress.say(f"watch it in the Temporal Web UI while it runs: {info.web_ui}")
            progress.say(f"only the referrals: {info.web_ui}/namespaces/default/workflows?query={_REFERRALS}")
            progress.say(f"the API answers at {info.api} (OpenAPI at {info.api}/docs)")
            outcome = await story.tell(
                script, settings, KeyRing.load(settings.verify_keys), tokens, _door(settings, ports.site), progress
            )
            _conclude(console, outcome, progress)
            if stay:
                progress.say(f"everything stays up until Ctrl-C; {PREFIX}DATA={folder} lets other commands find it")
                progress.say(
                    f"--as takes {listed(approvers.PEOPLE, 'or')}; sign in with {passwords_file(settings.data)}"
                )
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
    return outcome.exit_code


def _door(settings: Settings, port: int) -> Door:
    def link(customer: str) -> str:
        return front_door.link(settings.data, port, PROGRAM, customer)

    url, signs = f"http://{HOST}:{port}", signing(event_sources.secrets_of(settings.data))
    return Door(url, link, settings.data / "mail", settings.api_url, signs)


def _conclude(console: Console, outcome: story.Outcome, progress: Progress) -> None:
    show(console, outcome.rows)
    for problem in outcome.problems:
        console.print(f"✗ {problem}", markup=False, highlight=False, soft_wrap=True, style="red")
    if not outcome.problems:
        progress.say(outcome.summary)
    right = sum(row.right for row in outcome.rows)
    progress.say(f"{right} of {len(outcome.rows)} referrals came to what was expected")


async def _until_signalled(stay: bool) -> int:
    """Run until done, or until SIGTERM or Ctrl-C ends it cleanly, even if the parent process ignored Ctrl-C."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await demo(Console(), stay=stay)


def _forget_other_places() -> None:
    """Remove servers from the environment: the demo starts its own, and its facts must never reach real ones."""
    for name in [name for name in os.environ if name.startswith((PREFIX, "TEMPORAL_"))]:
        del os.environ[name]
    os.environ["TEMPORAL_CONFIG_FILE"] = os.devnull


if __name__ == "__main__":
    code = main()
    interrupts.end_at_once()
    sys.exit(code)
