"""Which facts are of which order (SPEC §3, Orders, first paragraph).

Each order gets a label of its own, and what takes nothing is dropped, so that whoever reads on may forget about stores.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final, NamedTuple

from referral_rewards.audit.reading.told import Told

#: Whether two records name one customer.
Same = Callable[[Told, Told], bool]

_TYPES: Final = frozenset(
    f"conversion.{word}"
    for word in ("recorded", "amended", "reversed", "reversal_failed", "dispute_opened", "dispute_closed")
)


def told_apart(known: Sequence[Told], same: Same) -> list[Told]:
    """The facts, in the order given, each with the label of its order in place of the order's id."""
    by_order = _by_order(known)
    labels = {id(fact): label for name, its in by_order.items() for fact, label in _labelled(its, name, same)}
    return [relabelled for fact in known if (relabelled := _relabelled(fact, labels)) is not None]


class Doubts(NamedTuple):
    """The labels of orders of whose store something can't be told, and the facts that are of no order for want of
    it."""

    labels: frozenset[str]
    homeless: list[Told]


def in_doubt(known: Sequence[Told], same: Same) -> Doubts:
    """What stays in doubt of which order, once the facts are told apart."""
    labels, homeless = set[str](), list[Told]()
    for name, its in _by_order(known).items():
        placed = _labelled(its, name, same)
        labels |= {label for label in _ordered(placed) if _is_doubted(label, placed, same)}
        homeless += [fact for fact, label in placed if label is None]
    return Doubts(frozenset(labels), homeless)


def id_of(label: str | None) -> str | None:
    """The id of the order with that label."""
    return None if label is None else label.split(" ")[0]


#: Facts about one id, each with the label of its order.
_Placed = Sequence[tuple[Told, str | None]]


def _by_order(known: Sequence[Told]) -> Mapping[str, list[Told]]:
    about: defaultdict[str, list[Told]] = defaultdict(list)
    for fact in known:
        if fact.type in _TYPES and fact.order is not None:
            about[fact.order].append(fact)
    return about


def _ordered(placed: _Placed) -> set[str]:
    """The labels of the orders that have a record."""
    return {label for fact, label in placed if label is not None and _is_record(fact)}


def _is_doubted(label: str, placed: _Placed, same: Same) -> bool:
    """Whether nobody can tell if something that was told of the id is of this order.

    A fact without a store is in doubt on each of several orders, also where its customer has one of them. Where no
    record names a store, so is what is told of several. A store in other case may be the same or another.
    """
    records = [fact for fact, its in placed if its == label and _is_record(fact)]
    stores = {_store(record) for record in records}
    several = len(_ordered(placed)) > 1
    none_known = not any(_store(fact) for fact, _ in placed if _is_record(fact))
    return (
        (any(_store(fact) is None for fact, _ in placed) and several)
        or (any(its is None for _, its in placed) and none_known)
        or any(_is_nearly_in(_store(fact), stores) for fact, _ in placed)
        or any(_store(one) != _store(other) and same(one, other) for one, other in combinations(records, 2))
    )


def _is_nearly_in(store: str | None, stores: set[str | None]) -> bool:
    return store is not None and store not in stores and store.lower() in {str(each).lower() for each in stores}


def _is_record(fact: Told) -> bool:
    return fact.type == "conversion.recorded"


def _relabelled(fact: Told, labels: Mapping[int, str | None]) -> Told | None:
    """The fact under the label of its order; None if it takes nothing by itself."""
    if id(fact) not in labels:
        return fact
    label = labels[id(fact)]
    return None if label is None else replace(fact, label=label)


def _labelled(its: Sequence[Told], name: str, same: Same) -> list[tuple[Told, str | None]]:
    """Each fact about the id with its label; None for one that takes nothing by itself."""
    if not any(_store(fact) for fact in its):
        return []
    records = [fact for fact in its if _is_record(fact)]
    others = [fact for fact in its if not _is_record(fact)]
    homes = _homes(records, same, name)
    elsewhere = {store for fact in others if (store := _store(fact))}
    found = [(record, homes.of_record(record, colour)) for record, colour in zip(records, homes.colours, strict=True)]
    return found + [(fact, homes.of_other(_store(fact), elsewhere)) for fact in others]


class _Homes(NamedTuple):
    """The colour of each record's order, and those of the orders that are in a store."""

    name: str
    colours: list[int]
    in_stores: set[int]
    by_store: Mapping[str, int]

    def of_record(self, record: Told, colour: int) -> str | None:
        return f"{self.name} {colour}" if colour in self.in_stores else None

    def of_other(self, store: str | None, elsewhere: set[str]) -> str | None:
        """The label for what is told of a store, or of none."""
        home: int | None
        if store is None:
            home = min(self.in_stores) if len(self.in_stores) == 1 else None
        elif self.by_store:
            home = self.by_store.get(store)
        else:  # no record names a store: the only one that is told of must be it
            home = 0 if len(elsewhere) == 1 and self.colours else None
        return None if home is None else f"{self.name} {home}"


def _homes(records: Sequence[Told], same: Same, name: str) -> _Homes:
    colours = _coloured(records, same)
    in_stores = {colour for colour, record in zip(colours, records, strict=True) if _store(record)}
    if len(in_stores) < 2:
        colours, in_stores = [0] * len(records), {0} if records else set()
    by_store = {store: colour for colour, record in zip(colours, records, strict=True) if (store := _store(record))}
    return _Homes(name, colours, in_stores, by_store)


def _coloured(records: Sequence[Told], same: Same) -> list[int]:
    """One colour for the records of one order: who must be together take the least colour until nothing changes."""
    colours = list(range(len(records)))
    changed = True
    while changed:
        changed = False
        for a, b in combinations(range(len(records)), 2):
            one, other = records[a], records[b]
            together = (_store(one) is not None and _store(one) == _store(other)) or same(one, other)
            if together and colours[a] != colours[b]:
                colours[a] = colours[b] = min(colours[a], colours[b])
                changed = True
    return colours


def _store(fact: Told) -> str | None:
    found: str | None = fact.data.get("store")
    return found
