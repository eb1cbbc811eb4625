"""When the marks of an erased person go."""

from datetime import UTC, datetime, timedelta

import pytest

from referral_rewards.domain.facts import keys
from referral_rewards.domain.facts.identity import Marker, is_keyed, is_removed, removed
from referral_rewards.domain.persons.mark_seal import sealed
from referral_rewards.domain.persons.retention import Erased, Life, Retention, Stays, judge

NOW = datetime(2030, 6, 1, tzinfo=UTC)
LONG = Retention(paid_days=1000, unpaid_days=100)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def paid(days: float, name: str = "r1") -> Life:
    return Life(name, ago(days), paid=True)


def unpaid(days: float, name: str = "r1") -> Life:
    return Life(name, ago(days), paid=False)


OPEN = Life("r9", None, paid=False)
WATCHED = Life("r9", None, paid=True)
APPEALED = Life("r9", ago(5000), paid=False, before_person=True)


@pytest.mark.parametrize(
    ("lives", "stays"),
    [
        ([unpaid(100)], None),
        ([unpaid(99.99)], Stays.RETAINED),
        ([paid(1000)], None),
        ([paid(999.99)], Stays.RETAINED),
        ([paid(100)], Stays.RETAINED),
        # Of several the latest counts, each by its own retention.
        ([paid(1000), unpaid(99)], Stays.RETAINED),
        ([paid(999), unpaid(500)], Stays.RETAINED),
        ([paid(1001), unpaid(101)], None),
        # Open: not ended, watched for a refund after it was paid, or with an appeal before a person.
        ([unpaid(500), OPEN], Stays.OPEN),
        ([WATCHED], Stays.OPEN),
        ([APPEALED], Stays.OPEN),
    ],
)
def test_marks_go_once_the_retention_of_each_referral_is_over(lives: list[Life], stays: Stays | None) -> None:
    """A reward that was taken back was paid: a clawed back referral is as one that is rewarded."""
    assert judge(Erased(ago(5000), lives), LONG, NOW).stays is stays
    assert judge(Erased(NOW, lives), LONG, NOW).stays is stays, "when they were erased does not matter"


@pytest.mark.parametrize(("days", "stays"), [(100, None), (99, Stays.RETAINED)])
def test_who_has_no_referral_is_kept_as_long_after_the_erasing(days: float, stays: Stays | None) -> None:
    assert judge(Erased(ago(days)), LONG, NOW).stays is stays


def test_what_is_open_or_told_again_keeps_them_whatever_has_ended() -> None:
    ended = [unpaid(500)]
    assert judge(Erased(ago(9), ended, open=("payout 7 is unknown",)), LONG, NOW).of == "payout 7 is unknown"
    assert judge(Erased(ago(9), ended, told_again=True), LONG, NOW).stays is Stays.TOLD_AGAIN
    assert judge(Erased(ago(9), [OPEN], told_again=True), LONG, NOW).of == "referral r9 is open"


def test_it_says_when_they_go_and_for_which_referral() -> None:
    marks = judge(Erased(ago(9), [paid(10, "r1"), unpaid(5, "r2")]), LONG, NOW)
    assert (marks.due_at, marks.of) == (ago(10) + timedelta(days=1000), "referral r1")


def test_what_is_left_of_a_mark_meets_no_other() -> None:
    marker = Marker(bytes(32))
    (mark,) = marker.marks({"email": "brie@example.com"})
    left = removed(mark, 255)
    assert left == "email:erased-000000000000000000000000000000ff"
    assert (is_keyed(mark), is_removed(mark), is_keyed(left), is_removed(left)) == (True, False, False, True)
    for customer in ("customer:c-1", f"customer:{'a' * 32}", "customer:erased-1"):
        assert (is_keyed(customer), is_removed(customer)) == (False, False)


def test_only_the_mark_of_a_key_is_removed() -> None:
    mark, left = f"email:{'a' * 32}", f"email:erased-{'b' * 32}"
    for key in keys.keys_of_mark(mark, {"program": "acme", "referrer": "a/b"}):
        assert keys.with_marks_removed(key, {mark: left}) == key.replace(mark, left) != key
    for other in ("order:o1", f"referral:{mark}", f"phone:{'a' * 32}", f"request:acme/dexter/phone:{'a' * 32}"):
        assert keys.with_marks_removed(other, {mark: left}) == other


def test_a_seal_is_of_these_marks_alone() -> None:
    salt = bytes(16)
    assert sealed(["b", "a"], salt) == sealed(("a", "b"), salt)
    others = (["a"], ["a", "b", "b"], ["ab"], [])
    assert len({sealed(each, salt) for each in (["a", "b"], *others)}) == 5
    assert sealed(["a"], salt) != sealed(["a"], bytes([1]) * 16)
