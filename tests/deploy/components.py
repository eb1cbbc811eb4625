"""What docker-compose.yml and the Kubernetes manifests say of each process of ours, in one form."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy.kustomize import Manifest, pod, rendered, workloads

ROOT: Final = Path(__file__).parents[2]
_PROBES: Final = ("startupProbe", "livenessProbe", "readinessProbe")
_PROBED: Final = re.compile(r"http://127\.0\.0\.1:(\d+)(/\w+)")


@dataclass(frozen=True)
class Component:
    """A process of ours: its command, its environment, the ports that others reach, and what asks how it is.

    ``given`` are the values that stand in the file, empty ones left out; ``named`` are all variables, those too whose
    value comes from a secret or from outside. ``mounted`` are the paths of secrets, ``folders`` of all else that is
    mounted. ``probed_from_outside``: by somebody who cannot reach loopback.
    """

    name: str
    command: tuple[str, ...]
    given: Mapping[str, str]
    named: frozenset[str]
    ports: frozenset[int]
    probes: frozenset[tuple[int, str]]
    mounted: tuple[str, ...]
    folders: tuple[str, ...]
    probed_from_outside: bool


def components() -> dict[str, Component]:
    """Return every component of compose and of each overlay by its name."""
    found = [*_of_compose(), *(each for overlay in ("production", "staging") for each in _of_kubernetes(overlay))]
    return {each.name: each for each in found}


def _of_compose() -> Iterator[Component]:
    services: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        if service.get("build") != ".":
            continue
        asked = " ".join(service.get("healthcheck", {}).get("test", ()))
        yield Component(
            f"compose-{name}",
            tuple(service["command"]),
            {key: str(value) for key, value in service["environment"].items() if "${" not in str(value)},
            frozenset(service["environment"]),
            frozenset(int(port.rpartition(":")[2]) for port in service.get("ports", ())),
            frozenset((int(port), path) for port, path in _PROBED.findall(asked)),
            tuple(f"/run/secrets/{each}" for each in service.get("secrets", ())),
            tuple(each.removesuffix(":ro").rpartition(":")[2] for each in service.get("volumes", ())),
            probed_from_outside=False,
        )


def _of_kubernetes(overlay: str) -> Iterator[Component]:
    objects = rendered(ROOT / "deploy" / "kubernetes" / "overlays" / overlay)
    maps = {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "ConfigMap"}
    for workload, container in workloads(objects):
        settled: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            settled |= maps[source["configMapRef"]["name"]]
        settled |= {each["name"]: each.get("value", "") for each in container["env"]}
        ports = {each["name"]: each["containerPort"] for each in container.get("ports", ())}
        yield Component(
            f"{overlay}-{workload['metadata']['name']}",
            tuple(container["command"]),
            {key: value for key, value in settled.items() if value},
            frozenset(settled),
            frozenset(ports.values()),
            frozenset(_probes(container, ports)),
            _mounted(workload, container, secret=True),
            _mounted(workload, container, secret=False),
            probed_from_outside=True,
        )


def _probes(container: Manifest, ports: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    for kind in _PROBES:
        if kind in container:
            asked = container[kind]["httpGet"]
            yield ports[asked["port"]], asked["path"]


def _mounted(workload: Manifest, container: Manifest, *, secret: bool) -> tuple[str, ...]:
    """Return where the volumes of secrets, or all others, are mounted."""
    its = {each["name"] for each in pod(workload)["volumes"] if ("secret" in each) is secret}
    return tuple(each["mountPath"] for each in container["volumeMounts"] if each["name"] in its)
