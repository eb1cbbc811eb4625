"""How the desk writes values: sentences with the times of the page, lists of words, and rows of how many."""

import pytest

from referral_rewards.api.desk.pages import Counted, counted
from referral_rewards.api.desk.words import Clock, lately, on, sentence, told, when
from referral_rewards.reporting.shape import COUNTED_MAX, Count

TORONTO = "America/Toronto"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("claimed 2026-07-10 14:00 UTC, late", "claimed 10 Jul 2026, 10:00, late"),
        ("at 2026-07-10T14:00:30Z", "at 10 Jul 2026, 10:00"),
        ("at 2026-07-10T14:00:00.123+00:00", "at 10 Jul 2026, 10:00"),
        ("before 10 July 2026, 10:00 (America/Toronto).", "before 10 July 2026, 10:00."),
        ("before 10 July 2026, 10:00 (Asia/Tokyo).", "before 10 July 2026, 10:00 (Asia/Tokyo)."),
        ("dexter is <b>", "dexter is &lt;b&gt;"),
        ("on 2026-07-10", "on 2026-07-10"),
        ("", ""),
    ],
)
def test_a_sentence_tells_its_times_in_the_zone_of_the_page(said: str, shown: str) -> None:
    with on(Clock(TORONTO)):
        assert _text(told(said)) == shown


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "1 referral changed so lately that it counts as it stood some seconds ago."),
        (2, "2 referrals changed so lately that they count as they stood some seconds ago."),
    ],
)
def test_a_report_says_how_many_referrals_it_counts_as_they_stood(number: int, said: str) -> None:
    assert lately(number) == said


def test_a_page_knows_whether_it_told_a_time() -> None:
    clock = Clock(TORONTO)
    with on(clock):
        told("no time")
        assert not clock.used
        when("2026-11-01T05:30:00Z")
        assert clock.used


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("the account is closed", "The account is closed."),
        ("It was paid.", "It was paid."),
        ("“Why?”", "“Why?”"),
        (None, ""),
        ("", ""),
    ],
)
def test_half_a_sentence_becomes_a_whole_one(said: str | None, shown: str) -> None:
    assert sentence(said) == shown


@pytest.mark.parametrize(
    ("first", "number", "more", "of", "shown"),
    [
        (1, 50, True, 163, "1–50 of 163"),
        (151, 13, False, 0, "151–163 of 163"),
        (1, 1, False, 0, "1 of 1"),
        (1, 50, True, COUNTED_MAX, "1–50 of 1,000"),
        (1, 50, True, COUNTED_MAX + 1, "1–50 of 1,000+"),
        (1001, 50, True, COUNTED_MAX + 1, "1,001–1,050 of 1,000+"),
        (1201, 7, False, 0, "1,201–1,207 of 1,207"),
    ],
)
async def test_a_list_says_which_rows_of_how_many(first: int, number: int, more: bool, of: int, shown: str) -> None:
    async def total() -> Count:
        assert more, "what is the last page says the total itself"
        return Count.of(of)

    assert str(await counted(first, number, more=more, total=total)) == shown
    assert str(Counted(first, number, None)) == shown.partition(" of ")[0]


def _text(markup: str) -> str:
    import re

    return re.sub(r"</?time[^>]*>", "", markup)
