"""What each business event posts to the books: double entry, debit positive and credit negative, in minor units.

Which accounts there are, `ledger_accounts` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from referral_rewards.domain.books.accounts import AccountKind, account
from referral_rewards.domain.payouts.rail_catalogue import ACCOUNT_CREDIT


@dataclass(frozen=True, slots=True)
class Line:
    """One posting."""

    account: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction of the books; ``key`` names the business event, so that it can't be posted twice."""

    key: str
    description: str
    currency: str
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if sum(line.amount_minor for line in self.lines) != 0:
            raise ValueError(f"ledger entry {self.key} does not balance")


class DeductionKind(StrEnum):
    """Why less is sent than the legs come to."""

    OFFSET = "offset"
    WITHHOLDING = "withholding"


@dataclass(frozen=True, slots=True)
class Deduction:
    """What a payout was lowered by: kept against the clawback ``source``, or withheld under the tax regime of that
    name."""

    kind: DeductionKind
    source: str
    amount_minor: int


def accrued(leg: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """An approved leg: an expense, owed to the payee."""
    return _entry(f"accrued:{leg}", "Reward approved", currency, _expense(program), _payable(payee), amount_minor)


def released(leg: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """An approved leg that was cancelled before it was paid: the expense is taken back."""
    return _entry(f"released:{leg}", "Reward cancelled", currency, _payable(payee), _expense(program), amount_minor)


def settled(
    payout: str,
    rail: str,
    payee: str,
    amount_minor: int,
    currency: str,
    *,
    deductions: Sequence[Deduction] = (),
    generation: int = 1,
) -> Entry:
    """A rail confirmed a payout: no longer owed to the payee, but settled with the rail.

    ``amount_minor`` is what was sent, zero where the deductions left nothing. They were owed as well: an offset is
    recovered by it, and what was withheld is owed to the tax authority.
    """
    key = settled_key(payout, generation)
    return Entry(key, "Payout settled", currency, _settlement(rail, payee, amount_minor, deductions))


def returned(
    payout: str,
    rail: str,
    payee: str,
    amount_minor: int,
    currency: str,
    *,
    deductions: Sequence[Deduction] = (),
    generation: int = 1,
) -> Entry:
    """The provider bounced a payout that it had settled: all of that settlement is undone, so that the payee is owed
    what was owed before it, an offset is recovered no longer, and the next generation settles as if it were the first.
    """
    lines = _settlement(rail, payee, amount_minor, deductions)
    undone = tuple(Line(line.account, -line.amount_minor) for line in lines)
    return Entry(returned_key(payout, generation), "Payout returned", currency, undone)


def lost(payout: str, rail: str, program: str, amount_minor: int, currency: str, *, generation: int = 1) -> Entry:
    """A rail paid what had been cancelled, and the payee keeps it: nothing was owed, so that it is a loss."""
    return _entry(
        settled_key(payout, generation),
        "Cancelled payout paid",
        currency,
        _loss(program),
        _clearing(rail),
        amount_minor,
    )


def lost_no_more(
    payout: str, rail: str, program: str, amount_minor: int, currency: str, *, generation: int = 1
) -> Entry:
    """The opposite: the provider bounced that, too."""
    return _entry(
        returned_key(payout, generation), "Cancelled payout returned", currency, _clearing(rail), _loss(program),
        amount_minor,
    )  # fmt: skip


def claimed_back(clawback: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """A person decided to have so much of a paid reward back: it is no expense any more, but owed to us."""
    return _entry(
        f"claimed_back:{clawback}", "Reward claimed back", currency, _recoverable(payee), _expense(program),
        amount_minor,
    )  # fmt: skip


def claim_dropped(clawback: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """So much of it is not claimed any more, for the reward was right after all, or is claimed in another way."""
    return _entry(
        f"claim_dropped:{clawback}", "Claim on a reward dropped", currency, _expense(program), _recoverable(payee),
        amount_minor,
    )  # fmt: skip


def recovered(clawback: str, rail: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """The rail took so much back from the payee."""
    return _entry(
        f"recovered:{clawback}", "Reward taken back", currency, _clearing(rail), _recoverable(payee), amount_minor
    )


def written_off(clawback: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """So much of what was claimed back is given up.

    It is a loss and no expense again: what rewards cost a program stays what was rightly earned, however much of the
    rest could be had back. What is written off at once is claimed back first.
    """
    return _entry(
        f"written_off:{clawback}", "Claim written off", currency, _loss(program), _recoverable(payee), amount_minor
    )


def credited(key: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """The account-credit rail's own act: the customer has credit to spend."""
    return _entry(
        f"credited:{key}", "Account credit", currency, _clearing(ACCOUNT_CREDIT.name), credit_of(payee), amount_minor
    )


def uncredited(key: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """The opposite: so much of a customer's credit was taken back."""
    return _entry(
        f"uncredited:{key}", "Account credit taken back", currency, credit_of(payee), _clearing(ACCOUNT_CREDIT.name),
        amount_minor,
    )  # fmt: skip


def settled_key(payout: str, generation: int = 1) -> str:
    """The key under which the books show that a payout was settled, in that generation of its own key."""
    return f"settled:{_of_generation(payout, generation)}"


def returned_key(payout: str, generation: int = 1) -> str:
    """Likewise, that what was settled came back."""
    return f"returned:{_of_generation(payout, generation)}"


def numbered(key: str, time: int) -> str:
    """The key of what came to pass under the same one for the second ``time``, or a later one: what came back may be
    paid again."""
    return key if time == 1 else f"{key}:{time}"


def credit_of(payee: str) -> str:
    """The account of a customer's credit."""
    return account(AccountKind.CREDIT, payee)


def _of_generation(payout: str, generation: int) -> str:
    return payout if generation == 1 else f"{payout}-{generation}"


def _settlement(rail: str, payee: str, sent_minor: int, deductions: Sequence[Deduction]) -> tuple[Line, ...]:
    lines = [Line(_payable(payee), sent_minor + sum(each.amount_minor for each in deductions))]
    if sent_minor:
        lines.append(Line(_clearing(rail), -sent_minor))
    for each in deductions:
        offset = each.kind is DeductionKind.OFFSET
        kept = _recoverable(payee) if offset else account(AccountKind.WITHHOLDING, each.source)
        lines.append(Line(kept, -each.amount_minor))
    return tuple(lines)


def _expense(program: str) -> str:
    return account(AccountKind.EXPENSE, program)


def _loss(program: str) -> str:
    return account(AccountKind.LOSS, program)


def _payable(payee: str) -> str:
    return account(AccountKind.PAYABLE, payee)


def _clearing(rail: str) -> str:
    return account(AccountKind.CLEARING, rail)


def _recoverable(payee: str) -> str:
    return account(AccountKind.RECOVERABLE, payee)


def _entry(key: str, description: str, currency: str, debit: str, credit: str, amount_minor: int) -> Entry:
    return Entry(key, description, currency, (Line(debit, amount_minor), Line(credit, -amount_minor)))
