"""The guide says of each state of money what the walk tries there."""

from pathlib import Path
from typing import Final

from referral_rewards.domain.clawbacks.states import CaseState, ClawbackState
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.restores.forgotten import PaymentState
from tests.stuck.loose_ends import LOOSE_ENDS
from tests.stuck.money import CASES, CYCLES, LEGS, PAYOUTS, Row
from tests.stuck.rails import ROWS as RAILS
from tests.stuck.rails import RailState

GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "what-stands-before-me.md"
_SUBJECTS: Final = {
    PayoutState: ("payout", "payout_state"),
    CaseState: ("clawback case", "case_state"),
    ClawbackState: ("clawback", "clawback_state"),
    CycleState: ("payout cycle", "cycle_state"),
    LegState: ("reward", "leg_state"),
    RailState: ("rail", "rail_state"),
    PaymentState: ("forgotten payment", "forgotten_state"),
}


def test_the_guide_names_each_state_and_what_can_be_done_there() -> None:
    assert table() in GUIDE.read_text()


def test_the_guide_names_what_no_rule_settles_and_each_act_that_ends_it() -> None:
    assert loose_ends() in GUIDE.read_text()


def loose_ends() -> str:
    """The guide's other table: what no rule can settle."""
    rows = [
        f"| {end.what} | {end.why} | {label('waits', end.waits)} | {listed(list(end.acts), 'or')} |"
        for end in LOOSE_ENDS
    ]
    return "\n".join(["| what | why it waits | in the queue as | what ends it |", "|---|---|---|---|", *rows])


def table() -> str:
    """The guide's table, as the walk knows it."""
    rows = [_line(row) for row in (*PAYOUTS, *CASES, *CYCLES, *LEGS, *RAILS)]
    return "\n".join(["| what | where it stands | what you can do | if nothing |", "|---|---|---|---|", *rows])


def _line(row: Row) -> str:
    what, vocabulary = _SUBJECTS[type(row.state)]
    state = label(vocabulary, row.state) + (f", {row.sub}" if row.sub else "")
    acts = listed(labels("decision", sorted(row.acts)), "or") if row.acts else "–"
    return f"| {what} | {state} | {acts} | {row.needs_nobody or '–'} |"
