"""Approval: which roles and how many people, who may not decide, and when approvals are enough."""

from itertools import combinations
from typing import Any

import pytest

from referral_rewards.domain.claims.approval import (
    NOTE_LENGTH_MAX,
    REASON_CODES,
    Approver,
    DecisionKind,
    Requirement,
    Signoff,
    check_words,
    is_override,
    may_decide,
    requirement,
    satisfied,
)
from referral_rewards.domain.claims.findings import CheckCode, Flag, Recommendation
from referral_rewards.domain.claims.rewards import Leg, Side
from referral_rewards.domain.errors import DecisionRefused, NotAllowed, RequestInvalid
from referral_rewards.domain.programs.terms import RewardKind, Role
from tests.domain.dossiers import terms

FINANCE, OWNER, OPS, ADMIN = Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS, Role.ADMINISTRATOR
CASH, CREDIT = RewardKind.CASH, RewardKind.CREDIT


def leg(kind: RewardKind = CREDIT, amount_minor: int = 2500) -> Leg:
    return Leg(
        role=Side.REFERRER, beneficiary="dexter", kind=kind, amount_minor=amount_minor, currency="USD", rail="bank"
    )


@pytest.mark.parametrize(
    ("kinds", "flags", "override", "routes", "people"),
    [
        ([CREDIT], [], False, {OWNER}, 1),
        ([RewardKind.DISCOUNT], [], False, {OWNER}, 1),
        ([CASH], [], False, {FINANCE}, 1),
        ([RewardKind.GIFT_CARD], [], False, {FINANCE}, 1),
        ([CASH, CREDIT], [], False, {FINANCE, OWNER}, 1),
        ([], [], False, {OWNER}, 1),
        ([CASH], [Flag.PARTNER_EXCEPTION], False, {FINANCE, OWNER}, 1),
        ([CASH], [Flag.DISPUTED_ATTRIBUTION], False, {FINANCE, OPS, OWNER}, 1),
        ([CREDIT], [Flag.DISPUTED_ATTRIBUTION], False, {OPS, OWNER}, 1),
        ([CREDIT], [Flag.CONSENT_UNCLEAR, Flag.CAP_LIMITED], False, {OWNER}, 1),
        ([CREDIT], [Flag.FRAUD_SUSPECTED], True, {FINANCE, OPS, OWNER}, 2),
        ([CASH], [], True, {FINANCE, OPS}, 2),
    ],
)
def test_routes_follow_kinds_and_flags(
    kinds: list[RewardKind], flags: list[Flag], override: bool, routes: set[Role], people: int
) -> None:
    assert requirement(terms(), [leg(kind) for kind in kinds], flags, override=override) == Requirement(
        routes=tuple(sorted(routes)), people=people
    )


@pytest.mark.parametrize(
    ("amounts", "people"), [([49_999], 1), ([50_000], 2), ([50_001], 2), ([25_000, 24_999], 1), ([25_000, 25_000], 2)]
)
def test_four_eyes_begin_at_the_amount_of_all_legs(amounts: list[int], people: int) -> None:
    assert requirement(terms(), [leg(amount_minor=a) for a in amounts], [], override=False).people == people


def test_terms_without_an_amount_ask_for_one_person() -> None:
    under = terms(approval={"four_eyes_from": None})
    assert requirement(under, [leg(amount_minor=10**9)], [], override=False).people == 1


@pytest.mark.parametrize("flag", Flag)
@pytest.mark.parametrize("recommendation", [Recommendation.APPROVE, Recommendation.REVIEW, Recommendation.DENY])
def test_approving_is_an_override_against_a_denial_or_suspicion(flag: Flag, recommendation: Recommendation) -> None:
    warned = flag in {Flag.FRAUD_SUSPECTED, Flag.SELF_REFERRAL, Flag.DUPLICATE_CLAIM}
    assert is_override(recommendation, {flag}, set()) is (warned or recommendation is Recommendation.DENY)


@pytest.mark.parametrize(
    ("failures", "reopened", "expected"),
    [
        (set(), False, False),
        (set(), True, True),
        ({CheckCode.WITHIN_PERIODS}, False, True),
        ({CheckCode.MINIMUM_MET}, False, True),
        ({CheckCode.CONVERSION_NOT_REVERSED}, False, True),
        ({CheckCode.CONSENT_GIVEN}, False, False),
        ({CheckCode.TAX_CLEARED}, False, False),
    ],
)
def test_approving_what_the_periods_or_a_person_denied_is_an_override(
    failures: set[CheckCode], reopened: bool, expected: bool
) -> None:
    assert is_override(Recommendation.REVIEW, set(), failures, reopened=reopened) is expected


def signoff(user: str, *roles: Role, kind: DecisionKind = DecisionKind.APPROVE, digest: str = "d1") -> Signoff:
    return Signoff(user, frozenset(roles), kind, digest)


@pytest.mark.parametrize(
    ("routes", "people", "signoffs", "expected"),
    [
        ((OWNER,), 1, [], False),
        ((OWNER,), 1, [signoff("ann", OWNER)], True),
        ((OWNER,), 1, [signoff("ann", FINANCE)], False),
        ((OWNER,), 1, [signoff("ann", ADMIN)], False),
        ((OWNER,), 1, [signoff("ann", OWNER, digest="d0")], False),
        *[((OWNER,), 1, [signoff("ann", OWNER, kind=k)], False) for k in DecisionKind if k is not DecisionKind.APPROVE],
        ((FINANCE, OPS), 1, [signoff("ann", FINANCE)], False),
        ((FINANCE, OPS), 1, [signoff("ann", FINANCE, OPS)], True),
        ((FINANCE, OPS), 2, [signoff("ann", FINANCE, OPS)], False),
        ((FINANCE, OPS), 2, [signoff("ann", FINANCE, OPS), signoff("ann", FINANCE, OPS)], False),
        ((FINANCE, OPS), 2, [signoff("ann", FINANCE), signoff("ben", OPS)], True),
        ((FINANCE, OPS), 2, [signoff("ann", FINANCE), signoff("ben", FINANCE)], False),
        ((FINANCE, OPS), 2, [signoff("ann", FINANCE, OPS), signoff("ben", OWNER)], False),
        ((FINANCE, OPS), 2, [signoff("ann", FINANCE, OPS), signoff("ben", FINANCE)], True),
        ((FINANCE, OPS), 2, [signoff("ann", FINANCE), signoff("ben", OPS, digest="d0")], False),
        ((), 1, [signoff("ann", FINANCE, OPS, OWNER, ADMIN)], False),
        ((OWNER,), 0, [], False),
    ],
)
def test_approvals_are_enough_if_they_cover_each_role_by_different_people(
    routes: tuple[Role, ...], people: int, signoffs: list[Signoff], expected: bool
) -> None:
    assert satisfied(Requirement(routes=routes, people=people), signoffs, "d1") is expected


def test_nothing_but_the_full_set_of_approvals_satisfies() -> None:
    required = Requirement(routes=(FINANCE, OPS, OWNER), people=3)
    full = [signoff("ann", FINANCE), signoff("ben", OPS), signoff("cem", OWNER)]
    assert satisfied(required, full, "d1")
    assert not any(satisfied(required, some, "d1") for size in range(3) for some in combinations(full, size))


ANN = Approver("ann", frozenset({OWNER}), frozenset({"customer:c-ann", "email:1", "ip:7", "surname:8"}))
REQUIRED = Requirement(routes=(OWNER,), people=2)


def ask(approver: Approver = ANN, kind: DecisionKind = DecisionKind.APPROVE, **more: Any) -> None:
    may_decide(approver, kind, REQUIRED, referral="r1", **{"parties": frozenset({"email:2", "ip:7"}), **more})


@pytest.mark.parametrize("kind", DecisionKind)
def test_person_with_a_needed_role_may_decide(kind: DecisionKind) -> None:
    ask(kind=kind)


@pytest.mark.parametrize("kind", DecisionKind)
@pytest.mark.parametrize("roles", [set(), {FINANCE}, {OPS}, {ADMIN}, {ADMIN, FINANCE, OPS}])
def test_person_without_a_needed_role_may_not(kind: DecisionKind, roles: set[Role]) -> None:
    with pytest.raises(NotAllowed, match=r"you need the role .*program owner"):
        ask(Approver("ann", frozenset(roles)), kind)


@pytest.mark.parametrize("kind", DecisionKind)
@pytest.mark.parametrize("mark", ["customer:c-ann", "email:1"])
def test_nobody_decides_on_a_claim_they_benefit_from(kind: DecisionKind, mark: str) -> None:
    with pytest.raises(DecisionRefused) as refused:
        ask(kind=kind, parties=frozenset({mark, "email:2"}))
    assert refused.value.rule == "own_claim"


@pytest.mark.parametrize("mark", ["ip:7", "surname:8"])
def test_shared_address_or_surname_is_no_interest(mark: str) -> None:
    ask(parties=frozenset({mark}))


@pytest.mark.parametrize("kind", DecisionKind)
def test_nobody_decides_on_what_they_entered_by_hand(kind: DecisionKind) -> None:
    with pytest.raises(DecisionRefused) as refused:
        ask(kind=kind, entered_by={"ann"})
    assert refused.value.rule == "entered_by_hand"
    ask(kind=kind, entered_by={"ben"})


@pytest.mark.parametrize("kind", DecisionKind)
def test_same_person_does_not_count_twice_but_may_change_their_mind(kind: DecisionKind) -> None:
    if kind not in (DecisionKind.APPROVE, DecisionKind.REASSIGN, DecisionKind.LINK):
        ask(kind=kind, already_signed_by={"ann"})
        return
    with pytest.raises(DecisionRefused) as refused:
        ask(kind=kind, already_signed_by={"ann"})
    assert refused.value.rule == "different_people"


@pytest.mark.parametrize("kind", DecisionKind)
def test_each_reason_code_of_a_kind_is_taken(kind: DecisionKind) -> None:
    assert REASON_CODES[kind]
    for reason in REASON_CODES[kind]:
        check_words(kind, reason, "because")


@pytest.mark.parametrize(
    ("reason", "note", "where"),
    [
        ("whim", "because", "reason"),
        ("fraud", "because", "reason"),
        ("terms_met", "", "note"),
        ("terms_met", " \n", "note"),
        ("terms_met", "x" * (NOTE_LENGTH_MAX + 1), "note"),
    ],
)
def test_decision_without_its_words_is_refused(reason: str, note: str, where: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        check_words(DecisionKind.APPROVE, reason, note)
    assert [problem.where for problem in refused.value.problems] == [where]


def test_longest_note_is_taken() -> None:
    check_words(DecisionKind.APPROVE, "terms_met", "x" * NOTE_LENGTH_MAX)
