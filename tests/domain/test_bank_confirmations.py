"""Two people who say the same of a payment by hand: the full product of what three of them may say."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations, product
from typing import Final
from uuid import UUID

import pytest

from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.bank_confirmations import WORDS, agreed, barred, may_not_retry, words
from referral_rewards.domain.decisions.decision import Decision, Made
from referral_rewards.domain.people.authority import Role

_PAID, _UNPAID, _RETRY = MoneyAct.SETTLE_PAYOUT, MoneyAct.REFUSE_PAYOUT, MoneyAct.RETRY_PAYOUT
_FINANCE: Final = frozenset({Role.FINANCE})
_MARK: Final = frozenset({"email:f"})
_LET_OUT: Final = {"fiona": "approved what it pays"}


def said(
    user: str,
    kind: MoneyAct,
    *,
    digest: str = "now",
    roles: frozenset[Role] = _FINANCE,
    gone: bool = False,
    marks: frozenset[str] = frozenset(),
    under: str | None = None,
) -> Made:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    decision = Decision(1, UUID(int=1), "r1", UUID(int=2), digest, kind, user, roles, "other", at)
    decision = replace(decision, details=None if under is None else {"reference": under})
    return Made(decision, barred=gone, marks=marks)


@pytest.mark.parametrize(
    ("made", "right"),
    [
        ([], None),
        ([said("frank", _PAID)], None),
        ([said("frank", _PAID), said("frank", _PAID)], None),
        ([said("frank", _PAID), said("flora", _PAID)], "flora"),
        ([said("frank", _UNPAID), said("flora", _UNPAID)], "flora"),
        ([said("frank", _PAID), said("flora", _UNPAID)], None),
        ([said("frank", _PAID), said("flora", _UNPAID), said("frank", _UNPAID)], "frank"),
        ([said("frank", _PAID), said("flora", _UNPAID), said("fred", _PAID)], "fred"),
        # That it was paid takes the same reference twice; whoever gave the wrong one may correct it.
        ([said("frank", _PAID, under="B7"), said("flora", _PAID, under="B7")], "flora"),
        ([said("frank", _PAID, under="B7"), said("flora", _PAID, under="B8")], None),
        ([said("frank", _PAID, under="B7"), said("flora", _PAID, under="B8"), said("fred", _PAID, under="B7")], "fred"),
        (
            [
                said("frank", _PAID, under="B7"),
                said("flora", _PAID, under="B8"),
                said("frank", _PAID, under="B8"),
            ],
            "frank",
        ),
        # What was said of another state of it, by somebody barred, or without the role, is no word on it.
        ([said("frank", _PAID, digest="then"), said("flora", _PAID)], None),
        ([said("frank", _PAID, gone=True), said("flora", _PAID)], None),
        ([said("frank", _PAID, roles=frozenset({Role.ADMINISTRATOR})), said("flora", _PAID)], None),
        # Two accounts of one person.
        (
            [said("frank", _PAID, marks=frozenset({"email:f"})), said("flora", _PAID, marks=frozenset({"email:f"}))],
            None,
        ),
        # One who let it out confirms that it was paid only beside one who did not.
        ([said("fiona", _PAID), said("flora", _PAID)], "flora"),
        ([said("flora", _PAID), said("fiona", _PAID)], "fiona"),
    ],
)
def test_it_counts_once_two_people_say_the_same(made: list[Made], right: str | None) -> None:
    found = agreed(words(made, "now"), _LET_OUT)
    assert (found.decision.user if found else None) == right


def test_people_who_all_let_it_out_settle_nothing_and_may_refuse_it() -> None:
    let_out = {"frank": "approved what it pays", "flora": "released the cycle that it is of"}
    both_paid = words([said("frank", _PAID), said("flora", _PAID)], "now")
    assert agreed(both_paid, let_out) is None
    assert agreed(words([said("frank", _UNPAID), said("flora", _UNPAID)], "now"), let_out) is not None
    assert barred(words([said("frank", _PAID)], "now"), let_out)[_PAID] == {
        "frank": "said so already",
        "flora": "released the cycle that it is of",
    }


def test_whoever_gave_another_reference_than_others_may_correct_it() -> None:
    one = [said("frank", _PAID, under="B7")]
    assert barred(words(one, "now"), {})[_PAID] == {"frank": "said so already"}
    assert barred(words([*one, said("flora", _PAID, under="B8")], "now"), {})[_PAID] == {}


@pytest.mark.parametrize("kinds", list(product(sorted(WORDS), repeat=3)))
def test_nobody_is_stuck_and_nobody_confirms_their_own_word(kinds: tuple[MoneyAct, ...]) -> None:
    """Whatever three people say, in any order: two of them agree, and never one alone."""
    for order in permutations(("fiona", "frank", "flora")):
        made = [said(user, kind) for user, kind in zip(order, kinds, strict=True)]
        assert agreed(words(made, "now"), _LET_OUT) is not None
        assert agreed(words(made[:1], "now"), _LET_OUT) is None
        closed = barred(words(made[:1], "now"), _LET_OUT)
        assert order[0] in closed[kinds[0]]
        assert order[0] not in closed[_PAID if kinds[0] is _UNPAID else _UNPAID]


@pytest.mark.parametrize(
    ("made", "right"),
    [
        ([], set()),
        ([said("frank", _PAID)], set()),
        ([said("frank", _UNPAID)], {"frank"}),
        ([said("frank", _UNPAID), said("frank", _UNPAID)], {"frank"}),
        ([said("frank", _UNPAID), said("flora", _UNPAID)], set()),
        ([said("frank", _UNPAID, marks=_MARK), said("flora", _UNPAID, marks=_MARK)], {"frank", "flora"}),
        ([said("frank", _UNPAID), said("flora", _UNPAID, gone=True)], {"frank", "flora"}),
        ([said("frank", _UNPAID), said("flora", _RETRY), said("flora", _UNPAID)], {"flora"}),
        ([said("frank", _UNPAID), said("flora", _UNPAID), said("frank", _RETRY)], set()),
        ([said("frank", _UNPAID), said("flora", _UNPAID), said("frank", _RETRY), said("frank", _UNPAID)], {"frank"}),
    ],
)
def test_a_second_person_stands_behind_what_is_sent_again(made: list[Made], right: set[str]) -> None:
    assert set(may_not_retry(made)) == right
