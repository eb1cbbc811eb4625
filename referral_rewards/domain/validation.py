"""What pydantic found wrong with an input, in our words: what is wrong and what would be right.

Nothing that was sent is repeated but numbers: what stands in the wrong field may be somebody's address.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from referral_rewards.domain.errors import Problem, nearest, perhaps, uncapitalized

_OURS: Final = "Value error, "
_PLAIN: Final[Mapping[str, str]] = {
    "missing": "is required",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "extra_forbidden": "is unknown here; leave it out, or check how it is spelled",
    "uuid_type": "must be an id such as 0193a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b",
    "uuid_parsing": "must be an id such as 0193a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b",
}


def problems_of(
    error: ValidationError, where: Callable[[tuple[int | str, ...]], str], *, prefix: str = ""
) -> list[Problem]:
    """Every finding of an error; ``where`` says where one stands by pydantic's path to it."""
    return [Problem(prefix + where(each["loc"]), in_words(each)) for each in error.errors(include_url=False)]


def in_words(found: Mapping[str, Any]) -> str:
    """One finding, as pydantic's ``errors()`` lists them."""
    kind, given, context = found["type"], found.get("input"), found.get("ctx") or {}
    message = str(found["msg"])
    if message.startswith(_OURS):
        return message.removeprefix(_OURS)  # as it was written: what is capital in it is meant to be
    if kind == "string_type" and isinstance(given, int | float) and not isinstance(given, bool):
        text = _as_text(given)
        return f'{text} is a number; write it as text: "{text}"'
    if kind in ("enum", "literal_error"):
        return _choice(given, str(context.get("expected", "")))
    if kind == "string_too_long":
        return f"must be at most {context['max_length']:,} characters"
    if kind == "too_short":
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least:,} entries"
    return _PLAIN.get(kind) or uncapitalized(message)


def unknown_names(unknown: str, known: Iterable[str], what: str = "filter") -> str:
    """That a filter, or whatever it is, has a name that is not known, and which are."""
    names = sorted(known)
    found = nearest(unknown, names)
    maybe = f' Did you mean "{found}"?' if found is not None else ""
    return f'Unknown {what} "{unknown}".{maybe} Available: {", ".join(names) or "none"}'


def _as_text(given: Any) -> str:
    """A number as an amount is written: with two decimals where more were not told."""
    return f"{given:.2f}" if isinstance(given, float) and round(given, 2) == given else str(given)


def _choice(given: Any, expected: str) -> str:
    """The values that are taken, quoted as pydantic lists them, and the one that may be meant."""
    maybe = perhaps(given, re.findall("'([^']*)'", expected)) if isinstance(given, str) else ""
    return f"must be {expected}{maybe}"
