"""The reversals of an order: which facts tell the same one, which failed, and which count (SPEC §3, Orders).

A shop and its payment processor often tell one refund each in their own way. Under one amount it counts once, and is a
conflict for a person to look at. Under two amounts, without tax and with it, nobody can tell from the facts whether
they are one refund or two: both count.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from referral_rewards.domain import money
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType, ReversalKind
from referral_rewards.domain.facts.restoring import Doubt, may_undo
from referral_rewards.domain.referrals.order_amounts import Worth, in_words, names_an_amount, read_minor, unread

_K = ReversalKind
#: Of facts that tell one reversal by several kinds, the first of these stands: a dispute may tell the same loss.
_STRONGEST_FIRST: Final = (_K.CHARGEBACK_LOST, _K.REFUND, _K.RETURN, None, _K.CANCELLATION)
#: What gives money back to a customer, who may get its tax back too. A lost chargeback is told of by its dispute.
_WITH_TAX: Final = frozenset({_K.REFUND, _K.RETURN, None})
#: With its tax a refund is at most so many percent of what it is without: no usual rate is higher than 27 %.
_WITH_TAX_PERCENT_MAX: Final = 130


@dataclass(frozen=True, slots=True)
class Reversal:
    """One reversal and the facts that tell it. ``kind`` is None if we don't know the word for it.

    ``amount_minor`` is in the order's currency; 0 if the order has no amount, of which any reversal takes all.
    """

    facts: tuple[Fact, ...]
    kind: ReversalKind | None
    amount_minor: int

    @property
    def sources(self) -> frozenset[str]:
        return frozenset(fact.source for fact in self.facts)


@dataclass(frozen=True, slots=True)
class Reversals:
    """The reversals that count, and sentences about what is told in different ways.

    ``perhaps_twice`` are facts of those that count and may be told by another source once more, with the tax in it.
    """

    counted: tuple[Reversal, ...] = ()
    conflicts: tuple[str, ...] = ()
    perhaps_twice: tuple[Fact, ...] = ()


def kind_of(fact: Fact) -> ReversalKind | None:
    """Return the kind of reversal that a fact tells; None if its word is none of ours."""
    kind = fact.data["kind"]
    return ReversalKind(kind) if kind in set(ReversalKind) else None


def reversals(told: Iterable[Fact], its: Worth | None) -> Reversals:
    """Return the reversals of an order that is worth ``its`` (None: it has no amount), from all facts about it.

    Facts with one ``reversal`` id tell one reversal, of which the largest amount counts. A failure undoes the reversal
    of its id once every source that tells the reversal tells that it failed. Of reversals of one amount, as many count
    as the source that tells most of them. Without an id only a source tells its own apart.
    """
    known = sorted(told, key=lambda fact: fact.precedence)
    failures = [fact for fact in known if fact.type is FactType.REVERSAL_FAILED]
    groups = [group for group in _by_id(known) if its is None or _kind(group) is not _K.CANCELLATION]
    conflicts = [_without_effect(fact, groups) for fact in failures if _undoes_nothing(fact, groups, failures)]
    left = [group for group in groups if not _is_undone(group, failures)]
    for group in left:
        conflicts += _differences(group, its)
    read = [found for group in left if (found := _read(group, its)) is not None]
    counted, doubled = _once(read, its)
    undone = [found for group in groups if group not in left and (found := _read(group, its)) is not None]
    conflicts += [*doubled, *_told_on(undone, read, failures)]
    return Reversals(tuple(counted), tuple(conflicts), () if its is None else tuple(_perhaps_with_tax(read)))


def undone(told: Iterable[Fact]) -> frozenset[UUID]:
    """Return the ids of the facts among those about an order that tell a reversal that failed."""
    known = sorted(told, key=lambda fact: fact.precedence)
    failures = [fact for fact in known if fact.type is FactType.REVERSAL_FAILED]
    return frozenset(fact.id for group in _by_id(known) if _is_undone(group, failures) for fact in group)


def _by_id(known: Sequence[Fact]) -> list[list[Fact]]:
    groups: list[list[Fact]] = []
    of_id: dict[str, list[Fact]] = {}
    for fact in known:
        if fact.type is not FactType.CONVERSION_REVERSED:
            continue
        name = fact.data.get("reversal")
        if name is not None and name in of_id:
            of_id[name].append(fact)
            continue
        groups.append([fact])
        if name is not None:
            of_id[name] = groups[-1]
    return groups


def _kind(group: Sequence[Fact]) -> ReversalKind | None:
    return min(map(kind_of, group), key=_STRONGEST_FIRST.index)


def _read(group: Sequence[Fact], its: Worth | None) -> Reversal | None:
    """Return the reversal that facts of one id tell; None if none of their amounts can be read."""
    if its is None:
        return Reversal(tuple(group), _kind(group), 0)
    amounts = [minor for fact in group if (minor := _minor(fact, its)) is not None]
    return Reversal(tuple(group), _kind(group), max(amounts)) if amounts else None


def _minor(fact: Fact, its: Worth) -> int | None:
    """Return the amount of one fact; without an amount it is all of the order."""
    return read_minor(fact, its.currency) if names_an_amount(fact) else its.gross_minor


def _differences(group: Sequence[Fact], its: Worth | None) -> Iterable[str]:
    if its is None:
        return
    read = [minor for fact in group if (minor := _minor(fact, its)) is not None]
    yield from (unread(fact, its.currency, "takes nothing by itself") for fact in group if _minor(fact, its) is None)
    if len(set(read)) > 1:
        said = "; ".join(f"{fact.source} says {in_words(fact) if names_an_amount(fact) else 'all'}" for fact in group)
        yield f"The amounts of reversal {group[0].data['reversal']} differ: {said}. The larger counts"


def _failing(name: str | None, failures: Iterable[Fact]) -> set[str]:
    """Return the sources that tell that the reversal of that id failed."""
    return {fact.source for fact in _failures_of(name, failures)}


def _failures_of(name: str | None, failures: Iterable[Fact]) -> list[Fact]:
    return [fact for fact in failures if name is not None and fact.data.get("reversal") == name]


def _is_undone(group: Sequence[Fact], failures: Sequence[Fact]) -> bool:
    """Whether every source that tells the reversal also tells, by somebody who may tell it, that it failed."""
    failed = _failures_of(group[0].data.get("reversal"), failures)
    return all(any(each.source == fact.source and may_undo(each, fact) for each in failed) for fact in group)


def _undoes_nothing(failure: Fact, groups: Iterable[Sequence[Fact]], failures: Sequence[Fact]) -> bool:
    """Whether a failure has no effect though it should: one whose reversal is not told yet waits for it."""
    name = failure.data.get("reversal")
    its = next((group for group in groups if group[0].data.get("reversal") == name), None)
    return name is None or (its is not None and not _is_undone(its, failures))


def _without_effect(failure: Fact, groups: Iterable[Sequence[Fact]]) -> str:
    name = failure.data.get("reversal")
    if name is None:
        return f"{failure.source} says that a reversal failed and not which: it undoes nothing"
    its = [fact for group in groups for fact in group if fact.data.get("reversal") == name]
    if barred := tuple(f for f in its if f.source == failure.source and not may_undo(failure, f)):
        return Doubt(failure, barred).sentence
    others = {fact.source for fact in its} - {failure.source}
    return f"{failure.source} says that reversal {name} failed, and {', '.join(sorted(others))} still tells it"


def _once(read: Sequence[Reversal], its: Worth | None) -> tuple[list[Reversal], list[str]]:
    """Return the reversals without what other sources tell of the same under another id or none, and the conflicts."""
    alike: defaultdict[int, list[Reversal]] = defaultdict(list)
    for each in read:
        alike[each.amount_minor].append(each)
    counted, conflicts = [], []
    for amount_minor, group in alike.items():
        most = max(
            sum(source in each.sources for each in group) for source in frozenset().union(*(e.sources for e in group))
        )
        counted += sorted(group, key=lambda each: _STRONGEST_FIRST.index(each.kind))[:most]
        if most < len(group):
            conflicts.append(_doubled(group, most, amount_minor, its))
    return counted, conflicts


def _doubled(group: Sequence[Reversal], most: int, amount_minor: int, its: Worth | None) -> str:
    amount = "of the order" if its is None else f"of {money.display(amount_minor, its.currency)}"
    sources = sorted(frozenset().union(*(each.sources for each in group)))
    told = f"{len(group)} reversals {amount} are told by {' and '.join(sources)}"
    return f"{told} under different ids or none: {most} of them count{'s' if most == 1 else ''}"


def _perhaps_with_tax(read: Sequence[Reversal]) -> Iterator[Fact]:
    """Yield the facts of each reversal that another source may tell with its tax in it, by a higher amount. An amount
    that a source of the other tells too is certainly another refund.
    """
    sources: defaultdict[int, frozenset[str]] = defaultdict(frozenset)
    for each in read:
        sources[each.amount_minor] |= each.sources
    with_tax = {each.amount_minor for each in read if each.kind in _WITH_TAX}
    for less in read:
        most_minor = less.amount_minor * _WITH_TAX_PERCENT_MAX // 100
        if less.kind in _WITH_TAX and any(
            less.amount_minor < more <= most_minor and sources[less.amount_minor].isdisjoint(sources[more])
            for more in with_tax
        ):
            yield from less.facts


def _told_on(undone: Iterable[Reversal], read: Sequence[Reversal], failures: Sequence[Fact]) -> Iterable[str]:
    """Yield sentences about failed reversals that another source may still tell, under another id or none."""
    for each in undone:
        name = each.facts[0].data["reversal"]
        failing = _failing(name, failures)
        alike = [other for other in read if other.amount_minor == each.amount_minor and not other.sources <= failing]
        for other in alike:
            still = ", ".join(sorted(other.sources - failing))
            yield f"Reversal {name} failed, and {still} still tells one of the same amount"
