"""How a vendor writes a fact: our own envelope, as ``POST /v1/events`` takes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from referral_rewards.domain.facts.payloads import FactType

_ABSENT: Final[tuple[object, ...]] = (None, {}, "")


def fact(source: str, name: str, fact_type: FactType, at: datetime, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a fact; what its data has no value for is left out.

    Args:
        source: the fact's source, as the mapping names it.
        name: its id, derived from the vendor's object and from what is said of it.
        at: when it happened, by the vendor's clock, aware.
        data: as the type has it; amounts are decimal strings (`amounts.py`).
    """
    return {
        "specversion": "1.0",
        "id": name,
        "source": source,
        "type": str(fact_type),
        "time": at.isoformat(),
        "data": _said(data),
    }


def _said(data: Mapping[str, Any]) -> Mapping[str, Any]:
    parts = {name: _said(value) if isinstance(value, Mapping) else value for name, value in data.items()}
    return {name: value for name, value in parts.items() if value not in _ABSENT}
