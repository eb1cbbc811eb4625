"""How several names, and a number with its noun, stand inside a sentence."""

from collections.abc import Iterable


def listed(names: Iterable[str], last: str = "and") -> str:
    """``a``, ``a and b`` or ``a, b and c``."""
    *first, end = names
    return f"{', '.join(first)} {last} {end}" if first else end


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun, ``1 referral`` or ``2 referrals``."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
