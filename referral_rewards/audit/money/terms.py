"""Whether a version's terms are the text that was published: nobody signs them, so they are read from it again."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

import yaml

from referral_rewards.audit.money.about import differs
from referral_rewards.audit.money.records import Terms
from referral_rewards.domain.calendar import Period

#: What holds where a text does not name a field. Every other one is empty or off.
_DEFAULTS: Final[Mapping[str, object]] = {
    "arrival_allowance": "PT1H",
    "watch": "P60D",
    "day_boundary": "instant",
    "conversions": "register",
    "threshold": 50,
    "remind_after": "P2D",
    "escalate_after": "P5D",
    "escalate_to": "operations",
    "timing": "immediate",
    "first_method": "redirect",
    "regime": "none",
    "satisfaction_survey": True,
}


@lru_cache(maxsize=64)
def problems(terms: Terms) -> tuple[str, ...]:
    """Return in words where a version's terms, dates or author are not those that were published. It is worked out once
    for all payments that are read together."""
    return tuple(_problems(terms))


def _problems(terms: Terms) -> Iterator[str]:
    if not terms.noted:
        yield f"the audit log does not say that {terms.published_by} published it at {terms.published_at.isoformat()}"
    try:
        # Every scalar is read as the text that it is.
        written = yaml.load(terms.source, yaml.BaseLoader)  # noqa: S506 (it makes texts, lists and maps alone)
    except yaml.YAMLError:
        yield "the text that was published can't be read any more"
        return
    yield from _differences("", written, terms.terms)
    named = {"program": terms.program}
    for noun, right in named.items():
        if terms.terms.get(noun) != right:
            yield differs(noun, terms.terms.get(noun), right)
    said = terms.terms.get("effective_from")
    if not isinstance(said, str) or datetime.fromisoformat(said) != terms.effective_from:
        yield differs("time from which it holds", terms.effective_from, said)


def _differences(path: str, written: Any, stands: Any) -> Iterator[str]:
    if isinstance(stands, Mapping):
        its = written if isinstance(written, Mapping) else {}
        for name in sorted({*its, *stands}):
            at = f"{path}.{name}" if path else name
            if name not in stands:
                yield f"{at} is missing; the text says {its[name]}"
            elif name in its:
                yield from _differences(at, its[name], stands[name])
            else:
                yield from _unnamed(at, name, stands[name])
    elif isinstance(stands, list):
        listed: list[Any] = written if isinstance(written, list) else []
        if len(listed) != len(stands):
            yield f"{path} has {len(stands)} entries; the text has {len(listed)}"
            return
        for number, (one, other) in enumerate(zip(listed, stands, strict=True)):
            yield from _differences(f"{path}[{number}]", one, other)
    elif not _same(written, stands):
        yield f"{path} is {stands}; the text says {written}"


def _unnamed(path: str, name: str, stands: Any) -> Iterator[str]:
    """What the text does not name has its usual value, in every part."""
    if isinstance(stands, Mapping):
        for each, value in sorted(stands.items()):
            yield from _unnamed(f"{path}.{each}", each, value)
    elif name in _DEFAULTS:
        if stands != _DEFAULTS[name]:
            yield f"{path} is {stands}; the text does not name it, so that {_DEFAULTS[name]} would be right"
    elif stands not in (None, False, [], ()):
        yield f"{path} is {stands}; the text does not name it"


def _same(written: Any, stands: Any) -> bool:
    if stands is None:
        return written in ("", "null", "~")
    if not isinstance(written, str):
        return False
    if isinstance(stands, bool):
        return written.casefold() == str(stands).casefold()
    return written == str(stands) or any(_read(written, kind) == _read(str(stands), kind) for kind in _KINDS)


def _read(written: str, kind: Any) -> object:
    """Return a text as a value of a kind; a value that equals no other if it is none."""
    try:
        return kind(written)
    except (ValueError, InvalidOperation):
        return object()


#: Ways in which one value can be written differently.
_KINDS: Final = (Decimal, Period.parse, datetime.fromisoformat, date.fromisoformat, time.fromisoformat)
