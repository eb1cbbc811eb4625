"""A second reading of SPEC §3, "Orders", first paragraph: which facts are of which order, from the text alone.

It gives each order a label of its own and drops what takes nothing, so that who reads on may forget about stores.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]
#: Whether two records name one customer.
Same = Callable[[Event, Event], bool]


def told_apart(known: Sequence[Event], same: Same) -> list[Event]:
    """The facts, oldest first as they came, with the label of its order in place of each order's id."""
    about: dict[str, list[Event]] = {}
    for event in known:
        if event["type"] in _TYPES:
            about.setdefault(event["data"]["order"], []).append(event)
    labels = {id(event): label for name, its in about.items() for event, label in _labelled(its, name, same)}
    if not labels:
        return list(known)
    found = []
    for event in known:
        label = labels.get(id(event), event["data"].get("order"))
        if label is not None:
            found.append({**event, "data": {**event["data"], "order": label}})
        elif not event["data"].get("order"):
            found.append(event)
    return found


def in_doubt(known: Sequence[Event], same: Same) -> tuple[set[str], list[Event]]:
    """The labels of orders of whose store something can't be told, and the facts that are therefore of no order."""
    about: dict[str, list[Event]] = {}
    for event in known:
        if event["type"] in _TYPES:
            about.setdefault(event["data"]["order"], []).append(event)
    doubted, homeless = set[str](), list[Event]()
    for name, its in about.items():
        placed = _labelled(its, name, same)
        orders = {label for event, label in placed if label is not None and _is_record(event)}
        doubted |= {label for label in orders if _one_in_two(placed, label, same)}
        homeless += [event for event, label in placed if label is None]
        stores = {
            label: {_store(e) for e, its_label in placed if its_label == label and _is_record(e)} for label in orders
        }
        for event in its:  # a store in other case may be the same or another
            doubted |= {label for label in orders if _is_nearly_in(_store(event), stores[label])}
        stores_known = any(_store(event) for event in its if _is_record(event))
        for event, label in placed:
            # A fact without a store is in doubt on each of several orders, also where its customer has one of them;
            # and where no record names a store, so is what is told of several.
            if (_store(event) is None and len(orders) > 1) or (label is None and not stores_known):
                doubted |= orders
    return doubted, homeless


def _is_nearly_in(store: str | None, stores: set[str | None]) -> bool:
    return store is not None and store not in stores and store.lower() in {str(each).lower() for each in stores}


def _one_in_two(placed: Sequence[tuple[Event, str | None]], label: str, same: Same) -> bool:
    """Whether one customer's records of the order are in two stores, or in one and in none."""
    records = [event for event, its in placed if its == label and _is_record(event)]
    return any(_store(one) != _store(other) and same(one, other) for one in records for other in records)


def _is_record(event: Event) -> bool:
    return str(event["type"]) == "conversion.recorded"


def id_of(label: str | None) -> str | None:
    """The id of the order with that label."""
    return None if label is None else label.split(" ")[0]


def _labelled(its: Sequence[Event], name: str, same: Same) -> list[tuple[Event, str | None]]:
    """Each fact about the id with its label; None for one that takes nothing by itself."""
    if not any(e["data"].get("store") for e in its):
        return []
    records = [e for e in its if e["type"] == "conversion.recorded"]
    # A colour for each record; who must be of one order take the least colour until nothing changes any more.
    colours = list(range(len(records)))
    changed = True
    while changed:
        changed = False
        for a, one in enumerate(records):
            for b, other in enumerate(records):
                together = (_store(one) and _store(one) == _store(other)) or same(one, other)
                if together and colours[a] != colours[b]:
                    colours[a] = colours[b] = min(colours[a], colours[b])
                    changed = True
    in_stores = {colour for colour, record in zip(colours, records, strict=True) if _store(record)}
    if len(in_stores) < 2:
        colours, in_stores = [0] * len(records), {0} if records else set()
    found: list[tuple[Event, str | None]] = []
    for colour, record in zip(colours, records, strict=True):
        found.append((record, f"{name} {colour}" if colour in in_stores else None))
    homes = {_store(record): colour for colour, record in zip(colours, records, strict=True) if _store(record)}
    elsewhere = {_store(e) for e in its if e not in records and _store(e)}
    for event in its:
        if event in records:
            continue
        store = _store(event)
        if store is None:
            home = min(in_stores) if len(in_stores) == 1 else None
        elif homes:
            home = homes.get(store)
        else:  # no record names a store: the only one that is told of must be it
            home = 0 if len(elsewhere) == 1 and records else None
        found.append((event, None if home is None else f"{name} {home}"))
    return found


_TYPES = frozenset(
    f"conversion.{word}"
    for word in ("recorded", "amended", "reversed", "reversal_failed", "dispute_opened", "dispute_closed")
)


def _store(event: Event) -> str | None:
    found: str | None = event["data"].get("store")
    return found
