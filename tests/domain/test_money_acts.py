"""Decisions on money: who may make one, on what, and what is signed beside its kind."""

from dataclasses import replace
from itertools import product
from uuid import UUID

import pytest

from referral_rewards.domain.claims.approval import Approver, DecisionKind
from referral_rewards.domain.decisions.money_acts import (
    REASONS,
    ROLES,
    SUBJECT_OF,
    ActSubject,
    MoneyAct,
    SubjectKind,
    check_details,
    may_act,
    payout_takes,
)
from referral_rewards.domain.errors import ActRefused, NotAllowed, RequestInvalid
from referral_rewards.domain.payouts.states import AT_REST, TRANSITIONS, PayoutState
from referral_rewards.domain.programs.terms import Role

_A, _P = MoneyAct, PayoutState
_FIONA = Approver("fiona", frozenset({Role.FINANCE}), frozenset({"customer:c-fiona"}))


def _subject(*takes: MoneyAct, room_minor: int | None = None, **barred: str) -> ActSubject:
    return ActSubject(
        SubjectKind.PAYOUT,
        UUID(int=1),
        "r1",
        "acme-friends",
        "USD",
        "d",
        frozenset(takes),
        frozenset({"customer:c-brie"}),
        dict.fromkeys(takes, barred),
        room_minor,
    )


def test_every_act_has_a_subject_reasons_and_roles_and_no_name_of_a_decision_on_claims() -> None:
    assert set(SUBJECT_OF) == set(REASONS) == set(ROLES) == set(MoneyAct)
    assert not {act.value for act in MoneyAct} & {kind.value for kind in DecisionKind}


@pytest.mark.parametrize("state", list(PayoutState))
@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("given_up", [True, False])
@pytest.mark.parametrize("rail", ["manual", "stripe_transfer"])
def test_a_new_key_is_only_released_where_a_refusal_is_on_record_or_nothing_was_sent_and_a_reward_is_left(
    state: PayoutState, sent: bool, given_up: bool, rail: str
) -> None:
    if _A.RETRY_PAYOUT in payout_takes(state, sent=sent, given_up=given_up, rail=rail):
        assert not given_up
        assert state in (_P.REFUSED, _P.RETURNED, _P.WAITING_FUNDS) or not sent


def test_every_payout_that_rests_without_being_paid_takes_something() -> None:
    for state in AT_REST - {_P.SETTLED, _P.CANCELLED}:
        for sent, given_up in product((True, False), repeat=2):
            assert payout_takes(state, sent=sent, given_up=given_up, rail="stripe_transfer")


def test_nothing_leads_back_to_sending_but_an_approval() -> None:
    assert [state for state, to in TRANSITIONS.items() if _P.SENDING in to] == [_P.APPROVED]


@pytest.mark.parametrize("roles", [{Role.ADMINISTRATOR}, {Role.OPERATIONS}, {Role.PROGRAM_OWNER}, set()])
def test_only_finance_moves_money(roles: set[Role]) -> None:
    with pytest.raises(NotAllowed):
        may_act(Approver("ada", frozenset(roles)), _A.RETRY_PAYOUT, _subject(_A.RETRY_PAYOUT), None, [])


def test_operations_may_stop_a_cycle_and_not_release_it() -> None:
    oscar = Approver("oscar", frozenset({Role.OPERATIONS}))
    may_act(oscar, _A.STOP_CYCLE, _subject(_A.STOP_CYCLE), None, [])
    with pytest.raises(NotAllowed):
        may_act(oscar, _A.RELEASE_CYCLE, _subject(_A.RELEASE_CYCLE), None, [])


@pytest.mark.parametrize(
    ("subject", "approver", "amount_minor", "same", "rule"),
    [
        (_subject(), _FIONA, None, [], "not_now"),
        (
            _subject(_A.REVERSE_CLAWBACK),
            Approver("brie", frozenset({Role.FINANCE}), frozenset({"customer:c-brie"})),
            1,
            [],
            "own_claim",
        ),
        (_subject(_A.REVERSE_CLAWBACK, fiona="approved it"), _FIONA, 1, [], "different_people"),
        (_subject(_A.REVERSE_CLAWBACK, fi="approved it"), _FIONA, 1, ["fi"], "different_people"),
        (_subject(_A.REVERSE_CLAWBACK, room_minor=99), _FIONA, 100, [], "too_much"),
    ],
    ids=["takes it not", "own", "second person", "second account", "more than is left"],
)
def test_a_rule_that_is_in_the_way_is_named(
    subject: ActSubject, approver: Approver, amount_minor: int | None, same: list[str], rule: str
) -> None:
    with pytest.raises(ActRefused) as refused:
        may_act(approver, _A.REVERSE_CLAWBACK, subject, amount_minor, same)
    assert refused.value.rule == rule


def test_all_that_is_left_may_be_taken() -> None:
    may_act(_FIONA, _A.REVERSE_CLAWBACK, _subject(_A.REVERSE_CLAWBACK, room_minor=100), 100, [])


def test_of_what_a_rail_takes_back_only_whole_no_part_is_and_the_most_that_goes_is_said() -> None:
    in_forints = replace(
        _subject(_A.REVERSE_CLAWBACK, _A.OFFSET_CLAWBACK), steps={_A.REVERSE_CLAWBACK: 100}, currency="HUF"
    )
    for amount_minor in (1, 99, 101, 12345):
        with pytest.raises(ActRefused, match=f"the nearest lower amount is {amount_minor // 100}.00 HUF") as refused:
            may_act(_FIONA, _A.REVERSE_CLAWBACK, in_forints, amount_minor, [])
        assert refused.value.rule == "too_fine"
        may_act(_FIONA, _A.OFFSET_CLAWBACK, in_forints, amount_minor, [])
    may_act(_FIONA, _A.REVERSE_CLAWBACK, in_forints, 12300, [])


@pytest.mark.parametrize(
    ("act", "amount_minor", "reference", "signed"),
    [
        (_A.RETRY_PAYOUT, None, None, None),
        (_A.CONFIRM_PAYOUT, None, " TX 7 ", {"reference": "TX 7"}),
        (_A.OFFSET_CLAWBACK, 5, None, {"amount_minor": 5}),
        (_A.RETRY_PAYOUT, 5, None, "amount_minor"),
        (_A.OFFSET_CLAWBACK, None, None, "amount_minor"),
        (_A.OFFSET_CLAWBACK, 0, None, "amount_minor"),
        (_A.OFFSET_CLAWBACK, -1, None, "amount_minor"),
        (_A.CONFIRM_PAYOUT, None, None, "reference"),
        (_A.CONFIRM_PAYOUT, None, "  ", "reference"),
        (_A.CONFIRM_PAYOUT, None, "a\nb", "reference"),
        (_A.CONFIRM_PAYOUT, None, "x" * 141, "reference"),
        (_A.CANCEL_PAYOUT, None, "x", "reference"),
    ],
)
def test_an_act_is_signed_with_what_it_needs_and_nothing_else(
    act: MoneyAct, amount_minor: int | None, reference: str | None, signed: object
) -> None:
    if isinstance(signed, str):
        with pytest.raises(RequestInvalid, match=signed):
            check_details(act, "other", amount_minor, reference)
    else:
        assert check_details(act, "other", amount_minor, reference) == signed


@pytest.mark.parametrize("told_by", [{"fiona": ()}, {"import": ("customer:c-fiona",)}])
def test_nobody_moves_money_for_what_rests_on_a_fact_that_they_told(told_by: dict[str, tuple[str, ...]]) -> None:
    subject = replace(
        _subject(_A.RETRY_PAYOUT, _A.CANCEL_PAYOUT), told_by={name: frozenset(marks) for name, marks in told_by.items()}
    )
    with pytest.raises(ActRefused, match="you told a fact that it rests on") as why:
        may_act(_FIONA, _A.RETRY_PAYOUT, subject, None, ())
    assert why.value.rule == "told_by_oneself"
    may_act(_FIONA, _A.CANCEL_PAYOUT, subject, None, ())  # keeps money back
    others = replace(subject, told_by={"import": frozenset({"customer:c-frank"})})
    may_act(_FIONA, _A.RETRY_PAYOUT, others, None, ())
