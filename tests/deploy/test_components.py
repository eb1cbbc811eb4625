"""What docker-compose.yml and the Kubernetes manifests say of our processes is what the code reads, runs and serves."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.sdk import environment_variables
from temporalio.envconfig import ClientConfigProfile

from referral_rewards.api import health
from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import PREFIX
from referral_rewards.operation.pulse import Pulse, Readiness
from referral_rewards.operation.server import application
from tests.deploy.components import ROOT, Component, components
from worker.process import ROLES

COMPONENTS: Final = components()
#: What secrets hold without which no component loads its settings.
_FROM_SECRETS: Final = {
    f"{PREFIX}DATABASE_URL": "postgresql://role:password@host:5432/db",
    f"{PREFIX}PEPPER": "00" * 32,
}
_API: Final = ("python", "-m", "referral_rewards.api")
_UPGRADE: Final = ("referrals", "db", "upgrade")
each_component = pytest.mark.parametrize("component", COMPONENTS.values(), ids=COMPONENTS)


def _serves(component: Component) -> bool:
    return component.command != _UPGRADE


def test_each_place_runs_the_same_four_processes() -> None:
    commands: dict[str, set[tuple[str, ...]]] = {}
    for name, each in COMPONENTS.items():
        commands.setdefault(name.partition("-")[0], set()).add(each.command)
    four = {_API, _UPGRADE, *(("python", "-m", "worker", "--role", role) for role in ROLES if role != "all")}
    assert commands == {"compose": four, "production": four, "staging": four}


@pytest.mark.parametrize("command", sorted({each.command for each in COMPONENTS.values()}))
@pytest.mark.suite_has(1)
def test_each_command_is_one_of_ours_and_asks_only_for_its_settings(command: tuple[str, ...], tmp_path: Path) -> None:
    program, *arguments = command
    assert program in {"python", *tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]}
    executable = sys.executable if program == "python" else str(Path(sys.executable).with_name(program))
    clean = {key: value for key, value in os.environ.items() if not key.startswith((PREFIX, "TEMPORAL_"))}
    done = subprocess.run(
        [executable, *arguments], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=240
    )
    # Its arguments were understood: what it misses is the database, named by the variable that both set.
    assert (done.returncode, f"{PREFIX}DATABASE_URL" in done.stderr) == (2, True), done.stderr


@each_component
def test_each_variable_is_read(component: Component) -> None:
    settings = {PREFIX + field.upper() for field in Settings.model_fields}
    assert {name for name in component.named if name.startswith(PREFIX)} <= settings
    others = {name for name in component.named if not name.startswith(PREFIX)}
    assert {name for name in others if not (_read_by_temporal(name) or _read_by_open_telemetry(name))} == set()


def _read_by_open_telemetry(name: str) -> bool:
    return hasattr(environment_variables, name)


def _read_by_temporal(name: str) -> bool:
    with_it = ClientConfigProfile.load(disable_file=True, override_env_vars={name: "something"})
    return with_it != ClientConfigProfile.load(disable_file=True, override_env_vars={})


def test_this_check_finds_a_variable_that_temporal_does_not_read() -> None:
    assert _read_by_temporal("TEMPORAL_ADDRESS")
    assert not _read_by_temporal("TEMPORAL_ADRESS")
    assert not _read_by_temporal("TEMPORAL_TLS_CERT")


@each_component
def test_each_value_is_one_that_the_settings_take_and_leads_to_its_ports(
    component: Component, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = _settings(component, monkeypatch, tmp_path)
    if component.command == _API:
        served = {port for port in (settings.api_port, settings.operation_port) if port}
        host = settings.api_host
    elif _serves(component):
        told = settings.temporal_metrics
        served = {port for port in (settings.operation_port, told and int(told.rpartition(":")[2])) if port}
        host = settings.operation_host
    else:
        served, host = set(), "0.0.0.0"
    assert component.ports <= served
    assert {port for port, _ in component.probes} <= served
    assert bool(component.probes) is _serves(component)
    assert not component.probed_from_outside or (component.ports, host) == (served, "0.0.0.0")


@each_component
def test_each_probe_asks_what_the_process_answers(component: Component) -> None:
    operation = application(Pulse(), Readiness(), lambda: b"")
    routes = [*operation.routes, *(health.router.routes if component.command == _API else ())]
    assert {path for _, path in component.probes} <= {route.path for route in routes}  # type: ignore[attr-defined]


@each_component
def test_each_file_that_is_named_is_mounted(component: Component) -> None:
    files = {name: value for name, value in component.given.items() if value.startswith("/")}
    unmounted = {name for name, path in files.items() if not _is_mounted(path, component)}
    assert unmounted == set()
    assert {path for path in component.mounted if not any(file.startswith(path) for file in files.values())} == set()


def _is_mounted(path: str, component: Component) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in component.mounted)


@each_component
def test_only_the_api_is_given_the_signing_key(component: Component) -> None:
    assert (f"{PREFIX}SIGNING_KEY" in component.named) is (component.command == _API)


@each_component
def test_what_all_must_agree_on_is_given_to_all(component: Component) -> None:
    shared = {f"{PREFIX}{name}" for name in ("DATABASE_URL", "PEPPER", "VERIFY_KEYS", "REGION", "REGIONS")}
    shared |= {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}
    assert shared <= component.named or not _serves(component)
    migrations = {f"{PREFIX}{name}" for name in ("DATABASE_URL", "DATABASE_API_ROLE", "DATABASE_WORKER_ROLE")}
    assert _serves(component) or component.named == migrations


def _settings(component: Component, monkeypatch: pytest.MonkeyPatch, data: Path) -> Settings:
    """The settings that the component loads from what its file gives it."""
    for name in [name for name in os.environ if name.startswith((PREFIX, "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    given = {name: value for name, value in component.given.items() if name.startswith(PREFIX)}
    for name, value in (_FROM_SECRETS | given).items():
        monkeypatch.setenv(name, value)
    return Settings.load(data=data)
