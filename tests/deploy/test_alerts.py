"""Each alert speaks of a metric that there is, in an expression that can be read, and operations know what to do."""

import json
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from referral_rewards.config.settings import Settings
from referral_rewards.reporting.gauges import gauges
from tests.deploy.exported import RAILS, STATES, a_worker, jobs, problem, series
from tests.deploy.promql import Selector, selectors
from tests.desk import Desk
from tests.operation.test_temporal_metrics import OF_TEMPORAL

_ROOT = Path(__file__).parents[2]
_DEPLOY = _ROOT / "deploy"
_DURATION = re.compile(r"\d+[mh]")
_QUEUES = {Settings.model_fields[f"{name}_queue"].default for name in ("referrals", "payouts")}
_JOBS = jobs((_DEPLOY / "prometheus.yml").read_text())


def rules() -> list[dict[str, Any]]:
    found = yaml.safe_load((_DEPLOY / "alerts.yml").read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found = json.loads((_DEPLOY / "dashboard.json").read_text())
    return [panel for panel in found["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Each expression with the name of its alert or panel."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_every_alert_is_told_apart_and_has_a_section_that_says_what_to_do() -> None:
    told = (_ROOT / "docs" / "guides" / "alerts.md").read_text()
    sections = dict(zip(*[iter(re.split(r"^### (\w+)$", told, flags=re.MULTILINE)[1:])] * 2, strict=True))
    for rule in rules():
        assert _DURATION.fullmatch(rule.get("for", "0m")), rule
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
        assert rule["annotations"]["summary"], rule
        assert rule["annotations"]["runbook"] == f"docs/guides/alerts.md#{rule['alert'].lower()}"
        for part in ("**Means.**", "**Look.**", "**Do.**"):
            assert part in sections[rule["alert"]], (rule["alert"], part)
    assert len({rule["alert"] for rule in rules()}) == len(rules()) == len(sections)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("max(a) > 0", [Selector("a", {})]),
        ('time() - b{x="1", y=~"2|3"} / 2', [Selector("b", {"x": ("=", "1"), "y": ("=~", "2|3")})]),
        ("sum by (le, q) (rate(c[5m]))", [Selector("c", {}, frozenset({"le", "q"}))]),
        ("(sum(d) or vector(0)) == 0", [Selector("d", {})]),
        ("e unless e offset 30m", [Selector("e", {}), Selector("e", {})]),
        ("histogram_quantile(0.95, increase(f[1h]))", [Selector("f", {})]),
        ("max(a > 0", None),
        ("rate(a)", None),
        ("a > > 1", None),
        ("a b", None),
        ("nothing(a)", None),
        ('a{x="1}', None),
        ("", None),
    ],
)
def test_an_expression_is_read_or_refused(expression: str, found: list[Selector] | None) -> None:
    if found is not None:
        assert selectors(expression) == found
        return
    with pytest.raises(ValueError, match=r"stands where|can't be read"):
        selectors(expression)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("a_total", None),
        ('a_total{x="1"}', None),
        ('a_total{x="2"}', "no a_total was seen with x=2"),
        ('a_total{z="1"}', "a_total has no label z"),
        ("sum by (z) (a_total)", "a_total has no label z"),
        ("a", "nobody exports a"),
    ],
)
def test_what_nobody_exports_is_found(asked: str, why: str | None) -> None:
    (selector,) = selectors(asked)
    assert problem(selector, series('# TYPE a counter\na_total{x="1"} 2\n')) == why


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_whoever_is_woken_finds_the_number_on_the_dashboard(rule: dict[str, Any]) -> None:
    drawn = {each.name for panel in panels() for target in panel["targets"] for each in selectors(target["expr"])}
    assert {each.name for each in selectors(rule["expr"])} <= drawn


async def test_every_metric_of_an_alert_or_a_panel_is_exported_with_its_labels(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE payout SET state = 'unknown', updated_at = now() - interval '2 hours'"))
        await connection.execute(text("INSERT INTO rail_halt VALUES ('tremendous', now(), now(), 'no')"))
    desk.parts.metrics.source_events.labels("shop", "not_genuine").inc()
    desk.parts.metrics.pulls_late.labels("shop").set(0)
    told = await desk.metrics()
    exported = {**series(told), **series(a_worker()), **OF_TEMPORAL}
    for name, expression in expressions():
        for asked in selectors(expression):
            if asked.name == "up":
                assert {*asked.matchers["job"][1].split("|")} <= {*_JOBS}, name
                continue
            assert problem(asked, exported) is None, (name, problem(asked, exported))
            states = asked.matchers.get("state", ("", ""))[1].split("|")
            assert asked.name != "referrals_payouts" or set(states) <= STATES | {""}, name
            assert {*asked.matchers.get("rail", ("", "tremendous"))[1:]} <= RAILS, name
            assert asked.matchers.get("task_queue", ("", "payouts"))[1] in _QUEUES, name
    assert 'referrals_payouts{rail="account_credit",state="unknown"} 2.0' in told
    assert "referrals_payouts_unknown_for_long 2.0" in told
    assert 'referrals_rail_halted{rail="tremendous"} 1.0' in told
    assert 'referrals_rail_halted{rail="account_credit"} 0.0' in told
    assert "referrals_ledger_unbalanced 0.0" in told
    assert "referrals_payouts_standing_still 0.0" in told
    async with desk.database.transaction() as connection:
        found = await gauges(connection, datetime.now(UTC))
    assert 7199 < found.oldest_unknown_seconds < 7400
    assert (await desk.api.head("/healthz")).status_code == (await desk.api.head("/readyz")).status_code == 200


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; the tests above stand alone")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml", "alerts_days_test.yml"),
    ],
    ids=" ".join,
)
@pytest.mark.suite_has(2)
def test_promtool_finds_rules_and_their_tests_good(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=_DEPLOY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_what_its_code_writes_and_no_two_panels_overlap() -> None:
    written = runpy.run_path(str(_DEPLOY / "dashboard.py"))["text"]()
    assert written == (_DEPLOY / "dashboard.json").read_text(), "make dashboard"
    shown = json.loads(written)["panels"]
    places = [
        (each["gridPos"]["x"] + x, each["gridPos"]["y"] + y)
        for each in shown
        for x in range(each["gridPos"]["w"])
        for y in range(each["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24
    assert len({each["id"] for each in shown}) == len(shown)


def test_every_alert_is_tried_in_promtool_s_tests() -> None:
    tried = "".join((_DEPLOY / name).read_text() for name in ("alerts_test.yml", "alerts_days_test.yml"))
    for rule in rules():
        assert f'alertname="{rule["alert"]}"' in tried, rule["alert"]


async def test_a_payout_that_is_due_and_that_no_worker_carries_on_is_counted(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    now = datetime.now(UTC)
    # What a worker has put off is due at that time, whenever it last moved; what waits for a person is due at none.
    for state, moved, due, still in (
        ("approved", -20, None, 2),
        ("approved", -10, None, 0),
        ("approved", -99, 5, 0),
        ("unknown", -99, -20, 2),
        ("unknown", -99, None, 0),
        ("manual_review", -99, -20, 0),
    ):
        update = "UPDATE payout SET state = :state, updated_at = :moved, due_at = :due"
        at = {"moved": now + timedelta(minutes=moved), "due": None if due is None else now + timedelta(minutes=due)}
        async with desk.database.transaction() as connection:
            await connection.execute(text(update), {"state": state, **at})
            assert (await gauges(connection, now)).standing_still == still, (state, moved, due)
