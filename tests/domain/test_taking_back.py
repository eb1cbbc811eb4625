"""What a rail took back of a payment, and what of it no reversal of ours accounts for: a table of cases."""

import pytest

from referral_rewards.domain.payouts.states import Declined, Reversed, TakenBack, Unknown
from referral_rewards.domain.payouts.taking_back import AccountedFor, counted_first, unaccounted, whole_or_nothing

HERS = TakenBack("trr_1", 400, "USD", "k-1")
BY_HAND = TakenBack("trr_2", 600, "USD")
UNREAD = TakenBack("trr_3", None, "USD", "k-3")


@pytest.mark.parametrize(
    ("ours", "left"),
    [
        ((), (400, 600)),
        ((AccountedFor("k-1", "trr_1", 400),), (600,)),
        ((AccountedFor("k-1", None, None),), (600,)),  # its outcome is not known yet
        ((AccountedFor("k-1", None, 0),), (400, 600)),  # a person said that it took nothing
        ((AccountedFor("k-9", "trr_2", 250),), (400, 350)),  # one that adopted a part
        ((AccountedFor("k-9", "trr_2", 250), AccountedFor("k-8", "trr_2", 350)), (400,)),
        ((AccountedFor("k-9", "trr_2", 700),), (400,)),
        ((AccountedFor("k-7", None, 0), AccountedFor("k-6", "trr_9", 400)), (400, 600)),
    ],
)
def test_what_no_reversal_accounts_for_is_left(ours: tuple[AccountedFor, ...], left: tuple[int, ...]) -> None:
    assert tuple(each.amount_minor for each in unaccounted([HERS, BY_HAND], ours)) == left


@pytest.mark.parametrize(
    ("amount_minor", "ours", "comes_to"),
    [
        (500, (), Reversed("trr_1", 400, "USD", adopts=HERS)),
        (400, (), Reversed("trr_1", 400, "USD", adopts=HERS)),
        (600, (), Reversed("trr_2", 600, "USD", adopts=BY_HAND)),  # that of the same amount
        (100, (), Reversed("trr_1", 100, "USD", adopts=HERS)),
        (500, (AccountedFor("k-1", "trr_1", 400), AccountedFor("k-9", "trr_2", 600)), None),
    ],
)
def test_a_reversal_counts_first_what_was_taken_before(
    amount_minor: int, ours: tuple[AccountedFor, ...], comes_to: Reversed | None
) -> None:
    assert counted_first([BY_HAND, HERS], ours, "k-5", amount_minor) == comes_to


def test_what_stands_under_its_own_key_is_its_outcome() -> None:
    assert counted_first([BY_HAND, HERS], (), "k-1", 500) == Reversed("trr_1", 400, "USD")


def test_an_amount_that_cannot_be_read_is_never_taken_for_nothing() -> None:
    assert counted_first([UNREAD], (), "k-5", 500) == Reversed("trr_3", None, "USD", adopts=UNREAD)
    assert counted_first([UNREAD], (AccountedFor("k-3", None, None),), "k-5", 500) is None


@pytest.mark.parametrize(
    ("looked_up", "shown"),
    [
        (None, ()),
        (Reversed("r", 500, "USD"), (TakenBack("r", 500, "USD"),)),
        (Declined("it was redeemed already"), Declined("it was redeemed already")),
        (Unknown("no answer"), Unknown("no answer")),
    ],
)
def test_a_rail_that_gives_back_whole_or_nothing_shows_one_entry_or_none(looked_up: object, shown: object) -> None:
    assert whole_or_nothing(looked_up) == shown  # type: ignore[arg-type]
