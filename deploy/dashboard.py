"""Writes dashboard.json, which Grafana imports: `python deploy/dashboard.py`, or `make dashboard`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

_WIDTH: Final = 8  # three panels in a row of 24
_HEIGHT: Final = 7
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


class Panel(NamedTuple):
    """A graph: its title, its queries as (legend, expression), and the unit of what it shows."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"


ROWS: Final[dict[str, Sequence[Panel]]] = {
    "Can everything work?": (
        Panel("Ready", [("{{job}} {{instance}}", "min by (job, instance) (referrals_ready)")]),
        Panel("Parts that are silent", [("{{job}} {{instance}}", "max by (job, instance) (referrals_parts_silent)")]),
        Panel("Age of the gauges", [("gauges", "time() - max(referrals_measured_timestamp_seconds)")], "s"),
        Panel(
            "Reached by Prometheus",
            [
                (
                    "{{job}} {{instance}}",
                    'min by (job, instance) (up{job=~"referrals|referrals-workers|referrals-temporal"})',
                )
            ],
        ),
        Panel(
            "Search attributes that the namespace lacks",
            [("missing", "max(referrals_search_attributes_missing)")],
        ),
    ),
    "Delivery": (
        Panel(
            "Oldest wake-up",
            [
                ("decisions and money", "max(referrals_worker_outbox_first_seconds)"),
                ("facts, in their turn", "max(referrals_worker_outbox_in_turn_seconds)"),
            ],
            "s",
        ),
        Panel("Wake-ups that wait", [("wake-ups", "max(referrals_worker_outbox_depth)")]),
        Panel(
            "Referrals overdue",
            [
                ("overdue", "max(referrals_worker_referrals_overdue)"),
                ("woken by sweeps in an hour", "sum(increase(referrals_worker_swept_total[1h]))"),
                ("sweeps in an hour", "sum(increase(referrals_worker_sweeps_total[1h]))"),
            ],
        ),
        Panel("Facts", [("{{outcome}}", "sum by (outcome) (rate(referrals_facts_total[5m]))")], "ops"),
        Panel(
            "Decisions in an hour",
            [("{{kind}} {{outcome}}", "sum by (kind, outcome) (increase(referrals_decisions_total[1h]))")],
        ),
        Panel(
            "Turns that failed",
            [("{{task}}", "sum by (task) (increase(referrals_worker_side_task_failures_total[15m]))")],
        ),
    ),
    "Sources": (
        Panel("Pulls that are late", [("{{source}}", "max by (source) (referrals_source_pull_late_seconds)")], "s"),
        Panel(
            "Events in an hour",
            [
                (
                    "{{source}} {{outcome}}",
                    "sum by (source, outcome) (increase(referrals_source_events_total[1h]))",
                )
            ],
        ),
    ),
    "Money": (
        Panel(
            "Payouts that are not finished",
            [("{{state}} {{rail}}", "max by (state, rail) (referrals_payouts)")],
        ),
        Panel("Rails that a worker serves", [("{{rail}}", "max by (rail) (referrals_rail_connected)")]),
        Panel("Oldest unknown outcome", [("oldest", "max(referrals_payouts_unknown_oldest_seconds)")], "s"),
        Panel(
            "Stands still",
            [
                ("payouts that no worker carries on", "max(referrals_payouts_standing_still)"),
                ("payouts unknown for over an hour", "max(referrals_payouts_unknown_for_long)"),
                ("rails halted: {{rail}}", "max by (rail) (referrals_rail_halted) == 1"),
                ("rails halted after a restore", "max(referrals_restored_rails)"),
                ("forgotten payments", "max(referrals_forgotten_payments)"),
            ],
        ),
        Panel(
            "Requests to providers and sources",
            [
                (
                    "{{to}} {{act}} {{reception}}",
                    "sum by (to, act, reception) (rate(referrals_worker_requests_total[5m]))",
                )
            ],
            "ops",
        ),
        Panel(
            "Their answers, 95 of 100",
            [
                (
                    "{{to}}",
                    "histogram_quantile(0.95, sum by (le, to) (rate(referrals_worker_request_seconds_bucket[5m])))",
                )
            ],
            "s",
        ),
        Panel(
            "The books",
            [("transactions that do not balance", "max(referrals_ledger_unbalanced)")],
        ),
    ),
    "People": (
        Panel("What waits for a person", [("{{exception}}", "max by (exception) (referrals_queue_entries)")]),
        Panel(
            "Cycles and cases",
            [
                ("cycles to release", "max(referrals_cycles_frozen)"),
                ("clawback cases", "max(referrals_clawback_cases_open)"),
            ],
        ),
        Panel(
            "Messages",
            [
                ("{{state}}", "sum by (state) (increase(referrals_worker_messages_total[1h]))"),
                ("an hour late", "max(referrals_notices_late)"),
            ],
        ),
        Panel("Oldest erasing that waits", [("oldest", "max(referrals_erasings_oldest_seconds)")], "s"),
    ),
    "Temporal": (
        Panel(
            "Pollers",
            [("{{task_queue}} {{poller_type}}", "sum by (task_queue, poller_type) (temporal_num_pollers)")],
        ),
        Panel(
            "Wait of a workflow task, 95 of 100",
            [
                (
                    "{{task_queue}}",
                    "histogram_quantile(0.95, sum by (le, task_queue) "
                    "(rate(temporal_workflow_task_schedule_to_start_latency_bucket[5m])))",
                )
            ],
            "s",
        ),
        Panel(
            "Slots that are free",
            [
                (
                    "{{task_queue}} {{worker_type}}",
                    "sum by (task_queue, worker_type) (temporal_worker_task_slots_available)",
                )
            ],
        ),
        Panel(
            "Workflow tasks that failed",
            [
                (
                    "{{workflow_type}} {{failure_reason}}",
                    "sum by (workflow_type, failure_reason) (increase(temporal_workflow_task_execution_failed[30m]))",
                )
            ],
        ),
        Panel(
            "Requests that Temporal refused",
            [
                (
                    "{{operation}} {{status_code}}",
                    "sum by (operation, status_code) (rate(temporal_request_failure[5m]) "
                    "or rate(temporal_long_request_failure[5m]))",
                )
            ],
            "ops",
        ),
        Panel("Requests", [("{{operation}}", "sum by (operation) (rate(temporal_request[5m]))")], "ops"),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard in Grafana's form."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append(
            {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _place(0, top, 24, 1)}
        )
        for number, panel in enumerate(row):
            left, down = number % 3 * _WIDTH, number // 3 * _HEIGHT
            panels.append(_graph(panel, _place(left, top + 1 + down, _WIDTH, _HEIGHT)))
        top += 1 + -(-len(row) // 3) * _HEIGHT
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    source = {"type": "datasource", "name": "source", "label": "Prometheus", "query": "prometheus", "hide": 0}
    return {
        "uid": "referral-rewards",
        "title": "Referral rewards",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


def _graph(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
        for number, (legend, expression) in enumerate(panel.queries)
    ]
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def text() -> str:
    """Return the file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".json").write_text(text())
