"""The wheel builds, installs into an environment of its own, and its command runs there."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What one machine and a checkout need: embedded servers, sandboxes, the demo.
LOCAL = Path("referral_rewards") / "local"
ROOMS = {"referral_rewards", "workflows", "activities", "models", "worker"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, capture_output=True, timeout=240)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_room_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == ROOMS
    assert not [name for name in names if name.startswith(f"{LOCAL}/")], "a cluster runs no embedded servers"


def test_the_wheel_holds_what_is_not_code(wheel: Path) -> None:
    """Migrations, templates and the like are loaded from the package at run time: none may be left behind."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    here = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.is_relative_to(ROOT / LOCAL)
    }
    assert here - names == set()


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_the_installed_command_runs_without_the_embedded_servers(wheel: Path, tmp_path: Path) -> None:
    """A real install of what a cluster's image gets; pip's cache makes it quick after `make setup`."""
    venv.create(tmp_path / "venv")
    # Our own pip serves the other environment: to install one there, and to compile all that is never imported, takes
    # as long as everything else.
    pip = [sys.executable, "-m", "pip", "--python", str(tmp_path / "venv" / "bin" / "python")]
    install = [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    runtime = str(ROOT / "requirements" / "runtime.txt")
    subprocess.run([*install, "--require-hashes", "-r", runtime], check=True, capture_output=True)
    subprocess.run([*install, "--no-deps", str(wheel)], check=True, capture_output=True)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = str(tmp_path / "venv" / "bin" / "referrals")
    done = subprocess.run([command, "--help"], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "ingest" in done.stdout
    refused = subprocess.run([command, "up"], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=240)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "no embedded servers" in refused.stderr
    subprocess.run([*pip, "check"], check=True, capture_output=True)
