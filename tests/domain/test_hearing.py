"""What a rail's answer comes to, for a payment and for a reversal: one table of both."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final
from uuid import UUID

import pytest

from referral_rewards.domain.payouts.advice import FUNDS, NO_ANSWER
from referral_rewards.domain.payouts.hearing import (
    Heard,
    Hearing,
    NotShown,
    Outcome,
    ShutOut,
    hear,
    lets_us_in,
    seen_at_rest,
)
from referral_rewards.domain.payouts.moving import Reversal, ToSend
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Misconfigured,
    Paid,
    PaymentRequest,
    PayoutState,
    ReversalAnswer,
    Reversed,
    Unfunded,
    Unknown,
)

_O = Outcome
_NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
_REQUEST: Final = PaymentRequest(UUID(int=1), "dexter", 2500, "USD", "acct_1", "acme-friends", "r1")
_PAID: Final = Paid("tr_1", 2500, "USD", "acct_1")
_LESS: Final = Paid("tr_1", 2499, "USD", "acct_1")
_ELSEWHERE: Final = Paid("tr_1", 2500, "USD", "acct_2")
_REVERSAL: Final = Reversal(_REQUEST, _PAID, 1000)
_DIFFERS: Final = "under our key, not what was asked"


@pytest.mark.parametrize(
    ("answer", "hearing"),
    [
        (_PAID, Heard(_O.DONE, reference="tr_1")),
        (_LESS, Heard(_O.DIFFERS, f"the rail shows 24.99 USD {_DIFFERS}", "tr_1")),
        (_ELSEWHERE, Heard(_O.DIFFERS, f"the rail shows 25.00 USD to another payee {_DIFFERS}", "tr_1")),
        (Accepted(_PAID, "pending"), Heard(_O.UNDER_WAY, "pending", "tr_1", again_after=timedelta(minutes=5))),
        (Accepted(_LESS, "pending"), Heard(_O.DIFFERS, f"the rail shows 24.99 USD {_DIFFERS}", "tr_1")),
        (Declined("closed"), Heard(_O.REFUSED, "closed")),
        (Unfunded("empty"), Heard(_O.UNFUNDED, "empty", again_after=FUNDS)),
        (Unknown("no answer"), Heard(_O.UNKNOWN, "no answer", again_after=NO_ANSWER)),
        (Misconfigured("403"), ShutOut("403")),
        (None, NotShown()),
    ],
)
def test_each_answer_to_a_payment_comes_to_its_own(answer: Answer | None, hearing: Hearing) -> None:
    assert hear(ToSend(_REQUEST, "stripe_transfer", "k", None, may_resend=True), answer, _NOW) == hearing


@pytest.mark.parametrize(
    ("answer", "hearing"),
    [
        (Reversed("trr_1", 1000, "USD"), Heard(_O.DONE, None, "trr_1", 1000)),
        (Reversed("trr_1", 400, "USD"), Heard(_O.DONE_IN_PART, "the rail took back 4.00 USD of it", "trr_1", 400)),
        (Reversed("trr_1", 1001, "USD"), Heard(_O.DIFFERS, "the rail shows 10.01 USD taken back " + _DIFFERS)),
        (Reversed("trr_1", 0, "USD"), Heard(_O.DIFFERS, "the rail shows 0.00 USD taken back " + _DIFFERS)),
        (Reversed("trr_1", 1000, "EUR"), Heard(_O.DIFFERS, "the rail shows 10.00 EUR taken back " + _DIFFERS)),
        (Declined("too late"), Heard(_O.REFUSED, "too late")),
        (Unknown("no answer"), Heard(_O.UNKNOWN, "no answer", again_after=NO_ANSWER)),
        (Misconfigured("403"), ShutOut("403")),
        (None, NotShown()),
    ],
)
def test_each_answer_to_a_reversal_comes_to_its_own(answer: ReversalAnswer | None, hearing: Hearing) -> None:
    assert hear(ToSend(_REVERSAL, "stripe_transfer", "k", None, may_resend=True), answer, _NOW) == hearing


@pytest.mark.parametrize(
    ("hearing", "let_in"),
    [(Heard(each), each is not _O.UNKNOWN) for each in Outcome] + [(ShutOut("403"), False), (NotShown(), True)],
)
def test_only_an_answer_says_that_a_rail_lets_us_in(hearing: Hearing, let_in: bool) -> None:
    assert lets_us_in(hearing) is let_in


def test_what_a_look_at_a_payout_at_rest_comes_to() -> None:
    """The full product of states and answers; whatever is not here comes to nothing."""
    answers: tuple[Answer | None, ...] = (
        _PAID, _LESS, Accepted(_PAID, "pending"), Declined("closed"), Unfunded("empty"), Unknown("?"),
        Misconfigured("403"), None,
    )  # fmt: skip
    expected = {(state, _PAID): Heard(_O.DONE, reference="tr_1") for state in PayoutState}
    for state in (PayoutState.REFUSED, PayoutState.CANCELLED):
        expected[state, _LESS] = Heard(_O.DIFFERS, f"the rail shows 24.99 USD {_DIFFERS}", "tr_1")
    found = {(state, answer): seen_at_rest(state, _REQUEST, answer) for state, answer in product(PayoutState, answers)}
    declined = Declined("closed")
    assert {key: heard for key, heard in found.items() if heard is not None} == {
        **expected,
        (PayoutState.SETTLED, declined): Heard(_O.RETURNED, "closed"),
        (PayoutState.MANUAL_REVIEW, declined): Heard(_O.REFUSED, "closed"),
    }
