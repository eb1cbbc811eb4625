"""A payee's statement: what each posted transaction did to what we owe the payee, and to what the payee owes us."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from referral_rewards.domain.books.accounts import AccountKind, account, parts
from referral_rewards.domain.books.ledger import Line


class EventKind(StrEnum):
    """What happened to a reward, as a statement names it."""

    EARNED = "earned"
    CANCELLED = "cancelled"
    PAID = "paid"
    RETURNED = "returned"
    OFFSET = "offset"
    OFFSET_UNDONE = "offset_undone"
    WITHHELD = "withheld"
    WITHHELD_UNDONE = "withheld_undone"
    CLAIMED_BACK = "claimed_back"
    CLAIM_DROPPED = "claim_dropped"
    RECOVERED = "recovered"
    WRITTEN_OFF = "written_off"
    OWED_AGAIN = "owed_again"
    OWED_NO_MORE = "owed_no_more"
    OTHER = "other"


class Movement(NamedTuple):
    """An event and what it changed, in minor units: what we owe the payee, and what the payee owes us. The balance is
    the one less the other."""

    kind: EventKind
    owed_minor: int
    owing_minor: int = 0


_K = EventKind
#: By how the keys of the ledger begin; a settlement and its return have several parts.
_KINDS: Final = {
    "accrued": _K.EARNED,
    "released": _K.CANCELLED,
    "claimed_back": _K.CLAIMED_BACK,
    "claim_dropped": _K.CLAIM_DROPPED,
    "recovered": _K.RECOVERED,
    "written_off": _K.WRITTEN_OFF,
    "owed_again": _K.OWED_AGAIN,
    "owed_no_more": _K.OWED_NO_MORE,
}
_IN_PARTS: Final = {
    "settled": (_K.PAID, _K.OFFSET, _K.WITHHELD),
    "returned": (_K.RETURNED, _K.OFFSET_UNDONE, _K.WITHHELD_UNDONE),
}


def accounts_of(payee: str) -> tuple[str, str]:
    """Return the accounts that a statement is about: what we owe the payee, and what the payee owes us."""
    return account(AccountKind.PAYABLE, payee), account(AccountKind.RECOVERABLE, payee)


def movements(key: str, lines: Sequence[Line], payee: str) -> tuple[Movement, ...]:
    """Return what the transaction with this key and these lines, of all of its accounts, did to the payee's.

    Together they change exactly as much as the lines on the payee's own accounts do.
    """
    payable, recoverable = accounts_of(payee)
    owed = -sum(line.amount_minor for line in lines if line.account == payable)
    owing = sum(line.amount_minor for line in lines if line.account == recoverable)
    begins = key.partition(":")[0]
    if begins in _IN_PARTS:
        found = tuple(_parts(_IN_PARTS[begins], lines, owing))
        if sum(each.owed_minor for each in found) == owed:
            return found
    return (Movement(_KINDS.get(begins, _K.OTHER), owed, owing),)


def _parts(kinds: tuple[EventKind, EventKind, EventKind], lines: Sequence[Line], owing: int) -> Iterator[Movement]:
    """Yield what was sent, what was kept to offset a debt, and what was withheld for tax, each if there is any."""
    sent, offset, withheld = kinds
    by_kind = [(parts(line.account)[0], line.amount_minor) for line in lines]
    over_rail = sum(minor for kind, minor in by_kind if kind is AccountKind.CLEARING)
    for_tax = sum(minor for kind, minor in by_kind if kind is AccountKind.WITHHOLDING)
    if over_rail:
        yield Movement(sent, over_rail)
    if owing:
        yield Movement(offset, owing, owing)
    if for_tax:
        yield Movement(withheld, for_tax)
