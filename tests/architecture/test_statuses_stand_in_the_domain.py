"""Which statuses a statement means stands in the enumerations alone: no SQL holds the word of one."""

import ast
import re
from enum import StrEnum
from typing import Final

import pytest

from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.books.reconciliation import ListedState, ReconciliationState
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackKind, ClawbackState
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.notices.contact import NoticeState
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from tests.architecture.said_once import Text, modules, texts

STATUSES: Final[tuple[type[StrEnum], ...]] = (
    *(ReferralStatus, LegState, PayoutState, CycleState, CaseState, ClawbackState, ClawbackKind, DeductionKind),
    *(ReconciliationState, ListedState, NoticeState),
)
#: The audit is a code path of its own: it shares no enumeration with those it checks.
APART: Final = "referral_rewards/audit/"
_WORDS: Final = "|".join(sorted({each.value for kind in STATUSES for each in kind}))
_LITERAL: Final = re.compile(rf"'(?:{_WORDS})'")


def _literals(tree: ast.Module, path: str) -> list[Text]:
    return [text for text in texts(path, tree) if _LITERAL.search(text.value)]


def test_no_statement_holds_a_status_of_its_own() -> None:
    found = [text for path, tree in modules() if not path.startswith(APART) for text in _literals(tree, path)]
    assert [str(text) for text in found] == []


@pytest.mark.parametrize(
    "source",
    [
        "text(\"SELECT 1 FROM leg WHERE state NOT IN ('cancelled', 'clawed_back')\")",
        "_PART = 'state = \\'tax_hold\\''",
        "text(f\"SELECT {columns} FROM payout WHERE state = 'settled'\")",
        "Index('ix', postgresql_where=text(\"state = 'frozen'\"))",
    ],
)
def test_this_check_finds_the_word_of_a_status(source: str) -> None:
    assert _literals(ast.parse(source), "x.py")


@pytest.mark.parametrize(
    "source",
    ['"""A leg that is \'paid\'."""', "text(\"SELECT 'approval' FROM leg WHERE state = :paid\")", "state = 'settled'"],
)
def test_this_check_lets_docstrings_and_names_pass(source: str) -> None:
    assert not _literals(ast.parse(source), "x.py")
