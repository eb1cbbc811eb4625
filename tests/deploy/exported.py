"""What processes of ours export: each metric with its labels, and the values that they were seen to have."""

import re
from collections import defaultdict
from collections.abc import Mapping

import yaml

from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.operation.outgoing import Reception
from referral_rewards.reporting.gauges import WATCHED
from tests.deploy.promql import Selector
from worker.watched import Watched

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? ")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Exported = Mapping[str, Mapping[str, set[str]]]


def series(exposition: str) -> dict[str, dict[str, set[str]]]:
    """The metrics of an exposition, as a query names them."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    # prometheus_client's own parser renames what does not bear the suffix of its type.
    for line in exposition.splitlines():
        if (sample := _SAMPLE.match(line)) is not None:
            labels = found[sample["name"]]
            for name, value in _LABEL.findall(sample["labels"] or ""):
                labels[name].add(value)
    return found


def a_worker() -> str:
    """What a worker tells that did each thing once. Which parts it has is looked at on one that runs."""
    watched = Watched()
    watched.took("the relay", 0, failed=True)
    watched.swept(1)
    watched.told("referrer", NoticeState.SENT)
    watched.noting("stripe")("look", Reception.ANSWERED, 0.1)
    return watched.exposition().decode()


def problem(asked: Selector, exported: Exported) -> str | None:
    """Why a selector finds nothing; None if it finds something."""
    labels = exported.get(asked.name)
    if labels is None:
        return f"nobody exports {asked.name}"
    for label in sorted({*asked.matchers, *asked.grouped} - {"job", "instance"}):
        if label not in labels:
            return f"{asked.name} has no label {label}"
    for label, (operator, value) in asked.matchers.items():
        known = labels.get(label, set())
        for each in value.split("|") if operator == "=~" else [value]:
            if known and each not in known and label not in _GROWING:
                return f"no {asked.name} was seen with {label}={each}"
    return None


#: Labels of which an exposition shows only the values that occurred.
_GROWING = frozenset({"state", "rail", "to", "status_code", "failure_reason", "task_queue", "operation"})
STATES = frozenset(state.value for state in WATCHED)
RAILS = frozenset(CATALOGUE)


def jobs(prometheus: str) -> set[str]:
    """The names of the jobs that Prometheus scrapes."""
    return {job["job_name"] for job in yaml.safe_load(prometheus)["scrape_configs"]}
