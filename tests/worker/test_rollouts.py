"""Two versions of a worker at once: a run goes on with the one that the deployment says, and back."""

from collections.abc import AsyncIterator

import pytest
from temporalio.common import VersioningBehavior
from temporalio.testing import WorkflowEnvironment
from temporalio.workflow import _Definition

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.errors import BadInput
from referral_rewards.temporal import payout_workflow_id
from tests.installation import Installation
from tests.worker.rollouts import Rollout, build_of
from tests.workflows.scenes import before_its_approver, books, payouts, quiet, scene
from worker import versions
from worker.build import PAYOUT_WORKFLOWS, REFERRAL_WORKFLOWS
from workflows.clawback import Clawback
from workflows.payout import Payout
from workflows.payout_cycle import PayoutCycleDue
from workflows.reconciliation import Reconciliation
from workflows.source_pull import SourcePull

_NAME, _BUILD = "TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID"


@pytest.fixture
async def life(database_url: str, temporal_env: WorkflowEnvironment) -> AsyncIterator[Installation]:
    async with scene(database_url, temporal_env) as life:
        yield life


@pytest.mark.parametrize(
    "given", [{}, {_NAME: "", _BUILD: ""}, {"REFERRALS_DATA": "x"}], ids=["nothing", "empty", "others"]
)
def test_without_a_version_a_worker_takes_part_in_no_versioning(given: dict[str, str]) -> None:
    assert versions.deployment(given) is None


def test_a_version_is_a_name_and_a_build() -> None:
    found = versions.deployment({_NAME: "acme/referrals", _BUILD: "2026.11-abc"})
    assert found is not None
    assert found.use_worker_versioning
    assert (found.version.deployment_name, found.version.build_id) == ("acme/referrals", "2026.11-abc")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({_NAME: "referrals"}, f"{_BUILD}: not set, but {_NAME} is: a version is a name and a build"),
        ({_BUILD: "1"}, f"{_NAME}: not set, but {_BUILD} is: a version is a name and a build"),
        ({_NAME: "a.b", _BUILD: "1"}, f"{_NAME}: must be 1 to 200 characters without a space, dot or colon"),
        ({_NAME: "a", _BUILD: "1:2"}, f"{_BUILD}: must be 1 to 200 characters without a space or colon"),
        ({_NAME: "a", _BUILD: "x" * 201}, f"{_BUILD}: must be 1 to 200 characters without a space or colon"),
    ],
)
def test_a_version_that_temporal_would_not_take_is_bad_input(given: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        versions.deployment(given)
    assert [str(problem) for problem in refused.value.problems] == [said]


def test_what_waits_for_long_goes_on_with_the_newest_code_and_what_is_short_stays_where_it_began() -> None:
    """The run that keeps the register's mark never ends: pinned, it would hold its first version for ever."""
    short = {Payout, Clawback, PayoutCycleDue, Reconciliation, SourcePull}
    for each in (*REFERRAL_WORKFLOWS, *PAYOUT_WORKFLOWS):
        wanted = VersioningBehavior.PINNED if each in short else VersioningBehavior.AUTO_UPGRADE
        assert _Definition.must_from_class(each).versioning_behavior is wanted, each.__name__


async def test_a_referral_goes_on_with_the_next_version_and_back_and_a_payout_stays(life: Installation) -> None:
    client = life.environment.client
    rollout = Rollout(client, f"deployment-{life.queue}")
    old, new = rollout.version("1"), rollout.version("2")
    async with life.workers():
        await before_its_approver(life, "r1")
        assert await build_of(life.handle("r1")) == ("", "unspecified")
    async with life.referrals_worker(version=old), life.payouts_worker(version=old):
        await rollout.make_current("1")
        await before_its_approver(life, "r2")
        assert await build_of(life.handle("r2")) == ("1", "auto_upgrade")
        async with life.referrals_worker(version=new), life.payouts_worker(version=new):
            await rollout.ramp("2", 100)
            await life.decide("r1", DecisionKind.HOLD)
            await life.settled("r1", among=frozenset({"on_hold"}))
            await quiet(life, "r1")
            assert await build_of(life.handle("r1")) == ("2", "auto_upgrade")
            await rollout.make_current("2")
            await life.decide("r2")
            await life.settled("r2", among=frozenset({"rewarded"}))
            await quiet(life, "r2")
            assert await build_of(life.handle("r2")) == ("2", "auto_upgrade")
            (paid, *_) = (await payouts(life, "r2")).values()
            pays = client.get_workflow_handle(payout_workflow_id(str(paid.id)))
            assert await build_of(pays) == ("2", "pinned")
            await rollout.make_current("1")
        # Only the old version is left: what the new one began is carried on by it.
        await life.decide("r1", DecisionKind.RELEASE)
        await life.settled("r1", among=frozenset({"awaiting_approval"}))
        await life.decide("r1")
        await life.settled("r1", among=frozenset({"rewarded"}))
        await quiet(life, "r1")
        assert await build_of(life.handle("r1")) == ("1", "auto_upgrade")
    assert await life.money() == books("r1", "r2")
