"""What each business event posts to the books: double entry, debit positive and credit negative, in minor units.

Accounts: ``expense:{program}`` (what rewards cost), ``payable:{payee}`` (owed after approval), ``clearing:{rail}``
(handed to a rail), ``credit:{payee}`` (a customer's account credit, which we owe as goods or service).
"""

from dataclasses import dataclass


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


def accrued(leg: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """An approved leg: an expense, owed to the payee."""
    return _entry(f"accrued:{leg}", "Reward approved", currency, f"expense:{program}", f"payable:{payee}", amount_minor)


def released(leg: str, program: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """An approved leg that was cancelled before it was sent: the expense is taken back."""
    return _entry(
        f"released:{leg}", "Reward cancelled", currency, f"payable:{payee}", f"expense:{program}", amount_minor
    )


def settled(payout: str, rail: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """A rail confirmed a payout: no longer owed to the payee, but settled with the rail."""
    return _entry(settled_key(payout), "Payout settled", currency, f"payable:{payee}", f"clearing:{rail}", amount_minor)


def settled_key(payout: str) -> str:
    """The key under which the books show that a payout was settled."""
    return f"settled:{payout}"


def credited(key: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """The account-credit rail's own act: the customer has credit to spend."""
    return _entry(
        f"credited:{key}", "Account credit", currency, "clearing:account_credit", credit_of(payee), amount_minor
    )


def uncredited(key: str, payee: str, amount_minor: int, currency: str) -> Entry:
    """The opposite: so much of a customer's credit was taken back."""
    return _entry(
        f"uncredited:{key}", "Account credit taken back", currency, credit_of(payee), "clearing:account_credit",
        amount_minor,
    )  # fmt: skip


def credit_of(payee: str) -> str:
    """The account of a customer's credit."""
    return f"credit:{payee}"


def _entry(key: str, description: str, currency: str, debit: str, credit: str, amount_minor: int) -> Entry:
    return Entry(key, description, currency, (Line(debit, amount_minor), Line(credit, -amount_minor)))
