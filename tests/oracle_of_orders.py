"""A second reading of SPEC §3, "Orders": an order's amounts, and which of its reversals count, from the text alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.telling import may_tell

Event = Mapping[str, Any]

_KINDS = ("chargeback_lost", "refund", "return", "cancellation")
_PLACES = {"JPY": 0, "KWD": 3}


def readable(data: Mapping[str, Any], currency: str) -> bool:
    """Whether an amount is in the order's currency and no finer than its smallest unit."""
    cents = Decimal(data["amount"]).scaleb(_PLACES.get(currency, 2))
    return data.get("currency") in (None, currency) and cents == int(cents)


def amounts(record: Event, known: Sequence[Event]) -> tuple[Decimal | None, Decimal | None, bool]:
    """Its latest amount, the largest that it ever had, and whether an amendment says what can't be read."""
    told = [e for e in known if e["type"] == "conversion.amended" and e["data"]["order"] == record["data"]["order"]]
    if record["data"].get("amount") is None:
        return None, None, bool(told)
    its = [(_at(record), "", "", Decimal(record["data"]["amount"]))]
    good = [e for e in told if readable(e["data"], record["data"]["currency"])]
    last, barred = record, list[tuple[Event, Event]]()
    for e in sorted(good, key=lambda e: (_at(e), e["source"], e["id"])):
        if Decimal(e["data"]["amount"]) > Decimal(last["data"]["amount"]) and not may_tell(e, last):
            barred.append((e, last))  # it raises what its teller may not tell
            continue
        last = e
        its.append((_at(e), e["source"], e["id"], Decimal(e["data"]["amount"])))
    latest = max(its[1:])[-1] if len(its) > 1 else its[0][-1]
    had = []
    for moment in {max(_at(record), when) for when, *_ in its}:
        by_then = [each for each in its[1:] if each[0] <= moment]
        had.append(max(by_then)[-1] if by_then else its[0][-1])
    return latest, max(had), len(good) < len(told) or any(over is last for _, over in barred)


def standing(known: Sequence[Event], order: str, gross: Decimal | None, currency: str | None) -> tuple[
    list[tuple[str, Decimal]], bool
]:  # fmt: skip
    """The reversals that count, each with its kind and amount, and whether what is told of them differs."""
    its = [e for e in known if e["data"].get("order") == order]
    back = [e for e in its if e["type"] == "conversion.reversed"]
    if gross is not None:  # a cancellation reverses only what has no amount
        names = {e["data"].get("reversal") or (e["source"], e["id"]) for e in back if _kind(e) != "cancellation"}
        back = [e for e in back if (e["data"].get("reversal") or (e["source"], e["id"])) in names]
    failed = [e for e in its if e["type"] == "conversion.reversal_failed"]
    differs = any("reversal" not in e["data"] for e in failed)
    told: dict[Any, list[Event]] = {}
    for each in back:
        told.setdefault(each["data"].get("reversal") or (each["source"], each["id"]), []).append(each)
    found: list[tuple[str, Decimal, set[str]]] = []
    gone: list[tuple[Decimal, set[str]]] = []
    for name, group in told.items():
        sources = {e["source"] for e in group}
        failing = {e["source"] for e in failed if e["data"].get("reversal") == name}
        sums = []
        for each in group:
            if gross is None or currency is None:
                sums.append(Decimal(0))
            elif each["data"].get("amount") is None:
                sums.append(gross)
            elif readable(each["data"], currency):
                sums.append(Decimal(each["data"]["amount"]))
        undone = {
            e["source"]
            for e in group
            if any(f["source"] == e["source"] and f["data"].get("reversal") == name and may_tell(f, e) for f in failed)
        }
        if sources == undone:
            gone += [(max(sums), failing)] if sums else []
            continue
        differs = differs or bool(failing) or len(sums) < len(group) or len(set(sums)) > 1
        if sums:
            found.append((min(map(_kind, group), key=_strength), max(sums), sources))
    counted = []
    for amount in {each[1] for each in found}:
        alike = sorted((each for each in found if each[1] == amount), key=lambda each: _strength(each[0]))
        most = max(Counter(source for each in alike for source in each[2]).values())
        counted += [(kind, amount) for kind, _, _ in alike[:most]]
        differs = differs or most < len(alike)
        differs = differs or any(amount == lost and not each[2] <= by for lost, by in gone for each in alike)
    return counted, differs


def _kind(event: Event) -> str:
    return str(event["data"]["kind"]).lower()


def _strength(kind: str) -> float:
    """A word that nobody knows is stronger than a cancellation alone."""
    return _KINDS.index(kind) if kind in _KINDS else 2.5


def _at(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"]).astimezone(UTC)
