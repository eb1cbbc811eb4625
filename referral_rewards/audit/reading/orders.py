"""An order's amounts, and which of its reversals count (SPEC §3, Orders)."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from referral_rewards.audit.reading import arithmetic
from referral_rewards.audit.reading.told import Told, may_tell, of_type

_KINDS: Final = ("chargeback_lost", "refund", "return", "cancellation")


class Amounts(NamedTuple):
    """What an order was worth: ``latest``, the ``largest`` that it ever had, and whether an amendment can't count."""

    latest: Decimal | None
    largest: Decimal | None
    differs: bool


class Reversal(NamedTuple):
    """A reversal that counts."""

    kind: str
    amount: Decimal


def earliest(known: Sequence[Told]) -> dict[str, Told]:
    """Each order by its label: its earliest record, whoever that names."""
    found: dict[str, Told] = {}
    for record in of_type(known, "conversion.recorded"):
        if record.order is not None:
            found.setdefault(record.order, record)
    return found


def readable(data: Mapping[str, Any], currency: str) -> bool:
    """Whether an amount is in the order's currency and no finer than its smallest unit."""
    least = arithmetic.scaled(Decimal(data["amount"]), currency)
    return data.get("currency") in (None, currency) and least == int(least)


def amounts(record: Told, known: Sequence[Told]) -> Amounts:
    """What the order of a record was worth."""
    told = [each for each in of_type(known, "conversion.amended") if each.order == record.order]
    if record.data.get("amount") is None:
        return Amounts(None, None, bool(told))
    good = [each for each in told if readable(each.data, record.data["currency"])]
    counting, last, barred = [record], record, list[Told]()
    for each in good:
        if _amount(each) > _amount(last) and not may_tell(each, last):
            barred.append(last)  # it raises what its teller may not tell
            continue
        last = each
        counting.append(each)
    had = {max(record.at, each.at): _amount(each) for each in counting}
    differs = len(good) < len(told) or any(over is last for over in barred)
    return Amounts(_amount(counting[-1]), max(had.values()), differs)


def standing(
    known: Sequence[Told], order: str | None, gross: Decimal | None, currency: str | None
) -> tuple[list[Reversal], bool]:
    """The reversals that count of an order of that amount, and whether what is told of them differs."""
    its = [each for each in known if each.order == order]
    failed = of_type(its, "conversion.reversal_failed")
    differs = any("reversal" not in each.data for each in failed)
    found, gone = list[_Group](), list[_Group]()
    for name, group in _named(of_type(its, "conversion.reversed"), gross).items():
        read = _read(name, group, failed, gross, currency)
        if read.undone:
            gone.append(read)
            continue
        differs = differs or read.differs
        if read.amounts:
            found.append(read)
    counted, doubted = _counted(found, gone)
    return counted, differs or doubted


class _Group(NamedTuple):
    """What is told of one reversal: its readable amounts, by which sources, and by which it is told to have failed."""

    kind: str
    amounts: tuple[Decimal, ...]
    sources: frozenset[str]
    failing: frozenset[str]
    undone: bool
    differs: bool


def _named(back: Sequence[Told], gross: Decimal | None) -> Mapping[object, list[Told]]:
    """The facts of each reversal. A cancellation alone reverses only what has no amount."""
    told: defaultdict[object, list[Told]] = defaultdict(list)
    for each in back:
        told[each.data.get("reversal") or (each.source, each.id)].append(each)
    if gross is None:
        return told
    return {name: group for name, group in told.items() if any(_kind(each) != "cancellation" for each in group)}


def _read(
    name: object, group: Sequence[Told], failed: Sequence[Told], gross: Decimal | None, currency: str | None
) -> _Group:
    failures = [each for each in failed if each.data.get("reversal") == name]
    sources = frozenset(each.source for each in group)
    failing = frozenset(each.source for each in failures)
    sums = [amount for each in group if (amount := _taken(each, gross, currency)) is not None]
    undone = {
        each.source for each in group if any(f.source == each.source and may_tell(f, each) for f in failures)
    }  # fmt: skip
    return _Group(
        kind=min(map(_kind, group), key=_strength),
        amounts=tuple(sums),
        sources=sources,
        failing=failing,
        undone=sources == undone,
        differs=bool(failing) or len(sums) < len(group) or len(set(sums)) > 1,
    )


def _taken(each: Told, gross: Decimal | None, currency: str | None) -> Decimal | None:
    """What it takes; None if that can't be read."""
    if gross is None or currency is None:
        return Decimal(0)
    if each.data.get("amount") is None:
        return gross
    return _amount(each) if readable(each.data, currency) else None


def _counted(found: Sequence[_Group], gone: Sequence[_Group]) -> tuple[list[Reversal], bool]:
    """Of reversals of one amount as many count as the source that tells most of them."""
    counted, differs = list[Reversal](), False
    lost = [(max(each.amounts), each.failing) for each in gone if each.amounts]
    for amount in sorted({max(each.amounts) for each in found}):
        alike = sorted((e for e in found if max(e.amounts) == amount), key=lambda e: _strength(e.kind))
        most = max(Counter(source for each in alike for source in each.sources).values())
        counted += [Reversal(each.kind, amount) for each in alike[:most]]
        differs = differs or most < len(alike)
        differs = differs or any(was == amount and not each.sources <= by for was, by in lost for each in alike)
    return counted, differs


def _amount(fact: Told) -> Decimal:
    return Decimal(fact.data["amount"])


def _kind(fact: Told) -> str:
    return str(fact.data["kind"]).lower()


def _strength(kind: str) -> float:
    """A word that nobody knows is stronger than a cancellation alone."""
    return _KINDS.index(kind) if kind in _KINDS else 2.5
