"""The transition table, over its full product."""

import pytest

from referral_rewards.domain.referrals.lifecycle import (
    CLOSED,
    ENTRIES,
    TIMED,
    TRANSITIONS,
    ImpossibleTransition,
    advance,
)
from referral_rewards.domain.referrals.lifecycle import ReferralStatus as S

UNPAID = TIMED | {S.AWAITING_APPROVAL, S.ON_HOLD, S.APPROVED}


def reachable(without: frozenset[S] = frozenset()) -> frozenset[S]:
    """Where a fresh referral can come to, with some statuses taken out of the graph."""
    found: set[S] = set()
    ahead = list(ENTRIES - without)
    while ahead:
        status = ahead.pop()
        if status not in found:
            found.add(status)
            ahead += TRANSITIONS[status] - without
    return frozenset(found)


def test_every_status_has_its_row() -> None:
    assert set(TRANSITIONS) == set(S)


@pytest.mark.parametrize("current", [None, *S], ids=str)
def test_a_referral_advances_along_the_edges_of_the_table_and_no_others(current: S | None) -> None:
    edges = ENTRIES if current is None else TRANSITIONS[current]
    for to in S:
        if to in edges or to is current:
            assert advance(current, to) is to
            continue
        with pytest.raises(ImpossibleTransition) as caught:
            advance(current, to)
        assert (caught.value.current, caught.value.to) == (current, to)


def test_no_status_names_itself_as_a_step() -> None:
    assert not [status for status, edges in TRANSITIONS.items() if status in edges]


def test_every_status_can_be_reached() -> None:
    assert reachable() == frozenset(S)


def test_without_approval_nothing_is_ever_paid() -> None:
    assert not reachable(without=frozenset({S.APPROVED})) & {S.PAYING, S.REWARDED}


def test_a_fresh_referral_is_neither_approved_nor_paying() -> None:
    assert not ENTRIES & {S.APPROVED, S.ON_HOLD, S.PAYING, S.REWARDED, S.CLAWED_BACK}


@pytest.mark.parametrize(
    ("to", "sources"),
    [
        (S.APPROVED, {S.AWAITING_APPROVAL, S.ON_HOLD}),
        (S.PAYING, {S.APPROVED}),
        (S.REWARDED, {S.PAYING, S.CLAWED_BACK}),
        (S.CLAWED_BACK, {S.PAYING, S.REWARDED}),
        (S.ON_HOLD, {S.AWAITING_APPROVAL, S.APPROVED, S.PAYING, S.REWARDED}),
        (S.DENIED, (UNPAID | CLOSED | {S.PAYING, S.REWARDED}) - {S.DENIED}),
        (S.WITHDRAWN, (UNPAID | CLOSED | {S.PAYING, S.REWARDED}) - {S.WITHDRAWN}),
    ],
)
def test_only_these_lead_to(to: S, sources: frozenset[S]) -> None:
    assert {status for status, edges in TRANSITIONS.items() if to in edges} == sources


@pytest.mark.parametrize("status", sorted(UNPAID - TIMED))
def test_a_reversal_leads_back_or_to_denied(status: S) -> None:
    assert TRANSITIONS[status] >= TIMED | {S.DENIED}


@pytest.mark.parametrize("status", sorted(CLOSED))
def test_a_reopened_referral_is_judged_like_a_fresh_one(status: S) -> None:
    # What was taken back wrongly may go back, without a reopening.
    assert TRANSITIONS[status] == ENTRIES - {status} | ({S.REWARDED} if status is S.CLAWED_BACK else set())
