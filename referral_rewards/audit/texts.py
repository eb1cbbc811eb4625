"""How findings are told, and whether two writings of terms say the same."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from referral_rewards.domain.money import display


def differs(noun: str, stands: object, right: object) -> str:
    """The sentence that something is another than it must be."""
    return f"its {noun} is {_told(stands)}; right would be {_told(right)}"


def amount(amount_minor: int, currency: str) -> str:
    """An amount in words, also in a currency that nobody knows."""
    try:
        return display(amount_minor, currency)
    except ValueError:
        return f"{amount_minor} minor units of {currency}"


def words(name: str) -> str:
    """A name of the specification, for people."""
    return name.replace("_", " ")


def disagreeing(text: object, kept: object, path: str = "") -> Iterator[str]:
    """The paths at which terms as they are kept say something else than their published text."""
    if isinstance(text, Mapping):
        its = kept if isinstance(kept, Mapping) else {}
        for key, value in text.items():
            yield from disagreeing(value, its.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(text, Sequence) and not isinstance(text, str):
        others = kept if isinstance(kept, Sequence) and not isinstance(kept, str) else ()
        if len(text) != len(others):
            yield path
        for place, (one, other) in enumerate(zip(text, others, strict=False)):
            yield from disagreeing(one, other, f"{path}.{place}")
    elif _said(text) != _said(kept):
        yield path


def _told(value: object) -> str:
    return "missing" if value is None else str(value)


def _said(value: object) -> object:
    """A value however it is written: a number by its worth, an instant by its moment."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or value is None:
        return value
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return str(value)
