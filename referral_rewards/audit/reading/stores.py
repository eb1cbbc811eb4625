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
    about: defaultdict[str, list[Told]] = defaultdict(list)
    for fact in known:
        if fact.type in _TYPES and fact.order is not None:
            about[fact.order].append(fact)
    labels = {id(fact): label for name, its in about.items() for fact, label in _labelled(its, name, same)}
    return [relabelled for fact in known if (relabelled := _relabelled(fact, labels)) is not None]


def id_of(label: str | None) -> str | None:
    """The id of the order with that label."""
    return None if label is None else label.split(" ")[0]


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
    records = [fact for fact in its if fact.type == "conversion.recorded"]
    others = [fact for fact in its if fact.type != "conversion.recorded"]
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
