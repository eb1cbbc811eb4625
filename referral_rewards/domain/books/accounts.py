"""The accounts of the books, named by kind and owner: ``kind:owner``, such as ``payable:c-brie``."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class AccountKind(StrEnum):
    """What an account holds. The owner is a program, a payee, a rail or a tax regime."""

    EXPENSE = "expense"  # of a program: what its rewards cost
    LOSS = "loss"  # of a program: what was paid wrongly and is not recovered
    PAYABLE = "payable"  # of a payee: owed after an approval
    CREDIT = "credit"  # of a payee: account credit, which we owe as goods or service
    WITHHOLDING = "withholding"  # of a tax regime: withheld from payees, owed to its authority
    RECOVERABLE = "recoverable"  # of a payee: paid, and to be recovered
    CLEARING = "clearing"  # of a rail: paid over it, less what it returned


#: The part of a chart of accounts that each kind belongs to, by its Beancount name.
CHART: Final[Mapping[AccountKind, str]] = {
    AccountKind.EXPENSE: "Expenses:Rewards",
    AccountKind.LOSS: "Expenses:Losses",
    AccountKind.PAYABLE: "Liabilities:Payable",
    AccountKind.CREDIT: "Liabilities:Credit",
    AccountKind.WITHHOLDING: "Liabilities:Withholding",
    AccountKind.RECOVERABLE: "Assets:Recoverable",
    AccountKind.CLEARING: "Assets:Clearing",
}


def account(kind: AccountKind, owner: str) -> str:
    """Return the name of an account.

    Raises:
        ValueError: if it has no owner.
    """
    if not owner:
        raise ValueError(f"an account of the kind {kind} without an owner")
    return f"{kind}:{owner}"


def parts(name: str) -> tuple[AccountKind, str]:
    """Return the kind and owner from an account's name; an owner may contain colons.

    Raises:
        ValueError: if the name has another form.
    """
    kind, colon, owner = name.partition(":")
    if not colon or not owner:
        raise ValueError(f"{name!r} is no account")
    return AccountKind(kind), owner
