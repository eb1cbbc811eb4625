"""The Kubernetes manifests are sound without a cluster at hand: their form, who holds which secret, who speaks to whom.

Each object of each overlay is checked, strictly, against the schema of Kubernetes, and those of KEDA against the schema
of its own definitions. What they say of our code is checked with docker-compose.yml in `test_components.py`.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from referral_rewards.config.settings import Settings
from referral_rewards.config.stack import PREFIX
from referral_rewards.domain.payouts.rail_catalogue import RAILS_OF
from tests.deploy.kustomize import Manifest, documents, pod, rendered, workloads
from worker import build
from worker.watched import Watched

ROOT: Final = Path(__file__).parents[2]
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
OVERLAYS: Final = {name: rendered(KUBERNETES / "overlays" / name) for name in ("production", "staging")}
#: The oldest version that has what we use (a pause before a pod is told to stop).
VERSION: Final = "1.33"
OBJECTS: Final = [
    pytest.param(each, id=f"{overlay}-{each['kind']}-{each['metadata']['name']}")
    for overlay, objects in OVERLAYS.items()
    for each in objects
]
overlays = pytest.mark.parametrize("objects", OVERLAYS.values(), ids=OVERLAYS)
#: What KEDA's scalers take (keda.sh/docs, `temporal` and `prometheus`); their values are texts.
TRIGGERS: Final = {
    "temporal": {"endpoint", "namespace", "taskQueue", "queueTypes", "targetQueueSize"},
    "prometheus": {"serverAddress", "query", "threshold"},
}
#: Ports by the component that may open a connection to them; names are resolved by all.
SPEAKS_TO: Final = {
    "api": {"5432": "database", "7233": "0.0.0.0/0", "443": "outside"},
    "worker-referrals": {
        "5432": "database",
        "7233": "0.0.0.0/0",
        "443": "outside",
        "465": "outside",
        "587": "outside",
    },
    **{
        each: {"5432": "database", "7233": "0.0.0.0/0", "443": "outside"}
        for each in ("worker-payouts", *(f"worker-payouts-{provider}" for provider in RAILS_OF))
    },
    "migrations": {"5432": "database"},
    "site": {"8700": "api", "443": "outside", "465": "outside", "587": "outside"},
}


@pytest.fixture(scope="module", autouse=True)
def schemas_are_read_once() -> Iterator[None]:
    """The definitions alone are megabytes, and are the same for each object."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield


@pytest.mark.parametrize("manifest", OBJECTS)
def test_each_object_has_the_form_that_kubernetes_asks_for(manifest: Manifest) -> None:
    _check(manifest)


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("Deployment", "referrals-api", ("spec", "replica"), 2),
        ("NetworkPolicy", "referrals-nobody", ("spec", "podSelektor"), {}),
        ("ScaledObject", "referrals-worker-referrals", ("spec", "maxReplicas"), 2),
        ("ScaledObject", "referrals-worker-referrals", ("spec", "maxReplicaCount"), "two"),
        ("TriggerAuthentication", "referrals-temporal", ("spec", "secretTargetRef"), [{"name": "a"}]),
    ],
)
def test_a_misspelt_or_wrong_field_is_refused(kind: str, name: str, path: tuple[str, str], value: object) -> None:
    manifest = json.loads(json.dumps(_named(OVERLAYS["production"], kind, name)))
    manifest[path[0]][path[1]] = value
    with pytest.raises(jsonschema.ValidationError):
        _check(manifest)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on this machine")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubectl_renders_the_same(overlay: str) -> None:
    command = ["kubectl", "kustomize", str(KUBERNETES / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert _by_name(yaml.safe_load_all(done.stdout)) == _by_name(OVERLAYS[overlay])


@overlays
def test_every_pod_is_hardened(objects: list[Manifest]) -> None:
    user = int(re.search(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    for workload, container in workloads(objects):
        spec, name = pod(workload), workload["metadata"]["name"]
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert container["resources"].keys() == {"requests", "limits"}, name
        assert spec["serviceAccountName"] == name
        assert spec["automountServiceAccountToken"] is False
        assert _named(objects, "ServiceAccount", name)["automountServiceAccountToken"] is False


@overlays
def test_no_service_gives_a_pod_a_setting_of_ours(objects: list[Manifest]) -> None:
    """A Service `referrals-api` is REFERRALS_API_PORT=tcp://… to every pod that is handed links to services."""
    for workload, _ in workloads(objects):
        assert pod(workload)["enableServiceLinks"] is False


@overlays
def test_an_image_is_named_by_its_version(objects: list[Manifest]) -> None:
    for _, container in workloads(objects):
        assert re.fullmatch(r"registry\.example\.com/referral-rewards:\d+\.\d+\.\d+", container["image"])


@overlays
def test_the_worker_of_a_provider_alone_is_handed_its_secrets_and_all_of_them(objects: list[Manifest]) -> None:
    handed: dict[str, set[str]] = {}
    for workload, container in workloads(objects):
        name = workload["metadata"]["name"]
        handed |= {f"{name} {secret}": keys for secret, keys in _secrets(workload, container) if "-provider-" in secret}
        rails = {each["name"] for each in container["env"] if each["name"].startswith(f"{PREFIX}RAIL_")}
        of = name.removeprefix("referrals-worker-payouts-") if "worker-payouts-" in name else None
        unpaced = {f"{PREFIX}{each.upper()}" for each in Settings.model_fields if _is_of_provider(each, of)}
        assert rails == unpaced, name
    assert set(handed) == {f"referrals-worker-payouts-{each} referrals-provider-{each}" for each in RAILS_OF}


def _is_of_provider(setting: str, provider: str | None) -> bool:
    return re.match(rf"rail_{provider}_(?!.*(url|second)$)", setting) is not None


@overlays
def test_only_the_api_is_handed_the_signing_key_and_the_secrets_of_events(objects: list[Manifest]) -> None:
    for secret in ("referrals-signing-key", "referrals-webhook-secrets", "referrals-sign-in"):
        holders = [w["metadata"]["name"] for w, c in workloads(objects) if secret in dict(_secrets(w, c))]
        assert holders == ["referrals-api"], secret


@overlays
def test_api_workers_and_migrations_reach_the_database_as_three(objects: list[Manifest]) -> None:
    found = {
        workload["metadata"]["name"]: _reference(container, f"{PREFIX}DATABASE_URL")["name"]
        for workload, container in workloads(objects)
        if workload["metadata"]["name"] != "referrals-site"
    }
    assert found == {
        "referrals-api": "referrals-database-api",
        "referrals-worker-referrals": "referrals-database-workers",
        "referrals-worker-payouts": "referrals-database-workers",
        **{f"referrals-worker-payouts-{each}": "referrals-database-workers" for each in RAILS_OF},
        "referrals-migrations": "referrals-database-migrations",
    }


@overlays
def test_the_migrations_know_the_database_and_nothing_else(objects: list[Manifest]) -> None:
    job = _named(objects, "Job", "referrals-migrations")
    (container,) = pod(job)["containers"]
    assert dict(_secrets(job, container)) == {"referrals-database-migrations": {"url"}}
    assert "envFrom" not in container


@overlays
def test_no_secret_stands_in_the_manifests(objects: list[Manifest]) -> None:
    assert [each for each in objects if each["kind"] == "Secret"] == []
    secret = {
        f"{PREFIX}{name.upper()}" for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)
    }
    secret |= {f"{PREFIX}DATABASE_URL", "TEMPORAL_API_KEY"}
    for each in objects:
        assert each["kind"] != "ConfigMap" or secret.isdisjoint(each["data"])
    for _, container in workloads(objects):
        for variable in container["env"]:
            assert variable["name"] not in secret or variable.keys() == {"name", "valueFrom"}, variable["name"]


def test_the_example_names_every_secret_with_its_keys_and_no_value() -> None:
    example = {each["metadata"]["name"]: each["stringData"] for each in documents(KUBERNETES / "secrets.example.yaml")}
    named: dict[str, set[str]] = {}
    for objects in OVERLAYS.values():
        for workload, container in workloads(objects):
            for name, keys in _secrets(workload, container):
                named.setdefault(name, set()).update(keys)
    assert {name: set(keys) for name, keys in example.items()} == named
    assert {value for keys in example.values() for value in keys.values()} == {""}
    for each in documents(KUBERNETES / "secrets.example.yaml"):
        kubernetes_validate.validate(each, VERSION, strict=True)


@overlays
def test_a_worker_has_more_time_to_end_than_its_work_in_progress(objects: list[Manifest]) -> None:
    workers = [each["metadata"]["name"] for each, _ in workloads(objects) if "-worker-" in each["metadata"]["name"]]
    assert len(workers) == 2 + len(RAILS_OF)
    for name in workers:
        grace = timedelta(seconds=pod(_named(objects, "Deployment", name))["terminationGracePeriodSeconds"])
        assert grace >= 2 * build.GRACE, name


@overlays
def test_one_pod_of_each_component_goes_on_while_nodes_are_drained(objects: list[Manifest]) -> None:
    deployments = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Deployment"}
    budgets = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "PodDisruptionBudget"}
    # Its store is one file: a second pod could not open it, and a budget would keep its node from being drained.
    assert deployments.pop("referrals-site")["spec"]["strategy"] == {"type": "Recreate"}
    assert budgets.keys() == deployments.keys()
    for name, deployment in deployments.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        assert budgets[name] == {"minAvailable": 1, "selector": {"matchLabels": labels}}
        scaled = [
            each["spec"] for each in objects if each["kind"] == "ScaledObject" and each["metadata"]["name"] == name
        ]
        least = scaled[0]["minReplicaCount"] if scaled else deployment["spec"]["replicas"]
        assert least >= 2, name
        assert ("replicas" in deployment["spec"]) is not bool(scaled), "an apply would undo what was scaled"


@overlays
def test_nobody_speaks_to_anybody_who_is_not_named(objects: list[Manifest]) -> None:
    nobody = _named(objects, "NetworkPolicy", "referrals-nobody")["spec"]
    assert nobody == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@overlays
@pytest.mark.parametrize("component", SPEAKS_TO)
def test_a_component_speaks_only_to_whom_it_must(objects: list[Manifest], component: str) -> None:
    found = {}
    for rule in _rules(objects, component, "egress"):
        (where,) = rule["to"]
        if "ipBlock" not in where and "namespaceSelector" not in where:
            told = where["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
            found |= {str(each["port"]): told for each in rule["ports"]}
            continue
        if "ipBlock" not in where:
            assert [each["port"] for each in rule["ports"]] == [53, 53]
            continue
        block = where["ipBlock"]
        private = block["cidr"].startswith("10.")
        told = "database" if private else "outside" if "except" in block else block["cidr"]
        assert told != "outside" or "169.254.0.0/16" in block["except"], "where clouds hand out credentials"
        found |= {str(each["port"]): told for each in rule["ports"]}
    found.pop("6432", None)  # a pooler's
    assert found == SPEAKS_TO[component]


@overlays
def test_only_the_ingress_reaches_the_api_and_only_monitoring_the_rest(objects: list[Manifest]) -> None:
    def reached(component: str) -> set[tuple[str, str]]:
        return {
            (_who(each), str(port["port"]))
            for rule in _rules(objects, component, "ingress")
            for each in rule["from"]
            for port in rule["ports"]
        }

    monitored = {("monitoring", port) for port in ("9400", "9464")}
    assert reached("api") == {("ingress-nginx", "http"), ("site", "http"), *monitored}
    assert reached("site") == {("ingress-nginx", "http")}
    workers = ("worker-referrals", "worker-payouts", *(f"worker-payouts-{each}" for each in RAILS_OF))
    assert all(reached(each) == monitored for each in workers)
    assert reached("migrations") == set()


def _who(peer: Manifest) -> str:
    """A namespace, or a component of ours."""
    if "namespaceSelector" in peer:
        return str(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
    return str(peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"])


@overlays
def test_the_front_door_holds_its_own_secret_and_nobody_else_does(objects: list[Manifest]) -> None:
    held = {w["metadata"]["name"]: set(dict(_secrets(w, c))) for w, c in workloads(objects)}
    assert held.pop("referrals-site") == {"referrals-site"}
    assert not any("referrals-site" in secrets for secrets in held.values())


@overlays
def test_the_api_and_the_workers_are_handed_the_sources_of_events(objects: list[Manifest]) -> None:
    held = [w["metadata"]["name"] for w, c in workloads(objects) if "referrals-event-sources" in dict(_secrets(w, c))]
    asks = [w["metadata"]["name"] for w, _ in workloads(objects) if "-worker-" in w["metadata"]["name"]]
    assert sorted(held) == sorted(["referrals-api", *asks])


def test_what_is_scaled_follows_what_is_there_and_is_told() -> None:
    objects = OVERLAYS["production"]
    scaled = _named(objects, "ScaledObject", "referrals-worker-referrals")["spec"]
    assert _named(objects, "Deployment", scaled["scaleTargetRef"]["name"])
    triggers = {each["type"]: each["metadata"] for each in scaled["triggers"]}
    assert {kind: set(given) for kind, given in triggers.items()} == TRIGGERS
    settings = _named(objects, "ConfigMap", "referrals-settings")["data"]
    assert triggers["temporal"]["taskQueue"] == Settings.model_fields["referrals_queue"].default
    assert triggers["temporal"]["endpoint"] == settings["TEMPORAL_ADDRESS"]
    assert triggers["temporal"]["namespace"] == settings["TEMPORAL_NAMESPACE"]
    assert int(triggers["temporal"]["targetQueueSize"]) == build.TASKS_AT_ONCE
    (metric,) = re.findall(r"referrals_\w+", triggers["prometheus"]["query"])
    assert f"# TYPE {metric} gauge" in Watched().exposition().decode()


def _check(manifest: Manifest) -> None:
    """Raises ValidationError if the object is not of its kind's form."""
    if not manifest["apiVersion"].startswith("keda.sh/"):
        kubernetes_validate.validate(manifest, VERSION, strict=True)
        return
    schema = json.loads((Path(__file__).parent / "schemas" / f"keda.sh_{manifest['kind'].lower()}s.json").read_text())
    jsonschema.Draft7Validator(_strict(schema)).validate(manifest)


def _strict(schema: Any) -> Any:
    """A schema that refuses fields which it does not name: a cluster would drop them in silence."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: _strict(each) for name, each in schema.items()}
    open_ = "additionalProperties" in schema or "x-kubernetes-preserve-unknown-fields" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_:
        told["additionalProperties"] = False
    return told


def _named(objects: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def _by_name(objects: Any) -> dict[tuple[str, str], Manifest]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def _secrets(workload: Manifest, container: Manifest) -> Iterator[tuple[str, set[str]]]:
    """The secrets that a pod is handed, each with the keys that are named; of a mounted one, all that we read of it."""
    found: dict[str, set[str]] = {}
    for variable in container["env"]:
        if "valueFrom" in variable:
            reference = variable["valueFrom"]["secretKeyRef"]
            found.setdefault(reference["name"], set()).add(reference["key"])
    for volume in pod(workload)["volumes"]:
        if "secret" in volume:
            (mount,) = (each for each in container["volumeMounts"] if each["name"] == volume["name"])
            files = {
                variable["value"].removeprefix(f"{mount['mountPath']}/")
                for variable in container["env"]
                if variable.get("value", "").startswith(f"{mount['mountPath']}/")
            }
            found.setdefault(volume["secret"]["secretName"], set()).update(files)
    yield from found.items()


def _reference(container: Manifest, variable: str) -> Manifest:
    (found,) = (each["valueFrom"]["secretKeyRef"] for each in container["env"] if each["name"] == variable)
    return dict(found)


def _rules(objects: list[Manifest], component: str, direction: str) -> Iterator[Manifest]:
    """The rules of all policies that select the pods of a component."""
    for each in objects:
        if each["kind"] == "NetworkPolicy" and _selects(each["spec"]["podSelector"], component):
            yield from each["spec"].get(direction, ())


def _selects(selector: Manifest, component: str) -> bool:
    for expression in selector.get("matchExpressions", ()):
        assert (expression["key"], expression["operator"]) == ("app.kubernetes.io/component", "In")
        if component not in expression["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= {"app.kubernetes.io/part-of": "referrals"}.items()
