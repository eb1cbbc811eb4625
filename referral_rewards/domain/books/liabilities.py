"""What is owed at a moment, as the books have it: by account, and tied to the balances of the ledger.

Rewards accrue when they are approved. So what is owed to payees is the balance of their accounts, nothing else.
"""

from typing import Final, NamedTuple

from referral_rewards.domain.books.accounts import AccountKind

#: What we owe: rewards to payees, credit to customers, withheld tax to its authority. And what payees owe to us.
OWED: Final = (AccountKind.PAYABLE, AccountKind.CREDIT, AccountKind.WITHHOLDING, AccountKind.RECOVERABLE)


class Owed(NamedTuple):
    """The balance of one account in one currency, in minor units: what we owe; below zero what is owed to us."""

    kind: AccountKind
    owner: str
    currency: str
    owed_minor: int


class Tied(NamedTuple):
    """The total of one kind of account in one currency, beside the ledger's own balance of it.

    ``owed_minor`` is the sum of what is listed, ``other_programs_minor`` what is not listed because it is of other
    programs. Both together are ``ledger_minor``: anything else is an error.
    """

    kind: AccountKind
    currency: str
    owed_minor: int
    other_programs_minor: int
    ledger_minor: int

    @property
    def difference_minor(self) -> int:
        """What the ledger has more than what is told: zero, or the books are broken."""
        return self.ledger_minor - self.owed_minor - self.other_programs_minor
