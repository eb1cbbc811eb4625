"""What each business event posts to the books: double entry, debit positive and credit negative, in minor units.

The accounts are in `accounts.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

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
    """Why a payout is less than the total of its legs."""

    OFFSET = "offset"
    WITHHOLDING = "withholding"


@dataclass(frozen=True, slots=True)
class Deduction:
    """A deduction from a payout: an offset for the clawback ``source``, or tax withheld under the regime of that
    name."""

    kind: DeductionKind
    source: str
    amount_minor: int


def accrued(leg: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post an approved leg: an expense, owed to the payee."""
    return _entry(f"accrued:{leg}", "Reward approved", currency, _expense(program), _payable(payee), amount_minor)


def released(leg: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post the cancellation of an approved leg before it was paid: the expense is reversed."""
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
    """Post a payout that a rail confirmed: no longer owed to the payee, but paid over the rail.

    ``amount_minor`` is what was sent, zero if the deductions left nothing. The deductions were owed to the payee, too:
    an offset is recovered by them, and tax withheld is owed to the authority.
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
    """Post that the provider bounced a settled payout: reverses the whole settlement. The payee is owed the same amount
    as before, an offset is no longer recovered, and the next generation settles as if it were the first.
    """
    lines = _settlement(rail, payee, amount_minor, deductions)
    undone = tuple(Line(line.account, -line.amount_minor) for line in lines)
    return Entry(returned_key(payout, generation), "Payout returned", currency, undone)


def lost(payout: str, rail: str, program: str, amount_minor: int, currency: str, *, generation: int = 1) -> Entry:
    """Post a payment of a cancelled payout that the payee keeps: nothing was owed, so it is a loss."""
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
    """Post that the provider bounced such a payment: reverses `lost`."""
    return _entry(
        returned_key(payout, generation), "Cancelled payout returned", currency, _clearing(rail), _loss(program),
        amount_minor,
    )  # fmt: skip


def claimed_back(clawback: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post a decision to recover an amount of a paid reward: no longer an expense, but owed to us."""
    return _entry(
        claimed_back_key(clawback), "Reward claimed back", currency, _recoverable(payee), _expense(program),
        amount_minor,
    )  # fmt: skip


def claim_dropped(clawback: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post that an amount is no longer claimed back: the reward was right, or it is recovered in another way."""
    return _entry(
        f"claim_dropped:{clawback}", "Claim on a reward dropped", currency, _expense(program), _recoverable(payee),
        amount_minor,
    )  # fmt: skip


def claim_moved(clawback: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post that offsets no longer claim back an amount, because the ``clawback`` claims it in another way."""
    return _entry(
        f"claim_moved:{clawback}", "Claim on a reward moved", currency, _expense(program), _recoverable(payee),
        amount_minor,
    )  # fmt: skip


def recovered(clawback: str, rail: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post an amount that the rail took back from the payee."""
    return _entry(
        recovered_key(clawback), "Reward taken back", currency, _clearing(rail), _recoverable(payee), amount_minor
    )


def written_off(clawback: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post the write-off of an amount that was claimed back.

    It is a loss and not an expense: a program's reward expense stays what was earned, however much of the rest was
    recovered. A direct write-off is claimed back first.
    """
    return _entry(
        f"written_off:{clawback}", "Claim written off", currency, _loss(program), _recoverable(payee), amount_minor
    )


def owed_again(return_: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post a decision to return an amount that was taken wrongly: an expense again, and owed to the payee.

    By which way it was taken makes no difference: its recovery is booked. Its payment settles like any other.
    """
    return _entry(
        f"owed_again:{return_}", "Return of a reward ordered", currency, _expense(program), _payable(payee),
        amount_minor,
    )  # fmt: skip


def owed_no_more(return_: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post that a return was cancelled before it was paid: reverses `owed_again`."""
    return _entry(
        f"owed_no_more:{return_}", "Return of a reward cancelled", currency, _payable(payee), _expense(program),
        amount_minor,
    )  # fmt: skip


def credited(key: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post a payment of the account-credit rail: the customer has credit to spend."""
    return _entry(
        f"credited:{key}", "Account credit", currency, _clearing(ACCOUNT_CREDIT.name), credit_of(payee), amount_minor
    )


def uncredited(key: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """Post an amount of a customer's credit that was taken back: reverses `credited`."""
    return _entry(
        f"uncredited:{key}", "Account credit taken back", currency, credit_of(payee), _clearing(ACCOUNT_CREDIT.name),
        amount_minor,
    )  # fmt: skip


def claimed_back_key(clawback: str) -> str:
    """Return the key of the entry that claims back a reward."""
    return f"claimed_back:{clawback}"


def recovered_key(clawback: str) -> str:
    """Return the key of the entry of what a rail took back."""
    return f"recovered:{clawback}"


#: What the keys of entries about a payout as a whole begin with.
OF_PAYOUTS: Final = ("settled", "returned")


def settled_key(payout: str, generation: int = 1) -> str:
    """Return the key of the entry for a settled payout, in that generation of its idempotency key."""
    return f"settled:{_of_generation(payout, generation)}"


def returned_key(payout: str, generation: int = 1) -> str:
    """Return the key of the entry for a payout that was returned after that settlement."""
    return f"returned:{_of_generation(payout, generation)}"


def numbered(key: str, time: int) -> str:
    """Return the key of an event that happens again, for the second ``time`` or later: a returned payment may be paid
    again."""
    return key if time == 1 else f"{key}:{time}"


def credit_of(payee: str) -> str:
    """Return the account of a customer's credit."""
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
