"""Legs: where one reward to one beneficiary stands once an approval has reserved it."""

from enum import StrEnum
from typing import Final


class LegState(StrEnum):
    """Where a leg stands."""

    RESERVED = "reserved"
    TAX_HOLD = "tax_hold"
    PAID = "paid"
    CANCELLED = "cancelled"
    CLAWED_BACK = "clawed_back"


_S = LegState

#: It is still owed: no payment of it has come to an end.
OWED: Final = frozenset({_S.RESERVED, _S.TAX_HOLD})
#: It was paid, whatever was taken back of it since.
WAS_PAID: Final = frozenset({_S.PAID, _S.CLAWED_BACK})
#: Caps and budget are free of it, and its order may be rewarded anew.
FREED: Final = frozenset({_S.CANCELLED, _S.CLAWED_BACK})
