"""What follows from a rail's answer, for every state that a payout may be in by then."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Final
from uuid import UUID

import pytest

from referral_rewards.domain.payouts.answering import (
    Change,
    Ending,
    Known,
    Moves,
    Remarks,
    Said,
    Shown,
    Stays,
    came_back,
    follows,
)
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import AT_REST, TRANSITIONS, PayoutState

_P = PayoutState
_AT: Final = datetime(2026, 6, 1, tzinfo=UTC)
_PAYOUT: Final = Payout(
    id=UUID(int=1),
    referral_id="r1",
    cycle_id=None,
    payee="dexter",
    rail="stripe_transfer",
    amount_minor=2500,
    currency="USD",
    body={},
    body_hash="",
    generation=2,
    provider_key="k-2",
    first_sent_at=_AT,
    key_used_at=_AT,
    missed_at=None,
    provider_reference="tr_1",
    settled_at=None,
    due_at=None,
    state=_P.SENDING,
    why="as before",
    created_at=_AT,
    returns=None,
    updated_at=_AT,
)
_AFTER_ALL: Final = "the rail shows that it paid after all, as tr_2"
_GIVEN_UP: Final = Known(given_up=True, shown=(Shown("tr_2", "seen"),))


@pytest.mark.parametrize(
    ("state", "said", "known", "change"),
    [
        (_P.SENDING, Said(_P.SETTLED, "tr_1"), Known(), Moves(_P.SETTLED, None, "tr_1", Ending.PAID)),
        (_P.SENDING, Said(_P.SETTLED, "tr_1", None, 2), Known(), Moves(_P.SETTLED, None, "tr_1", Ending.PAID)),
        (_P.SENDING, Said(_P.REFUSED, why="closed"), Known(), Moves(_P.REFUSED, "closed")),
        (_P.SENDING, Said(_P.RETURNED, why="late"), Known(), Remarks("late")),
        (_P.SETTLED, Said(_P.RETURNED, why="b"), Known(), Moves(_P.RETURNED, "b", None, Ending.OWED_AGAIN)),
        # Late, twice, or about something else.
        (_P.SETTLED, Said(_P.SETTLED, "tr_1"), Known(), Remarks("as before")),
        (
            _P.SETTLED,
            Said(_P.SETTLED, "tr_2"),
            Known(),
            Remarks("it is settled here, and the rail shows that it paid after all, as tr_2"),
        ),
        (_P.UNKNOWN, Said(_P.UNKNOWN, why="no answer"), Known(), Remarks("no answer")),
        (_P.UNKNOWN, Said(_P.UNKNOWN), Known(), Remarks(None)),
        (_P.SENDING, Said(_P.REFUSED, generation=1), Known(), Stays()),
        # Paid after all.
        (_P.SENDING, Said(_P.SETTLED, "tr_2", None, 1), Known(), Moves(_P.MANUAL_REVIEW, _AFTER_ALL, "tr_2")),
        (_P.REFUSED, Said(_P.SETTLED, "tr_2"), Known(), Moves(_P.MANUAL_REVIEW, _AFTER_ALL, "tr_2")),
        (_P.WAITING_FUNDS, Said(_P.SETTLED, "tr_2"), Known(), Moves(_P.MANUAL_REVIEW, _AFTER_ALL, "tr_2")),
        (_P.CANCELLED, Said(_P.SETTLED, "tr_2"), Known(), Moves(_P.MANUAL_REVIEW, _AFTER_ALL, "tr_2")),
        (_P.MANUAL_REVIEW, Said(_P.SETTLED, "tr_2", None, 1), Known(), Remarks(_AFTER_ALL)),
        # Not bounced, but taken back by us, or paid in another way.
        (_P.SETTLED, Said(_P.RETURNED), Known(paid_otherwise=True), Stays()),
        (_P.SETTLED, Said(_P.RETURNED), Known(ours_minor=2500), Stays()),
        (
            _P.SETTLED,
            Said(_P.RETURNED),
            Known(ours_minor=1000),
            Remarks("all of it came back at the rail, of which we took back no more than 10.00 USD"),
        ),
        # Given up.
        (_P.CANCELLED, Said(_P.SETTLED, "tr_2"), _GIVEN_UP, Stays()),
        (_P.CANCELLED, Said(_P.SETTLED, "tr_3"), _GIVEN_UP,
         Moves(_P.MANUAL_REVIEW, "the rail shows that it paid after all, as tr_3", "tr_3")),
        (_P.SENDING, Said(_P.MANUAL_REVIEW, "tr_2", "seen"), _GIVEN_UP, Stays()),
        (_P.SENDING, Said(_P.MANUAL_REVIEW, "tr_2", "new"), _GIVEN_UP, Moves(_P.MANUAL_REVIEW, "new", "tr_2")),
        (_P.MANUAL_REVIEW, Said(_P.REFUSED, why="no"), _GIVEN_UP, Moves(_P.CANCELLED, "no")),
        (_P.SENDING, Said(_P.REFUSED, why="no"), _GIVEN_UP, Moves(_P.REFUSED, "no")),
        (_P.MANUAL_REVIEW, Said(_P.SETTLED, "tr_3"), _GIVEN_UP, Moves(_P.SETTLED, None, "tr_3", Ending.LOST)),
        (_P.SETTLED, Said(_P.RETURNED, why="b"), _GIVEN_UP, Moves(_P.RETURNED, "b", None, Ending.LOST_NO_MORE)),
    ],
)  # fmt: skip
def test_what_follows_from_an_answer(state: PayoutState, said: Said, known: Known, change: Change) -> None:
    assert follows(replace(_PAYOUT, state=state), said, known) == change


@pytest.mark.parametrize("state", _P)
def test_a_payout_moves_only_along_its_transitions(state: PayoutState) -> None:
    for to, given_up, generation in product(_P, (False, True), (None, 1, 2)):
        change = follows(replace(_PAYOUT, state=state), Said(to, "tr_9", "why", generation), Known(given_up=given_up))
        if isinstance(change, Moves):
            assert change.to in TRANSITIONS[state]
            assert (change.ending is not None) == (change.to in (_P.SETTLED, _P.RETURNED))
            assert change.to is _P.MANUAL_REVIEW or generation != 1
        if isinstance(change, Remarks) and state in AT_REST:
            assert change.why


@pytest.mark.parametrize(
    ("sent", "ours", "by"),
    [(2500, 0, "without_us"), (2500, 1, "partly_by_us"), (2500, 2499, "partly_by_us"), (2500, 2500, "by_us")],
)
def test_a_payment_that_came_back_did_so_by_us_as_far_as_we_took_it_back(sent: int, ours: int, by: str) -> None:
    assert came_back(sent, ours) == by
