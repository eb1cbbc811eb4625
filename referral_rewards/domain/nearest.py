"""Names that somebody mistyped: what they may have meant."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, whatever its case; None if none is like it."""
    from difflib import get_close_matches  # here, as only a mistake needs it

    by_plain = {each.casefold(): each for each in sorted(known, reverse=True)}
    found = get_close_matches(name.casefold(), by_plain, n=1)
    return by_plain[found[0]] if found else None


def perhaps(name: str, known: Iterable[str]) -> str:
    """What to add to a sentence that refuses a name: the nearest one, as a question, or nothing."""
    found = nearest(name, known)
    return f"; did you mean {found!r}?" if found is not None else ""


def none_of(value: str, known: Iterable[str]) -> str:
    """That a value is none of those that are known, and which of them is the nearest."""
    names = [str(each) for each in known]
    return f"{value!r} is none of {', '.join(names)}{perhaps(value, names)}"
