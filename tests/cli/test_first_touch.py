"""The first minute at a terminal: help, the version, completion, a mistyped command, and Ctrl-C while that loads."""

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from referral_rewards.cli.commands import COMMANDS, app
from referral_rewards.local.embedded import free_port
from tests.seeds import partly

REFERRALS = [sys.executable, "-m", "referral_rewards.cli.main"]
ROOT = Path(__file__).parents[2]


def referrals(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*REFERRALS, *arguments], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def groups() -> list[str]:
    context = typer.Context(app())
    return [name for name in COMMANDS if hasattr(loaded(name, context), "commands")]


def loaded(name: str, context: typer.Context) -> typer.core.TyperCommand | typer.core.TyperGroup:
    _, command, _ = app().resolve_command(context, [name])
    assert isinstance(command, typer.core.TyperCommand | typer.core.TyperGroup)
    return command


@pytest.mark.parametrize("arguments", [[], ["payout"], ["db"], ["--help"], ["-h"], ["payout", "-h"]])
def test_help_is_printed_line_by_line_and_is_no_mistake(arguments: list[str]) -> None:
    ran = referrals(*arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("Usage: referrals ")
    assert "\nCommands:\n" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


# `rails` alone lists the rails.
@pytest.mark.parametrize("name", [name for name in groups() if name != "rails"])
def test_a_group_alone_lists_its_commands(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from referral_rewards.cli import main

    assert main.run([name]) == 0
    said = capsys.readouterr()
    assert (said.err, "\nCommands:\n" in said.out) == ("", True)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_itself_says(name: str) -> None:
    """The list is written apart, so that nothing is loaded for it: its line begins the command's own help."""
    command = loaded(name, typer.Context(app()))
    listed, own = COMMANDS[name].help, " ".join((command.help or "").split())
    assert own.startswith(listed.rstrip("."))
    assert command.name == name


def test_the_list_of_commands_loads_none_of_them() -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "referral_rewards.cli.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"rich.table", "sqlalchemy", "pydantic", "asyncio", "httpx", "cryptography", "temporalio"}


def test_the_version_is_that_of_the_package() -> None:
    ran = referrals("--version")
    assert (ran.returncode, ran.stdout) == (0, f"referrals {version('referral-rewards')}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["payuot"], "referrals: No such command 'payuot'. Did you mean 'payout'?"),
        (["payout", "lst"], "referrals payout: No such command 'lst'. Did you mean 'list'?"),
        (["list", "--progam", "x"], "referrals list: No such option: --progam (Possible options: --from, --program)"),
    ],
)
def test_what_is_mistyped_is_answered_with_the_nearest(arguments: list[str], told: str) -> None:
    ran = referrals(*arguments)
    assert (ran.returncode, ran.stderr) == (2, f"{told}\n")


@pytest.mark.parametrize(
    ("shell", "asked", "offered"),
    [
        ("bash", {"COMP_WORDS": "referrals pay", "COMP_CWORD": "1"}, {"payout", "payee"}),
        ("bash", {"COMP_WORDS": "referrals payout re", "COMP_CWORD": "2"}, {"retry", "refuse"}),
        ("bash", {"COMP_WORDS": "referrals payout list --st", "COMP_CWORD": "3"}, {"--state"}),
        (
            "fish",
            {"_TYPER_COMPLETE_ARGS": "referrals pay", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
            {"payout", "payee"},
        ),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "referrals pay"}, {"payout", "payee"}),
    ],
)
@pytest.mark.suite_has(2)
def test_shells_complete_commands_and_options(shell: str, asked: dict[str, str], offered: set[str]) -> None:
    ran = referrals(**asked, _REFERRALS_COMPLETE=f"complete_{shell}")
    assert ran.returncode == 0, ran.stderr
    words = set(re.findall(r"[\w-]+", ran.stdout))
    assert offered <= words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    ran = referrals(_REFERRALS_COMPLETE=f"source_{shell}")
    assert (ran.returncode, "referrals" in ran.stdout) == (0, True)


@pytest.mark.parametrize(
    ("started", "at"),
    [
        (["-m", "referral_rewards.cli.main", "list"], "typer.models"),
        (["-m", "referral_rewards.cli.main", "decisions", "verify"], "pydantic.main"),
        (["-m", "referral_rewards.cli.main", "up", "--ephemeral"], "typer.models"),
        (["-m", "referral_rewards.cli.main", "up", "--ephemeral"], "temporalio"),
        (["-m", "referral_rewards.local.demo"], "sqlalchemy.util"),
        (["-m", "referral_rewards.api"], "fastapi"),
        (["-m", "worker"], "sqlalchemy.util"),
    ],
)
@pytest.mark.suite_has(2)
def test_ctrl_c_while_modules_load_ends_quietly(started: list[str], at: str) -> None:
    """Python tells each module as it is loaded; the signal comes in the middle of that."""
    command = [sys.executable, "-X", "importtime", *started]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not (line := process.stderr.readline()).rstrip().endswith(f" {at}"):
            assert line, "it ended before"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "interrupted"


def test_a_file_of_claims_that_is_not_there_is_bad_input() -> None:
    ran = referrals("approve", "--from", "nowhere.json", "--reason", "terms_met", "--note", "x")
    assert (ran.returncode, ran.stderr) == (2, "nowhere.json: no such file or directory\n")


@pytest.mark.parametrize(
    "arguments", [["-h"], ["payout"], ["program", "lint", str(ROOT / "programs/acme-friends.yaml")]]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.suite_has(2)
def test_whoever_has_read_enough_ends_a_command_quietly(arguments: list[str], unbuffered: str) -> None:
    """Like `| head -1`: whether the command itself finds the pipe closed, or the end of the process does."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    ran = subprocess.run(
        [*REFERRALS, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, env=environment, check=False
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("until", partly(["starting", "ready"], suite=["starting"]))
@pytest.mark.chaos
def test_ctrl_c_ends_a_stack_in_order(until: str, tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("REFERRALS_", "TEMPORAL_"))
    }
    process = subprocess.Popen(
        [*REFERRALS, "up", "--ephemeral", "--port-base", str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    line = ""
    while until == "ready" and not line.startswith("ready in"):
        line = process.stdout.readline()
        assert line, "it ended early"
    if until == "starting":
        wait_for_a_folder(tmp_path)
    process.send_signal(signal.SIGINT)
    said, problems = process.communicate(timeout=120)
    assert (process.returncode, problems) == (130, "")
    assert said.splitlines()[-1] == "stopped"
    assert list(tmp_path.iterdir()) == []


def wait_for_a_folder(folder: Path) -> None:
    """Until the stack has begun to keep something there."""
    while not any(folder.glob("*/run/pids.json")):
        os.sched_yield()
