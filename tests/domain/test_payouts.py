"""A payout's states, what counts as the payment that was asked for, and how long a key can be trusted."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from referral_rewards.domain.payouts.states import (
    AT_REST,
    TRANSITIONS,
    Paid,
    PaymentRequest,
    PayoutState,
    counts,
    matches,
    safe_to_send_again,
)

_S = PayoutState
SENT_AT = datetime(2026, 7, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
#: Every edge, written out a second time: what is not here must not be.
EDGES = {
    _S.PLANNED: {_S.APPROVED, _S.MANUAL_REVIEW, _S.CANCELLED},
    _S.APPROVED: {_S.PLANNED, _S.SENDING, _S.SETTLED, _S.MANUAL_REVIEW, _S.CANCELLED},
    _S.SENDING: {_S.ACCEPTED, _S.SETTLED, _S.REFUSED, _S.WAITING_FUNDS, _S.UNKNOWN, _S.MANUAL_REVIEW},
    _S.ACCEPTED: {_S.SETTLED, _S.REFUSED, _S.WAITING_FUNDS, _S.MANUAL_REVIEW},
    _S.UNKNOWN: {_S.ACCEPTED, _S.SETTLED, _S.REFUSED, _S.WAITING_FUNDS, _S.MANUAL_REVIEW},
    _S.WAITING_FUNDS: {_S.APPROVED, _S.MANUAL_REVIEW, _S.CANCELLED},
    _S.REFUSED: {_S.APPROVED, _S.MANUAL_REVIEW, _S.CANCELLED},
    _S.MANUAL_REVIEW: {_S.APPROVED, _S.SETTLED, _S.REFUSED, _S.CANCELLED},
    _S.CANCELLED: {_S.PLANNED, _S.APPROVED, _S.REFUSED, _S.MANUAL_REVIEW},
    _S.SETTLED: {_S.RETURNED},
    _S.RETURNED: {_S.APPROVED, _S.MANUAL_REVIEW, _S.CANCELLED},
}


@pytest.mark.parametrize(("before", "after"), list(product(PayoutState, PayoutState)))
def test_a_payout_moves_along_these_edges_and_no_other(before: PayoutState, after: PayoutState) -> None:
    assert (after in TRANSITIONS[before]) is (after in EDGES[before])


def test_what_was_accepted_is_never_sent_again_without_a_person() -> None:
    """A person is needed for whatever leads out of a state at rest, and out of the wait for funds if it was accepted
    (`test_funds_release_no_order_that_was_accepted`)."""
    reached, found = {_S.ACCEPTED}, {_S.ACCEPTED}
    while found:
        found = {after for each in found - AT_REST - {_S.WAITING_FUNDS} for after in TRANSITIONS[each]} - reached
        reached |= found
    assert reached.isdisjoint({_S.SENDING, _S.APPROVED, _S.UNKNOWN})


REQUEST = PaymentRequest(
    payout_id=UUID(int=1),
    payee="dexter",
    amount_minor=2500,
    currency="USD",
    destination="acct_1",
    program="acme-friends",
    referral="r1",
)


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (Paid("tr_1", 2500, "USD", "acct_1"), True),
        (Paid("tr_2", 2500, "USD", "acct_1"), True),
        (Paid("tr_1", 2501, "USD", "acct_1"), False),
        (Paid("tr_1", None, "USD", "acct_1"), False),
        (Paid("tr_1", 2500, "CAD", "acct_1"), False),
        (Paid("tr_1", 2500, "usd", "acct_1"), False),
        (Paid("tr_1", 2500, "USD", "acct_2"), False),
        (Paid("tr_1", 2500, "USD", None), False),
    ],
)
def test_a_payment_is_ours_if_amount_currency_and_payee_are(found: Paid, ours: bool) -> None:
    assert matches(REQUEST, found) is ours


@pytest.mark.parametrize(
    ("window", "after", "safe"),
    [
        (timedelta(hours=20), timedelta(0), True),
        (timedelta(hours=20), timedelta(hours=20) - MICROSECOND, True),
        (timedelta(hours=20), timedelta(hours=20), False),
        (timedelta(hours=20), timedelta(days=400), False),
        (None, timedelta(days=400), True),
    ],
)
def test_a_key_is_sent_again_while_the_rail_knows_it(window: timedelta | None, after: timedelta, safe: bool) -> None:
    assert safe_to_send_again(window, SENT_AT, SENT_AT + after) is safe


@pytest.mark.parametrize("state", list(PayoutState))
@pytest.mark.parametrize(("generation", "sent", "used"), list(product((1, 2), (False, True), (False, True))))
def test_a_payment_counts_from_its_first_attempt_until_it_was_refused_or_returned(
    state: PayoutState, generation: int, sent: bool, used: bool
) -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    found = counts(state, generation, at if sent else None, at if used else None)
    refused = state in (_S.REFUSED, _S.RETURNED, _S.WAITING_FUNDS, _S.CANCELLED)
    # Of a later generation every earlier one was refused, and nothing was sent under it yet.
    begins_anew = generation == 2 and not used and state in (_S.APPROVED, _S.MANUAL_REVIEW)
    assert found is (sent and not refused and not begins_anew)
