"""The contrast of two colours, by WCAG 2.2: a theme that nobody could read is refused."""

import re
from collections.abc import Mapping
from typing import Final

from referral_rewards.domain.errors import Problem

#: For text, and for the edges of fields and buttons.
TEXT_MIN, EDGE_MIN = 4.5, 3.0
_HEX: Final = re.compile(r"#[0-9a-fA-F]{6}")
#: The pairs that stand on one another, with the least contrast.
PAIRS: Final = (
    ("text", "ground", TEXT_MIN),
    ("text", "raised", TEXT_MIN),
    ("muted", "ground", TEXT_MIN),
    ("muted", "raised", TEXT_MIN),
    ("on_accent", "accent", TEXT_MIN),
    ("accent", "ground", TEXT_MIN),
    ("accent", "raised", TEXT_MIN),
    ("edge", "raised", EDGE_MIN),
)
USUAL: Final[Mapping[str, str]] = {
    "ground": "#f4f5f7",
    "raised": "#ffffff",
    "text": "#1a202c",
    "muted": "#545d6e",
    "accent": "#1f4fd8",
    "on_accent": "#ffffff",
    "edge": "#6b7485",
}


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours such as ``#1a202c``: from 1, the same, to 21, black on white."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def problems(where: str, colours: Mapping[str, str]) -> list[Problem]:
    """Return what is wrong with the colours of a theme; those that it does not name are the usual ones."""
    wrong = [
        Problem(f"{where}.{name}", f"is no colour such as {USUAL['accent']}")
        for name, colour in colours.items()
        if not _HEX.fullmatch(colour)
    ]
    unknown = [
        Problem(f"{where}.{name}", f"is none of {', '.join(sorted(USUAL))}") for name in colours if name not in USUAL
    ]
    if wrong or unknown:
        return wrong + unknown
    whole = {**USUAL, **colours}
    return [
        Problem(where, f"{one} on {other} has a contrast of {found:.1f}, too little to be read: {least} is the least")
        for one, other, least in PAIRS
        if (found := contrast(whole[one], whole[other])) < least
    ]


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
