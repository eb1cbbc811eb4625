"""What two versions of terms say differently."""

import pytest

from referral_rewards.domain.programs.changes import Changed, changes, said
from tests.domain.build import acme


@pytest.mark.parametrize(
    ("path", "value", "changed"),
    [
        ("periods__return", "P21D", [Changed("periods.return", "P14D", "P21D")]),
        ("fraud__blocked_countries", ["KP", "IR"], [Changed("fraud.blocked_countries", None, "KP, IR")]),
        ("qualifying__new_customers_only", False, [Changed("qualifying.new_customers_only", "yes", "no")]),
        ("qualifying__minimum", None, [Changed("qualifying.minimum", "50.00", None)]),
        ("limits__per_reward", "300.00", [Changed("limits.per_reward", None, "300.00")]),
        ("rewards__referee__percent", "12", [Changed("rewards.referee.percent", "10", "12")]),
        ("partners", [], [
            Changed("partners.0.partner", "gold-7", None),
            Changed("partners.0.percent", "15", None),
            Changed("partners.0.cap", "300.00", None),
            Changed("partners.0.valid_from", "2026-01-01", None),
            Changed("partners.0.valid_until", "2027-01-01", None),
        ]),
    ],
)  # fmt: skip
def test_each_path_that_differs_is_named_with_both_values(path: str, value: object, changed: list[Changed]) -> None:
    assert changes(acme(), acme(**{path: value})) == changed


def test_equal_terms_differ_nowhere() -> None:
    assert changes(acme(), acme()) == []


def test_every_value_stands_at_its_path_defaults_included() -> None:
    values = dict(said(acme()))
    assert values["rewards.referrer.tiers.1.amount"] == "40.00"
    assert values["approval.routes.cash"] == "finance"
    assert values["payouts.timing"] == "immediate"
    assert not any(value in ("", "None") for value in values.values())
