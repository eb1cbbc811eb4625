"""The email address that a fact tells. Statements find such facts by their marks, as what was told is sealed."""

from collections.abc import Mapping
from typing import Any, Final

from referral_rewards.domain.facts.identity import ALIAS
from referral_rewards.domain.facts.payloads import FactType, person_of

#: In SQL: the mark of the address that the fact ``f`` tells, without which it tells none that anybody could write to.
ADDRESS_MARK: Final = f"SELECT mark FROM unnest(f.marks) AS mark WHERE mark LIKE '{ALIAS}:%'"  # noqa: S608 (words of ours alone)


def of(kind: FactType, body: Mapping[str, Any] | None) -> str | None:
    """Return the address in the text of a fact; None if it tells none, or was erased."""
    told = (person_of(kind, body) or {}).get("email") if body is not None else None
    return told if isinstance(told, str) and told.strip() else None
