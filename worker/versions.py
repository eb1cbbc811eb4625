"""Which version of the code this process is, for Temporal's Worker Versioning. Off unless its two variables are set.

They are Temporal's own, as its address is: the Temporal Worker Controller sets them in every pod.
"""

import re
from collections.abc import Mapping
from typing import Final

from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from referral_rewards.domain.errors import BadInput, Problem

NAME: Final = "TEMPORAL_DEPLOYMENT_NAME"
BUILD: Final = "TEMPORAL_WORKER_BUILD_ID"

#: Temporal parts a name from its build by a dot or a colon.
_A_NAME: Final = re.compile(r"[^\s.:]{1,200}")
_A_BUILD: Final = re.compile(r"[^\s:]{1,200}")


def deployment(given: Mapping[str, str]) -> WorkerDeploymentConfig | None:
    """Return the version that the environment names; None if it names none.

    Raises:
        BadInput: if only one of the two variables is set, or one is not as Temporal takes it.
    """
    name, build = given.get(NAME) or None, given.get(BUILD) or None
    if name is None and build is None:
        return None
    found = [
        problem
        for variable, value, other, form in ((NAME, name, BUILD, _A_NAME), (BUILD, build, NAME, _A_BUILD))
        if (problem := _problem(variable, value, other, form)) is not None
    ]
    if found or name is None or build is None:
        raise BadInput(found)
    return WorkerDeploymentConfig(WorkerDeploymentVersion(name, build), use_worker_versioning=True)


def _problem(variable: str, value: str | None, other: str, form: re.Pattern[str]) -> Problem | None:
    if value is None:
        return Problem(variable, f"not set, but {other} is: a version is a name and a build")
    if form.fullmatch(value) is None:
        signs = "space, dot or colon" if form is _A_NAME else "space or colon"
        return Problem(variable, f"must be 1 to 200 characters without a {signs}")
    return None
