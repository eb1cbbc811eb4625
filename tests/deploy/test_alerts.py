"""Each alert speaks of a metric that there is, in an expression that can be read, and operations know what to do."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import text

from referral_rewards.reporting.gauges import gauges
from tests.desk import Desk
from worker.watched import Watched

_ROOT = Path(__file__).parents[2]
#: `sum(name{label="x"}) > 1` and the like: all that our rules need of the language, but for rates.
_SELECTOR = r'(?P<name>[a-z_]+)(?:\{[a-z_]+(?:=|=~)"[^"{}]*"\})?'
_EXPRESSION = re.compile(rf"(?:(?:sum|max)\({_SELECTOR}\)|{_SELECTOR.replace('name', 'bare')}) (?:>|==) \d+")
#: Rates of what Temporal's client counts; whether it tells them is looked at on a worker that runs.
_RATES = re.compile(
    r"(?:histogram_quantile\(0\.95, )?sum(?: by \(le\) )?\(rate\((?P<name>temporal_[a-z_]+)"
    r'(?:\{[a-z_]+=~"[^"{}]*"\})?\[5m\]\)\)\)? > \d+'
)
_DURATION = re.compile(r"\d+[mh]")


def rules() -> list[dict[str, Any]]:
    found = yaml.safe_load((_ROOT / "deploy" / "alerts.yml").read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def test_every_alert_can_be_read_and_has_a_line_that_says_what_to_do() -> None:
    told = (_ROOT / "docs" / "guides" / "operations.md").read_text()
    for rule in rules():
        assert _EXPRESSION.fullmatch(rule["expr"]) or _RATES.fullmatch(rule["expr"]), rule
        assert _DURATION.fullmatch(rule.get("for", "0m")), rule
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
        assert rule["annotations"]["summary"], rule
        assert f"| `{rule['alert']}` |" in told, rule
    assert len({rule["alert"] for rule in rules()}) == len(rules())


async def test_every_metric_of_an_alert_is_told(desk: Desk) -> None:
    await desk.referral("r1")
    await desk.decide("r1", "approve")
    await desk.judge("r1")
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE payout SET state = 'unknown', updated_at = now() - interval '2 hours'"))
        await connection.execute(text("INSERT INTO rail_halt VALUES ('tremendous', now(), now(), 'no')"))
    told = await desk.metrics() + Watched().exposition().decode()
    for rule in rules():
        read = _EXPRESSION.fullmatch(rule["expr"])
        name = (read["name"] or read["bare"]) if read else "temporal"
        assert name == "up" or name.startswith("temporal") or f"\n# TYPE {name} gauge\n" in told, name
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
