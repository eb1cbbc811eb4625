"""What a decision on a case may be over, and what of it comes out of offsets that still wait."""

from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.books.deductions import OpenOffset
from referral_rewards.domain.clawbacks import room
from referral_rewards.domain.clawbacks.room import Room, spread
from referral_rewards.domain.clawbacks.states import CaseState, ClawbackKind

_S = CaseState
_REVERSE, _OFFSET, _WRITE_OFF = ClawbackKind
_ROOM: Final = Room(_S.OPEN, 2500, 0, overdue=False, reversible_minor=2500, step_minor=1)
_WAITS: Final = replace(_ROOM, state=_S.DECIDED, untaken_minor=0, waiting_minor=1000)


@pytest.mark.parametrize(
    ("its", "changed", "amounts"),
    [
        (_ROOM, {}, {_REVERSE: 2500, _OFFSET: 2500, _WRITE_OFF: 2500}),
        (_ROOM, {"reversible_minor": 700}, {_REVERSE: 700, _OFFSET: 2500, _WRITE_OFF: 2500}),
        (_ROOM, {"reversible_minor": 0}, {_OFFSET: 2500, _WRITE_OFF: 2500}),
        (_ROOM, {"untaken_minor": 2550, "step_minor": 100}, {_REVERSE: 2500, _OFFSET: 2550, _WRITE_OFF: 2550}),
        (_ROOM, {"untaken_minor": 0}, {}),
        (_ROOM, {"untaken_minor": -100}, {}),
        (_ROOM, {"state": _S.FROZEN}, {}),
        (_ROOM, {"state": _S.DECIDED}, {}),
        (_ROOM, {"state": _S.DISMISSED}, {}),
        # In an open case both parts can be taken; what was offset can't be offset again beside the rest.
        (_ROOM, {"untaken_minor": 1500, "waiting_minor": 1000}, {_REVERSE: 2500, _OFFSET: 1500, _WRITE_OFF: 2500}),
        (_WAITS, {}, {_REVERSE: 1000, _WRITE_OFF: 1000}),
        (_WAITS, {"state": _S.DISMISSED}, {_REVERSE: 1000, _WRITE_OFF: 1000}),
        (_WAITS, {"state": _S.FROZEN}, {}),
        (_WAITS, {"untaken_minor": 500}, {_REVERSE: 1000, _WRITE_OFF: 1000}),
        (_WAITS, {"reversible_minor": 300}, {_REVERSE: 300, _WRITE_OFF: 1000}),
        (_WAITS, {"reversible_minor": 99, "step_minor": 100}, {_WRITE_OFF: 1000}),
        (_WAITS, {"overdue": True}, {_REVERSE: 1000, _OFFSET: 1000, _WRITE_OFF: 1000}),
        (_WAITS, {"overdue": True, "waiting_minor": 0}, {}),
    ],
)
def test_each_act_may_be_over_what_it_can_still_take(
    its: Room, changed: dict[str, Any], amounts: dict[ClawbackKind, int]
) -> None:
    assert replace(its, **changed).amounts == amounts


@pytest.mark.parametrize(
    ("state", "untaken_minor", "amount_minor", "out_minor"),
    [
        (_S.OPEN, 1500, 1500, 0),
        (_S.OPEN, 1500, 1501, 1),
        (_S.OPEN, 0, 700, 700),
        (_S.DECIDED, 1500, 700, 700),
        (_S.DISMISSED, 1500, 700, 700),
    ],
)
def test_what_nobody_takes_yet_is_taken_first(
    state: CaseState, untaken_minor: int, amount_minor: int, out_minor: int
) -> None:
    assert room.out_of_offsets_minor(amount_minor, state, untaken_minor) == out_minor


@given(st.lists(st.integers(1, 5000), max_size=5), st.data())
def test_an_amount_comes_out_of_the_oldest_offsets(opens: list[int], data: st.DataObject) -> None:
    offsets = [OpenOffset(UUID(int=number), open_minor) for number, open_minor in enumerate(opens)]
    amount_minor = data.draw(st.integers(0, sum(opens)))
    taken = spread(amount_minor, offsets)
    assert sum(each.open_minor for each in taken) == amount_minor
    assert [each.id for each in taken] == [each.id for each in offsets[: len(taken)]]
    assert all(each == offset for each, offset in zip(taken[:-1], offsets, strict=False))
    assert all(0 < each.open_minor <= offset.open_minor for each, offset in zip(taken, offsets, strict=False))


def test_no_more_comes_out_of_offsets_than_is_open() -> None:
    with pytest.raises(ValueError, match="1 more"):
        spread(1001, [OpenOffset(UUID(int=1), 1000)])
