"""What docs/guides/deploying.md and deploy/README.md say of numbers and of an order is so."""

import re
from typing import Final

from models.session import engine
from tests.deploy.components import ROOT
from tests.deploy.kustomize import rendered
from worker import build

_GUIDE: Final = (ROOT / "docs" / "guides" / "deploying.md").read_text()
_README: Final = (ROOT / "deploy" / "README.md").read_text()
_PRODUCTION: Final = rendered(ROOT / "deploy" / "kubernetes" / "overlays" / "production")


def _connections(path: str) -> int:
    """How many connections a process opens at most: as many again as its pools hold."""
    return 2 * sum(map(int, re.findall(r"Database\.at\([^=]*pool_size=(\d+)", (ROOT / path).read_text())))


def test_the_connections_of_each_process_are_told() -> None:
    assert engine("postgresql+psycopg://nobody@nowhere/none", pool_size=7).pool._max_overflow == 7  # type: ignore[attr-defined]
    api, worker = _connections("referral_rewards/api/dependencies.py"), _connections("worker/process.py")
    command = _connections("referral_rewards/cli/administration.py")
    assert f"| API | {api} |" in _GUIDE
    assert f"| worker, of either role | {worker} |" in _GUIDE
    assert f"| a command such as `referrals user add` | {command} |" in _GUIDE
    most = next(each["spec"]["maxReplicaCount"] for each in _PRODUCTION if each["kind"] == "ScaledObject")
    assert f"may open {2 * api + (2 + most) * worker} connections" in _GUIDE


def test_what_a_worker_does_at_once_and_how_long_it_may_end_is_told() -> None:
    assert f"A worker handles {build.TASKS_AT_ONCE} workflow tasks" in _GUIDE
    assert f"Workers have {build.GRACE.seconds} seconds to finish" in _GUIDE


def test_settings_and_network_rules_can_be_applied_before_the_migrations_and_those_before_the_rest() -> None:
    shared = "app.kubernetes.io/part-of=referrals,!app.kubernetes.io/component"
    assert _README.index(shared) < _README.index("--selector app.kubernetes.io/component=migrations")
    kinds: dict[str | None, set[str]] = {}
    for each in _PRODUCTION:
        labels = each["metadata"]["labels"]
        if labels.get("app.kubernetes.io/part-of") == "referrals":
            kinds.setdefault(labels.get("app.kubernetes.io/component"), set()).add(each["kind"])
    assert kinds[None] == {"ConfigMap", "NetworkPolicy", "TriggerAuthentication"}
    assert kinds["migrations"] == {"Job", "ServiceAccount"}
