"""What each business event posts, as a table; and that whatever happens to a reward, the books add up to it."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.books import ledger
from referral_rewards.domain.books.accounts import CHART, AccountKind, account, parts
from referral_rewards.domain.books.ledger import Deduction, DeductionKind, Entry, Line

OFFSET = Deduction(DeductionKind.OFFSET, "cb1", 20)
TAX = Deduction(DeductionKind.WITHHOLDING, "us", 10)

ENTRIES = {
    "an approved leg is an expense and owed": (
        ledger.accrued("l1", "p", "brie", 100, "USD"),
        "accrued:l1",
        {"expense:p": 100, "payable:brie": -100},
    ),
    "a cancelled one is neither": (
        ledger.released("l1", "p", "brie", 100, "USD"),
        "released:l1",
        {"payable:brie": 100, "expense:p": -100},
    ),
    "a settled payout is owed no more": (
        ledger.settled("po", "tremendous", "brie", 100, "USD"),
        "settled:po",
        {"payable:brie": 100, "clearing:tremendous": -100},
    ),
    "deductions were owed too": (
        ledger.settled("po", "tremendous", "brie", 70, "USD", deductions=(OFFSET, TAX)),
        "settled:po",
        {"payable:brie": 100, "clearing:tremendous": -70, "recoverable:brie": -20, "withholding:us": -10},
    ),
    "a payout of nothing but deductions posts nothing with the rail": (
        ledger.settled("po", "tremendous", "brie", 0, "USD", deductions=(OFFSET,)),
        "settled:po",
        {"payable:brie": 20, "recoverable:brie": -20},
    ),
    "a later generation settles under a key of its own": (
        ledger.settled("po", "tremendous", "brie", 100, "USD", generation=2),
        "settled:po-2",
        {"payable:brie": 100, "clearing:tremendous": -100},
    ),
    "a returned payout is owed again": (
        ledger.returned("po", "tremendous", "brie", 70, "USD", deductions=(OFFSET, TAX)),
        "returned:po",
        {"payable:brie": -100, "clearing:tremendous": 70, "recoverable:brie": 20, "withholding:us": 10},
    ),
    "so is one of a later generation": (
        ledger.returned("po", "tremendous", "brie", 100, "USD", generation=3),
        "returned:po-3",
        {"payable:brie": -100, "clearing:tremendous": 100},
    ),
    "a cancelled payout that was paid and stays with its payee is a loss": (
        ledger.lost("po", "tremendous", "p", 100, "USD", generation=2),
        "settled:po-2",
        {"loss:p": 100, "clearing:tremendous": -100},
    ),
    "and none once that came back, too": (
        ledger.lost_no_more("po", "tremendous", "p", 100, "USD"),
        "returned:po",
        {"loss:p": -100, "clearing:tremendous": 100},
    ),
    "what is claimed back is owed to us and no expense": (
        ledger.claimed_back("cb1", "p", "brie", 40, "USD"),
        "claimed_back:cb1",
        {"recoverable:brie": 40, "expense:p": -40},
    ),
    "a dropped claim is an expense again": (
        ledger.claim_dropped("cb1", "p", "brie", 40, "USD"),
        "claim_dropped:cb1",
        {"expense:p": 40, "recoverable:brie": -40},
    ),
    "what a rail took back lies with the rail": (
        ledger.recovered("cb1", "tremendous", "brie", 40, "USD"),
        "recovered:cb1",
        {"clearing:tremendous": 40, "recoverable:brie": -40},
    ),
    "what is given up is a loss": (
        ledger.written_off("cb1", "p", "brie", 40, "USD"),
        "written_off:cb1",
        {"loss:p": 40, "recoverable:brie": -40},
    ),
    "account credit is owed to the customer": (
        ledger.credited("po-1", "brie", 100, "USD"),
        "credited:po-1",
        {"clearing:account_credit": 100, "credit:brie": -100},
    ),
    "credit taken back is not": (
        ledger.uncredited("cb1-1", "brie", 40, "USD"),
        "uncredited:cb1-1",
        {"credit:brie": 40, "clearing:account_credit": -40},
    ),
}


@pytest.mark.parametrize(("entry", "key", "lines"), ENTRIES.values(), ids=ENTRIES)
def test_an_event_posts_exactly_this(entry: Entry, key: str, lines: dict[str, int]) -> None:
    assert (entry.key, entry.currency) == (key, "USD")
    assert {line.account: line.amount_minor for line in entry.lines} == lines
    assert len(entry.lines) == len(lines)


def test_an_entry_that_does_not_balance_is_none() -> None:
    with pytest.raises(ValueError, match="does not balance"):
        Entry("k", "d", "USD", (Line("payable:brie", 1), Line("expense:p", -2)))


def test_an_account_has_a_known_kind_and_an_owner() -> None:
    assert parts(account(AccountKind.PAYABLE, "a:b:c")) == (AccountKind.PAYABLE, "a:b:c")
    for name in ("payable:", "payable", ":brie", "bank:brie", "", "Payable:brie"):
        with pytest.raises(ValueError, match=r"is no account|is not a valid"):
            parts(name)
    with pytest.raises(ValueError, match="without an owner"):
        account(AccountKind.CLEARING, "")


def test_every_kind_of_account_has_a_place_in_the_chart() -> None:
    assert set(CHART) == set(AccountKind)
    assert len(set(CHART.values())) == len(CHART)


amounts = st.integers(min_value=1, max_value=10**15)


@given(st.lists(amounts, min_size=1, max_size=4), amounts, amounts, st.integers(min_value=1, max_value=4))
def test_a_payout_that_comes_back_leaves_the_books_as_if_it_had_never_been_sent(
    legs: list[int], offset: int, tax: int, generations: int
) -> None:
    """However often it bounces, and whatever was deducted, the generation that arrives is the only one that counts."""
    deductions = _within(sum(legs), offset, tax)
    sent = sum(legs) - sum(each.amount_minor for each in deductions)
    approved = [ledger.accrued(str(n), "p", "brie", amount, "USD") for n, amount in enumerate(legs)]
    bounced = [
        make("po", "tremendous", "brie", sent, "USD", deductions=deductions, generation=generation)
        for generation in range(1, generations)
        for make in (ledger.settled, ledger.returned)
    ]
    arrived = ledger.settled("po", "tremendous", "brie", sent, "USD", deductions=deductions, generation=generations)
    assert balances(approved + bounced) == balances(approved)
    assert balances([*approved, *bounced, arrived]) == balances([*approved, arrived])
    assert balances([*approved, arrived])["payable:brie"] == 0
    keys = [entry.key for entry in [*approved, *bounced, arrived]]
    assert len(set(keys)) == len(keys)


@given(amounts, amounts, st.data())
def test_what_is_claimed_back_ends_with_the_rail_as_an_expense_or_as_a_loss(
    paid: int, claimed: int, data: st.DataObject
) -> None:
    claimed = min(paid, claimed)
    back = data.draw(st.integers(min_value=0, max_value=claimed))
    dropped = data.draw(st.integers(min_value=0, max_value=claimed - back))
    lost = claimed - back - dropped
    entries = [
        ledger.accrued("l1", "p", "brie", paid, "USD"),
        ledger.settled("po", "tremendous", "brie", paid, "USD"),
        ledger.claimed_back("cb1", "p", "brie", claimed, "USD"),
    ]
    if back:
        entries.append(ledger.recovered("cb1", "tremendous", "brie", back, "USD"))
    if dropped:
        entries.append(ledger.claim_dropped("cb1", "p", "brie", dropped, "USD"))
    if lost:
        entries.append(ledger.written_off("cb1", "p", "brie", lost, "USD"))
    found = balances(entries)
    assert (found["expense:p"], found["loss:p"]) == (paid - claimed + dropped, lost)
    assert (found["clearing:tremendous"], found["recoverable:brie"], found["payable:brie"]) == (back - paid, 0, 0)


def balances(entries: Iterable[Entry]) -> Counter[str]:
    """What each account comes to; an account of nothing counts as none."""
    found: Counter[str] = Counter()
    for entry in entries:
        for line in entry.lines:
            found[line.account] += line.amount_minor
    return Counter({name: amount for name, amount in found.items() if amount})


def _within(gross: int, offset: int, tax: int) -> Sequence[Deduction]:
    kept = [Deduction(DeductionKind.OFFSET, "cb1", min(offset, gross))]
    if (rest := gross - kept[0].amount_minor) > 0:
        kept.append(Deduction(DeductionKind.WITHHOLDING, "us", min(tax, rest)))
    return kept
