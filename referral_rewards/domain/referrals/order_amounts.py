"""The amounts that facts name of an order, in the order's currency (SPEC §3, Orders)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from referral_rewards.domain import money
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.restoring import Doubt, may_undo


@dataclass(frozen=True, slots=True)
class Worth:
    """What an order is worth before reversals, in minor units.

    ``gross_minor`` is its latest amount, ``largest_minor`` the largest it had at any instant. ``amended_by`` are the
    amendments without those that repeat the amount that stood, as a shop does at each change of an order. ``conflicts``
    are sentences about amendments that change nothing.
    """

    gross_minor: int
    largest_minor: int
    currency: str
    amended_by: tuple[Fact, ...] = ()
    conflicts: tuple[str, ...] = ()


def read_minor(fact: Fact, currency: str) -> int | None:
    """Return the amount that the fact names, in minor units; one without a currency is in the order's.

    None if it is in another currency, or finer than the currency's smallest unit: such an amount takes nothing.
    """
    if fact.data.get("currency", currency) != currency or not money.fits(Decimal(fact.data["amount"]), currency):
        return None
    return money.to_minor(fact.data["amount"], currency)


def names_an_amount(fact: Fact) -> bool:
    """Return whether the fact names an amount."""
    return fact.data.get("amount") is not None


def in_words(fact: Fact) -> str:
    """Return the amount of a fact as it was told."""
    return f"{fact.data['amount']} {fact.data.get('currency', '')}".rstrip()


def unread(fact: Fact, currency: str, effect: str) -> str:
    """Return the sentence about an amount that can't be read in the order's currency, and what it has no effect on."""
    return f"{fact.source} tells an amount of {in_words(fact)} for an order in {currency}: it {effect}"


def worth(record: Fact, amendments: Sequence[Fact]) -> Worth | None:
    """Return what the order is worth; None if its kind has no amount. ``amendments`` are in order of precedence.

    The latest amendment stands, a higher one only if its teller may tell the fact whose amount it replaces. One dated
    before the order takes effect with it.
    """
    if not names_an_amount(record):
        return None
    currency = record.data["currency"]
    had: dict[datetime, int] = {record.occurred_at: money.to_minor(record.data["amount"], currency)}
    conflicts, doubts = list[str](), list[Doubt]()
    stands, stands_minor = record, had[record.occurred_at]
    amended_by = list[Fact]()
    for fact in amendments:
        amount_minor = read_minor(fact, currency)
        if amount_minor != stands_minor:
            amended_by.append(fact)
        if amount_minor is None:
            conflicts.append(unread(fact, currency, "changes nothing by itself"))
        elif amount_minor > stands_minor and not may_undo(fact, stands):
            doubts.append(Doubt(fact, (stands,)))
        else:
            had[max(fact.occurred_at, record.occurred_at)] = amount_minor
            stands, stands_minor = fact, amount_minor
    conflicts += [each.sentence for each in doubts if each.standing == (stands,)]
    return Worth(stands_minor, max(had.values()), currency, tuple(amended_by), tuple(conflicts))
