"""What each entry of the books does to a payee's statement."""

import pytest

from referral_rewards.domain.books import ledger
from referral_rewards.domain.books.ledger import Deduction, DeductionKind, Entry
from referral_rewards.domain.books.statement import EventKind, Movement, movements

K = EventKind
KEPT = (Deduction(DeductionKind.OFFSET, "cb1", 300), Deduction(DeductionKind.WITHHOLDING, "us", 200))

TABLE = [
    (ledger.accrued("l", "p", "ann", 1000, "USD"), [Movement(K.EARNED, 1000)]),
    (ledger.released("l", "p", "ann", 1000, "USD"), [Movement(K.CANCELLED, -1000)]),
    (ledger.settled("po", "manual", "ann", 1000, "USD"), [Movement(K.PAID, -1000)]),
    (
        ledger.settled("po", "manual", "ann", 500, "USD", deductions=KEPT),
        [Movement(K.PAID, -500), Movement(K.OFFSET, -300, -300), Movement(K.WITHHELD, -200)],
    ),
    (ledger.settled("po", "manual", "ann", 0, "USD", deductions=KEPT[:1]), [Movement(K.OFFSET, -300, -300)]),
    (ledger.returned("po", "manual", "ann", 1000, "USD"), [Movement(K.RETURNED, 1000)]),
    (
        ledger.returned("po", "manual", "ann", 500, "USD", deductions=KEPT, generation=2),
        [Movement(K.RETURNED, 500), Movement(K.OFFSET_UNDONE, 300, 300), Movement(K.WITHHELD_UNDONE, 200)],
    ),
    (ledger.claimed_back("c", "p", "ann", 400, "USD"), [Movement(K.CLAIMED_BACK, 0, 400)]),
    (ledger.claim_dropped("c", "p", "ann", 400, "USD"), [Movement(K.CLAIM_DROPPED, 0, -400)]),
    (ledger.recovered("c", "manual", "ann", 400, "USD"), [Movement(K.RECOVERED, 0, -400)]),
    (ledger.written_off("c", "p", "ann", 400, "USD"), [Movement(K.WRITTEN_OFF, 0, -400)]),
    (ledger.owed_again("r", "p", "ann", 400, "USD"), [Movement(K.OWED_AGAIN, 400)]),
    (ledger.owed_no_more("r", "p", "ann", 400, "USD"), [Movement(K.OWED_NO_MORE, -400)]),
]


@pytest.mark.parametrize(("entry", "told"), TABLE, ids=[f"{entry.key} {entry.description}" for entry, _ in TABLE])
def test_an_entry_is_told_as_what_it_changed(entry: Entry, told: list[Movement]) -> None:
    assert list(movements(entry.key, entry.lines, "ann")) == told


@pytest.mark.parametrize("entry", [entry for entry, _ in TABLE], ids=lambda entry: f"{entry.key} {entry.description}")
def test_what_is_told_is_what_the_accounts_of_the_payee_changed(entry: Entry) -> None:
    found = movements(entry.key, entry.lines, "ann")
    by_account = {line.account: line.amount_minor for line in entry.lines}
    assert -sum(each.owed_minor for each in found) == by_account.get("payable:ann", 0)
    assert sum(each.owing_minor for each in found) == by_account.get("recoverable:ann", 0)


def test_an_entry_that_nobody_foresaw_is_told_whole() -> None:
    entry = ledger.accrued("l", "p", "ann", 10, "USD")
    assert movements("corrected:l", entry.lines, "ann") == (Movement(K.OTHER, 10),)
