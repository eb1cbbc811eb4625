"""Every code that people can be shown has words, in one place."""

import re
from collections.abc import Collection
from pathlib import Path

import pytest

from referral_rewards.domain.books.accounts import AccountKind
from referral_rewards.domain.books.ledger import DeductionKind
from referral_rewards.domain.books.reconciliation import DifferenceKind, ListedState, ReconciliationState
from referral_rewards.domain.claims.approval import REASON_CODES, DecisionKind
from referral_rewards.domain.claims.findings import CheckCode, Flag, Recommendation, Result
from referral_rewards.domain.claims.fraud import SIGNALS
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackKind, ClawbackState
from referral_rewards.domain.cycles.grouping import CarriedFor
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions import money_acts
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.facts.identity import SELF_REFERRAL_KINDS
from referral_rewards.domain.facts.intake_warnings import WarningKind
from referral_rewards.domain.facts.payloads import Channel, FactType, ReversalKind
from referral_rewards.domain.imports.becoming import Became
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import SUBJECTS, VOCABULARIES, effect_in_words, label, labels
from referral_rewards.domain.notices.contact import NoticeState, Template
from referral_rewards.domain.payees.in_clear import LookReason
from referral_rewards.domain.payees.tax_forms import FormStanding
from referral_rewards.domain.payees.tax_reporting import Grounds, PayeeStatus
from referral_rewards.domain.payees.tax_thresholds import NO_REGIME, THRESHOLDS
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.programs.terms import RewardKind, Role
from referral_rewards.domain.readiness.gaps import Area
from referral_rewards.domain.referrals.inquiries import Answer, Moment
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from referral_rewards.register import payout_history
from referral_rewards.register.notices.rows import Audience
from referral_rewards.register.people.users import Scope
from referral_rewards.reporting.queue.filters import FLAGS, Sort, Waits

SOURCE = Path(__file__).parents[2] / "referral_rewards"
LEG_STATES = ("reserved", "tax_hold", "paid", "clawed_back", "cancelled", "waiting_method")

CODES: dict[str, Collection[str]] = {
    "account": AccountKind,
    "answer": Answer,
    "area": Area,
    "audience": Audience,
    "carried": CarriedFor,
    "case_state": CaseState,
    "channel": Channel,
    "check": CheckCode,
    "clawback": ClawbackKind,
    "clawback_state": ClawbackState,
    "cycle_state": CycleState,
    "decided": (*DecisionKind, *MoneyAct),
    "decision": (*DecisionKind, *MoneyAct),
    "decision_reason": {code for codes in (*REASON_CODES.values(), *money_acts.REASONS.values()) for code in codes},
    "difference": DifferenceKind,
    "fact": FactType,
    "import": Became,
    "flag": FLAGS,
    "form_standing": FormStanding,
    "intake_warning": WarningKind,
    "payee_status": PayeeStatus,
    "tax_grounds": Grounds,
    "kind": RewardKind,
    "leg_state": LEG_STATES,
    "letter": Template,
    "letter_state": NoticeState,
    "listed_state": ListedState,
    "look": LookReason,
    "mark": SELF_REFERRAL_KINDS,
    "moment": Moment,
    "payment_for_them": (*LEG_STATES[:4], *(state for state in PayoutState if state is not PayoutState.CANCELLED)),
    "payout_state": PayoutState,
    "rail": CATALOGUE,
    "reason": Reason,
    "recommendation": Recommendation,
    "reconciliation_state": ReconciliationState,
    "regime": (NO_REGIME, *THRESHOLDS),
    "result": Result,
    "reversal": ReversalKind,
    "role": Role,
    "scope": Scope,
    "side": Side,
    "signal": SIGNALS,
    "sort": Sort,
    "status": ReferralStatus,
    "status_for_them": ReferralStatus,
    "step": (
        *("planned", "moved"),
        *(payout_history.SENT, payout_history.LOOKED_UP, payout_history.POLLED, payout_history.ANSWERED),
        *(payout_history.SHUT_OUT, payout_history.TOPPED_UP),
        *MoneyAct,
    ),
    "subject": SubjectKind,
    "waits": Waits,
}


@pytest.mark.parametrize("vocabulary", CODES)
def test_every_code_that_can_be_shown_has_words(vocabulary: str) -> None:
    assert set(CODES[vocabulary]) - VOCABULARIES[vocabulary].keys() == set()


@pytest.mark.parametrize("enum", [Flag, Result, DeductionKind], ids=lambda enum: enum.__name__)
def test_no_member_is_shown_by_its_code(enum: Collection[str]) -> None:
    known = {code for words in VOCABULARIES.values() for code in words}
    assert set(enum) - known - {DeductionKind.WITHHOLDING} == set()


def test_no_kind_of_code_stands_in_two_files() -> None:
    assert sum(len(subject.WORDS) for subject in SUBJECTS) == len(VOCABULARIES)


def test_no_label_is_a_code() -> None:
    said = {(name, words) for name, vocabulary in VOCABULARIES.items() for words in vocabulary.values()}
    assert [each for each in said if "_" in each[1] or not each[1] or each[1] != each[1].strip()] == []


def test_two_codes_of_one_kind_are_not_called_alike() -> None:
    may = {"payment_for_them", "clawback_state", "rule"}
    for name, vocabulary in VOCABULARIES.items():
        if name not in may:
            assert len(set(vocabulary.values())) == len(vocabulary), name


@pytest.mark.parametrize(
    ("vocabulary", "pattern"),
    [
        ("audit", r'act="([a-z]+\.[a-z_]+)"|act = "([a-z.]+_[a-z_]+)"|else "(user\.[a-z_]+)"'),
        ("rule", r'Refused\(\s*[^,()]+,\s*"([a-z_]+)"'),
    ],
    ids=["audit", "rule"],
)
def test_what_the_source_writes_down_has_words(vocabulary: str, pattern: str) -> None:
    written = {
        code
        for file in SOURCE.rglob("*.py")
        if "sandbox" not in file.parts
        for found in re.findall(pattern, file.read_text())
        for code in ([found] if isinstance(found, str) else found)
        if code
    }
    assert len(written) > 10
    assert written - VOCABULARIES[vocabulary].keys() == set()


def test_what_outsiders_name_reads_as_they_wrote_it() -> None:
    assert label("conversion", "gym_visit") == "gym visit"
    assert label("status", None) == "–"


def test_what_became_of_a_decision_is_not_said_twice() -> None:
    assert effect_in_words("applied", "carried out") == "carried out"
    assert effect_in_words("noted", "another person must say the same") == "another person must say the same"
    assert effect_in_words("void", "the claim changed") == "void: the claim changed"


def test_names_are_listed_as_in_a_sentence() -> None:
    assert [listed(labels("role", each)) for each in (["finance"], ["finance", "operations"], sorted(Role))] == [
        "finance",
        "finance and operations",
        "administrator, finance, operations and program owner",
    ]
