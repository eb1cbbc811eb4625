"""What docker-compose.yml and the Kubernetes manifests say of our processes is what the code reads, runs and serves."""

import json
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
from referral_rewards.config.site import SITE_PREFIX, SiteSettings
from referral_rewards.config.stack import PREFIX
from referral_rewards.local.keys import ensure_keys
from referral_rewards.operation.pulse import Pulse, Readiness
from referral_rewards.operation.server import application
from referral_rewards.site.app import PROBES
from tests.deploy.components import ROOT, Component, components
from worker.process import secrets_of
from worker.roles import OF_PROVIDERS, ROLES

COMPONENTS: Final = components()
#: What secrets hold without which no component loads its settings.
_FROM_SECRETS: Final = {
    f"{PREFIX}DATABASE_URL": "postgresql://role:password@host:5432/db",
    f"{PREFIX}PEPPER": "00" * 32,
    f"{PREFIX}PERSONAL_KEYS": "00" * 32,
}
_SHARED: Final = ("DATABASE_URL", "PEPPER", "PERSONAL_KEYS", "VERIFY_KEYS", "REGION", "REGIONS")
_SITE_SECRETS: Final = {
    f"{SITE_PREFIX}TOKEN": "rrt_1",
    f"{SITE_PREFIX}SECRET": "00" * 16,
    f"{SITE_PREFIX}LINK_SECRETS": json.dumps(["00" * 16]),
}
_API: Final = ("python", "-m", "referral_rewards.api")
_UPGRADE: Final = ("referrals", "db", "upgrade")
_SITE: Final = ("python", "-m", "referral_rewards.site")
each_component = pytest.mark.parametrize("component", COMPONENTS.values(), ids=COMPONENTS)


def _serves(component: Component) -> bool:
    return component.command != _UPGRADE


def test_each_place_runs_the_same_processes_and_a_cluster_one_for_each_provider() -> None:
    commands: dict[str, set[tuple[str, ...]]] = {}
    for name, each in COMPONENTS.items():
        commands.setdefault(name.partition("-")[0], set()).add(each.command)
    on_one_host = {_API, _UPGRADE, _SITE, *(_worker(role) for role in ("referrals", "payouts"))}
    cluster = on_one_host | {_worker(role) for role in OF_PROVIDERS.values()}
    assert commands == {"compose": on_one_host, "production": cluster, "staging": cluster}
    assert {each[-1] for each in cluster if "worker" in each} == {*ROLES} - {"all"}


def _worker(role: str) -> tuple[str, ...]:
    return ("python", "-m", "worker", "--role", role)


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
    # Its arguments were understood: what it misses is named by the variable that all places set.
    missing = f"{SITE_PREFIX}TOKEN" if command == _SITE else f"{PREFIX}DATABASE_URL"
    assert (done.returncode, missing in done.stderr) == (2, True), done.stderr


@each_component
def test_each_variable_is_read(component: Component) -> None:
    prefix, fields = (SITE_PREFIX, SiteSettings) if component.command == _SITE else (PREFIX, Settings)
    settings = {prefix + field.upper() for field in fields.model_fields}
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
    if isinstance(settings, SiteSettings):
        served, host = {settings.port}, settings.host
    elif component.command == _API:
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
    if component.command == _SITE:
        assert {path for _, path in component.probes} <= set(PROBES)
        return
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
    return any(path == each or path.startswith(f"{each}/") for each in (*component.mounted, *component.folders))


#: What one place alone needs: another's pooler, and another's way to Temporal.
_OF_A_CLUSTER: Final = {
    *(f"{PREFIX}DATABASE_POOLING", "TEMPORAL_API_KEY"),
    *("TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_KEY_PATH"),
}


@pytest.mark.parametrize("command", sorted({each.command for each in COMPONENTS.values()}))
def test_what_can_be_set_in_one_place_can_be_set_in_all(command: tuple[str, ...]) -> None:
    """A setting that a file forgets is read nowhere, and nobody is told."""
    named = {name: each.named - _OF_A_CLUSTER for name, each in COMPONENTS.items() if each.command == command}
    assert len(set(named.values())) == 1, {
        name: sorted(frozenset.union(*named.values()) - its) for name, its in named.items()
    }


@each_component
def test_only_the_api_is_given_the_signing_key(component: Component) -> None:
    assert (f"{PREFIX}SIGNING_KEY" in component.named) is (component.command == _API)


@each_component
def test_what_all_must_agree_on_is_given_to_all(component: Component) -> None:
    shared = {f"{PREFIX}{name}" for name in _SHARED}
    shared |= {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}
    assert shared <= component.named or component.command in (_UPGRADE, _SITE)
    migrations = {f"{PREFIX}{name}" for name in ("DATABASE_URL", "DATABASE_API_ROLE", "DATABASE_WORKER_ROLE")}
    assert _serves(component) or component.named == migrations


@pytest.mark.parametrize("name", [name for name, each in COMPONENTS.items() if "worker" in each.command])
def test_a_worker_is_given_every_secret_without_which_it_does_not_start(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = ensure_keys(tmp_path).verify_keys
    settings = _settings(COMPONENTS[name], monkeypatch, tmp_path / "none")
    assert isinstance(settings, Settings)
    assert secrets_of(settings.model_copy(update={"verify_keys": keys}))


@each_component
def test_the_front_door_is_given_settings_of_its_own_alone(component: Component) -> None:
    its = {name for name in component.named if name.startswith(SITE_PREFIX)}
    assert its == (component.named if component.command == _SITE else set())


def _settings(component: Component, monkeypatch: pytest.MonkeyPatch, data: Path) -> Settings | SiteSettings:
    """The settings that the component loads from what its file gives it."""
    for name in [name for name in os.environ if name.startswith((PREFIX, "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    given = {name: value for name, value in component.given.items() if name.startswith(PREFIX)}
    secrets = _SITE_SECRETS if component.command == _SITE else _FROM_SECRETS
    named = {name: value for name, value in secrets.items() if name in component.named}
    for name, value in (named | given).items():
        monkeypatch.setenv(name, value)
    return SiteSettings.load(host=None, port=None) if component.command == _SITE else Settings.load(data=data)
