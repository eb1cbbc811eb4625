"""What we hold against what a rail shows, as a table: each way in which the two can differ, and those that are none."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from referral_rewards.domain.books.reconciliation import (
    DifferenceKind,
    Listed,
    ListedState,
    Ours,
    as_listed,
    compare,
    of_nobody,
    payout_of,
    unseen,
)
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.states import Accepted, Declined, Paid, PayoutState

PAYOUT = UUID("6f1d2c3b-0000-5000-8000-000000000001")
OURS = Ours(PAYOUT, f"{PAYOUT}-2", PayoutState.SETTLED, 2500, "USD", "acct_brie", "tr_1")
THEIRS = Listed("tr_1", PAYOUT, f"{PAYOUT}-2", 2500, "USD", "acct_brie")
FIRST = replace(THEIRS, reference="tr_0", key=f"{PAYOUT}-1")
FAILED, UNDER_WAY = ListedState.FAILED, ListedState.UNDER_WAY
BACK = Listed("re_1", PAYOUT, "another-1", 500, "USD", "acct_brie", takes_back=True)
_D = DifferenceKind

Told = tuple[DifferenceKind, str | None, str, str]

CASES: dict[str, tuple[dict[str, Any], Sequence[Listed], Sequence[Told]]] = {
    "the same": ({}, [THEIRS], []),
    "nothing is shown": ({}, [], [(_D.OURS_ONLY, "tr_1", "settled, 25.00 USD", "none")]),
    "another amount": ({}, [replace(THEIRS, amount_minor=2501)], [(_D.AMOUNT, "tr_1", "25.00 USD", "25.01 USD")]),
    "no amount": ({}, [replace(THEIRS, amount_minor=None)], [(_D.AMOUNT, "tr_1", "25.00 USD", "–")]),
    "another currency": ({}, [replace(THEIRS, currency="EUR")], [(_D.CURRENCY, "tr_1", "USD", "EUR")]),
    "somebody else": (
        {},
        [replace(THEIRS, destination="acct_mallory")],
        [(_D.DESTINATION, "tr_1", "acct_brie", "acct_mallory")],
    ),
    "a code for anybody": ({}, [replace(THEIRS, destination=None)], [(_D.DESTINATION, "tr_1", "acct_brie", "any")]),
    "a bearer's code": ({"destination": None}, [replace(THEIRS, destination=None)], []),
    "amount and payee": (
        {},
        [replace(THEIRS, amount_minor=1, destination="acct_mallory")],
        [(_D.AMOUNT, "tr_1", "25.00 USD", "0.01 USD"), (_D.DESTINATION, "tr_1", "acct_brie", "acct_mallory")],
    ),
    "settled here and under way there": (
        {},
        [replace(THEIRS, state=UNDER_WAY)],
        [(_D.STATE, "tr_1", "settled", "under_way")],
    ),
    "settled here and failed there": ({}, [replace(THEIRS, state=FAILED)], [(_D.STATE, "tr_1", "settled", "failed")]),
    "two payments under one key": (
        {},
        [THEIRS, replace(THEIRS, reference="tr_2")],
        [(_D.DUPLICATE, "tr_2", "one payment of 25.00 USD", "paid, 25.00 USD")],
    ),
    "an older key paid too": (
        {},
        [FIRST, THEIRS],
        [(_D.DUPLICATE, "tr_0", "one payment of 25.00 USD", "paid, 25.00 USD")],
    ),
    "paid in another way, and by the rail as well": (
        {"paid_otherwise": True, "reference": "bank-7"},
        [THEIRS],
        [(_D.DUPLICATE, "tr_1", "25.00 USD in another way", "paid, 25.00 USD")],
    ),
    "paid in another way, and by the rail as well, which took it back": (
        {"paid_otherwise": True, "reference": "bank-7", "reversed_minor": 2500},
        [replace(THEIRS, reversed_minor=2500)],
        [],
    ),
    "paid in another way, which is the rail's own": ({"paid_otherwise": True}, [THEIRS], []),
    "an older key failed": ({}, [replace(FIRST, state=FAILED), THEIRS], []),
    "an older key came back": ({}, [replace(FIRST, reversed_minor=2500), THEIRS], []),
    "paid under an older key alone": ({}, [FIRST], []),
    "taken back by hand": (
        {},
        [replace(THEIRS, reversed_minor=500)],
        [(_D.REVERSED, "tr_1", "0.00 USD taken back", "5.00 USD taken back")],
    ),
    "taken back by us": ({"reversed_minor": 500}, [replace(THEIRS, reversed_minor=500)], []),
    "taken back by us, as an entry": ({"reversed_minor": 500}, [THEIRS, BACK], []),
    "not taken back": (
        {"reversed_minor": 500},
        [THEIRS],
        [(_D.REVERSED, "tr_1", "5.00 USD taken back", "0.00 USD taken back")],
    ),
    "perhaps taken back, and not": ({"reversing_minor": 500}, [THEIRS], []),
    "perhaps taken back, and so": ({"reversing_minor": 500}, [replace(THEIRS, reversed_minor=500)], []),
    "more than was perhaps taken back": (
        {"reversing_minor": 500},
        [replace(THEIRS, reversed_minor=501)],
        [(_D.REVERSED, "tr_1", "0.00 USD taken back", "5.01 USD taken back")],
    ),
    "all of it taken back by us": ({"reversed_minor": 2500}, [replace(THEIRS, state=FAILED)], []),
    "all of it taken back, and more than by us": (
        {"reversed_minor": 500},
        [replace(THEIRS, state=FAILED)],
        [(_D.STATE, "tr_1", "settled", "failed")],
    ),
    "refused here and paid there": (
        {"state": PayoutState.REFUSED},
        [THEIRS],
        [(_D.STATE, "tr_1", "refused", "paid, 25.00 USD")],
    ),
    "refused here and under way there": (
        {"state": PayoutState.REFUSED},
        [replace(THEIRS, state=UNDER_WAY)],
        [(_D.STATE, "tr_1", "refused", "being paid, 25.00 USD")],
    ),
    "refused by both": ({"state": PayoutState.REFUSED}, [replace(THEIRS, state=FAILED)], []),
    "refused, and never made": ({"state": PayoutState.REFUSED}, [], []),
    "before a person, and paid": (
        {"state": PayoutState.MANUAL_REVIEW},
        [THEIRS],
        [(_D.STATE, "tr_1", "manual review", "paid, 25.00 USD")],
    ),
    "cancelled here and paid there": (
        {"state": PayoutState.CANCELLED},
        [THEIRS],
        [(_D.STATE, "tr_1", "cancelled", "paid, 25.00 USD")],
    ),
    "returned by both": ({"state": PayoutState.RETURNED}, [replace(THEIRS, reversed_minor=2500)], []),
    "returned here, with the payee there": (
        {"state": PayoutState.RETURNED},
        [THEIRS],
        [(_D.STATE, "tr_1", "returned", "paid, 25.00 USD")],
    ),
    "approved anew, the first one failed": (
        {"state": PayoutState.APPROVED},
        [replace(FIRST, state=FAILED)],
        [],
    ),
    **{
        f"{state} is still found out, {shown}": (
            {"state": state},
            theirs,
            [(_D.UNDER_WAY, "tr_1", f"{label('payout_state', state)}, 25.00 USD", told)],
        )
        for state in (PayoutState.SENDING, PayoutState.UNKNOWN, PayoutState.ACCEPTED)
        for shown, theirs, told in (
            ("nothing is shown", [], "none"),
            ("and it is paid", [THEIRS], "paid, 25.00 USD"),
            ("and it is under way", [replace(THEIRS, state=UNDER_WAY)], "being paid, 25.00 USD"),
            ("and it failed", [replace(THEIRS, state=FAILED)], "failed, 25.00 USD"),
        )
    },
    "still found out, and of another amount": (
        {"state": PayoutState.UNKNOWN},
        [replace(THEIRS, amount_minor=5000)],
        [(_D.AMOUNT, "tr_1", "25.00 USD", "50.00 USD")],
    ),
    "a by-hand payment that a person adopted": ({}, [replace(THEIRS, payout=None, key=None)], []),
}


@pytest.mark.parametrize(("held", "theirs", "told"), CASES.values(), ids=CASES)
def test_each_difference_is_told_once_and_nothing_else(
    held: dict[str, Any], theirs: Sequence[Listed], told: Sequence[Told]
) -> None:
    for order in (theirs, theirs[::-1]):
        found = compare(replace(OURS, **held), order)
        assert [(each.kind, each.reference, each.ours, each.theirs) for each in found] == list(told)
        assert {each.payout for each in found} <= {PAYOUT}


ASKED_AT = datetime(2026, 7, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("held", "theirs", "kind"),
    [
        ({}, [], _D.OURS_ONLY),
        ({}, [replace(THEIRS, state=UNDER_WAY)], _D.STATE),
        ({"state": PayoutState.REFUSED}, [replace(THEIRS, state=UNDER_WAY)], _D.STATE),
        ({"state": PayoutState.RETURNED}, [THEIRS], _D.STATE),
        ({"reversed_minor": 500}, [THEIRS], _D.REVERSED),
        ({}, [replace(THEIRS, state=UNDER_WAY, amount_minor=None)], _D.AMOUNT),
    ],
)
def test_a_list_that_is_older_than_what_we_hold_tells_no_difference(
    held: dict[str, Any], theirs: Sequence[Listed], kind: DifferenceKind
) -> None:
    for moved, is_told_as in ((-121, kind), (-120, _D.CHANGED), (60, _D.CHANGED)):
        ours = replace(OURS, **held, moved_at=ASKED_AT + timedelta(seconds=moved))
        told = {each.kind for each in compare(ours, theirs, ASKED_AT)}
        assert is_told_as in told, moved
        assert (kind in told) is (is_told_as is kind), moved


def test_what_no_time_explains_is_a_difference_however_lately_it_moved() -> None:
    moved = replace(OURS, moved_at=ASKED_AT)
    theirs = [replace(THEIRS, amount_minor=2501, destination="acct_mallory"), replace(THEIRS, reference="tr_2")]
    assert [each.kind for each in compare(moved, theirs, ASKED_AT)] == [_D.DUPLICATE, _D.AMOUNT, _D.DESTINATION]


def test_what_is_under_way_is_counted_apart() -> None:
    assert {each for each in _D if each.is_none} == {_D.UNDER_WAY, _D.CHANGED}


@pytest.mark.parametrize("state", PayoutState)
def test_whatever_a_payout_stands_at_a_second_payment_is_told(state: PayoutState) -> None:
    found = compare(replace(OURS, state=state), [THEIRS, replace(THEIRS, reference="tr_2")])
    assert (_D.DUPLICATE, "tr_2") in [(each.kind, each.reference) for each in found]


def test_a_payment_of_nobody_is_told_unless_it_came_to_nothing() -> None:
    found = of_nobody(replace(THEIRS, payout=None, key=None))
    assert str(found) == "theirs_only: payment tr_1: ours none, theirs paid, 25.00 USD"
    assert of_nobody(replace(THEIRS, state=FAILED)) is None
    assert (
        str(of_nobody(replace(BACK, payout=None)))
        == "theirs_only: payment re_1: ours none, theirs taken back, 5.00 USD"
    )


def test_a_difference_reads_as_one_line() -> None:
    (found,) = compare(OURS, [replace(THEIRS, amount_minor=1)])
    assert str(found) == f"amount: payout {PAYOUT} (payment tr_1): ours 25.00 USD, theirs 0.01 USD"
    assert str(unseen(OURS, "no answer")) == f"unseen: payout {PAYOUT} (payment tr_1): ours settled, theirs no answer"


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        (Paid("tr_1", 2500, "USD", "acct_brie"), []),
        (Paid("tr_1", 2400, "USD", "acct_brie"), [_D.AMOUNT]),
        (Accepted(Paid("tr_1", 2500, "USD", "acct_brie"), "unclaimed"), [_D.STATE]),
        (Declined("returned"), [_D.STATE]),
    ],
)
def test_an_answer_counts_like_what_is_listed(answer: Paid | Accepted | Declined, kinds: list[DifferenceKind]) -> None:
    assert [each.kind for each in compare(OURS, [as_listed(OURS, answer, "acct_brie")])] == kinds


def test_in_an_answer_the_right_payee_is_told_in_the_words_of_the_request() -> None:
    """A rail that knows our payee by our own id was asked for nobody else."""
    ours = replace(OURS, destination="c-brie")
    assert compare(ours, [as_listed(ours, Paid("o1", 2500, "USD", None), None)]) == []
    (found,) = compare(ours, [as_listed(ours, Paid("o1", 2500, "USD", "c-mallory"), None)])
    assert (found.kind, found.theirs) == (_D.DESTINATION, "c-mallory")


def test_a_key_leads_to_its_payout() -> None:
    assert payout_of(f"{PAYOUT}-12") == payout_of(str(PAYOUT)) == PAYOUT
    for other in (None, "", "tr_1", f"{PAYOUT}-", f"{PAYOUT}-x", f"x{PAYOUT}", str(PAYOUT).replace("6f", "zz", 1)):
        assert payout_of(other) is None
