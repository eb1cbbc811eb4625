"""Reads the values of a mapped answer, each in the form that facts have it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from referral_rewards.domain import money
from referral_rewards.domain.errors import FactInvalid
from referral_rewards.domain.facts.events import Event, parse_event
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.sources.asking import Unusable
from referral_rewards.sources.mapping import Items, Part, State, Value, find
from referral_rewards.vendors.paths import Path
from referral_rewards.vendors.port import Unreadable
from referral_rewards.vendors.values import decimal, moment, name

#: A smaller number of milliseconds would be a moment before 1973: it is meant in seconds.
_MILLISECONDS_FROM: Final = 10**11


class Values:
    """The values of one object in an answer, by the mapping of its part. What is missing or of another form makes the
    whole answer `Unusable`: nothing is guessed."""

    def __init__(self, part: Part, within: Mapping[str, Any], paths: Mapping[Value, Path] | None = None) -> None:
        self._part, self._within = part, within
        self._paths = part.values if paths is None else paths

    def text(self, what: Value) -> str | None:
        """Return the text or whole number, None if there is none."""
        found = self._find(what)
        if (found is not None and not isinstance(found, str | int)) or isinstance(found, bool):
            raise Unusable(f"Its answer has no text at the path of {what}.")
        return name({what: found}, what)

    def needed(self, what: Value) -> str:
        """Return the same, which must be there."""
        if (found := self.text(what)) is None:
            raise Unusable(f"Its answer has nothing at the path of {what}.")
        return found

    def truth(self, what: Value) -> bool | None:
        """Return the truth, None if there is none."""
        found = self._find(what)
        if found is not None and not isinstance(found, bool):
            raise Unusable(f"Its answer has neither true nor false at the path of {what}.")
        return found

    def moment(self, what: Value) -> datetime:
        """Return the moment, which must be there: ISO 8601 with an offset, or seconds or milliseconds since 1970."""
        if (found := self.maybe_moment(what)) is None:
            raise Unusable(f"Its answer has nothing at the path of {what}.")
        return found

    def maybe_moment(self, what: Value) -> datetime | None:
        """Return the same, None if there is none."""
        text = self.text(what)
        if text is not None and text.isdecimal() and int(text) < _MILLISECONDS_FROM:
            text = f"{text}000"
        try:
            return moment({what: text}, what)
        except Unreadable as error:
            raise Unusable(f"Its answer can't be read: {error}.") from None

    def amount(self, what: Value, currency: str | None, usual: int | None = None) -> Decimal:
        """Return the amount in units of its currency; ``usual`` if nothing stands there."""
        if (text := self.text(what)) is None and usual is not None:
            return Decimal(usual)
        try:
            places = money.exponent(money.known_currency(currency or ""))
            found = decimal({what: text}, what) if text is not None else None
        except Unreadable as error:
            raise Unusable(f"Its answer can't be read: {error}.") from None
        except ValueError:
            raise Unusable("Its answer has no currency of ISO 4217 beside an amount.") from None
        if found is None or found < 0:
            raise Unusable(f"Its answer has no amount of zero or more at the path of {what}.")
        return found.scaleb(-places) if self._part.minor_units else found

    def state(self) -> State:
        """Return what its word for its state means; it stands if the mapping asks for no state."""
        if Value.STATE not in self._paths:
            return State.STANDS
        found = self._find(Value.STATE)
        word = str(found).lower() if isinstance(found, bool) else self.needed(Value.STATE)
        if (state := self._part.states.get(word)) is not None:
            return state
        shown = f" {word!r}" if id_problem(word) is None else ""
        raise Unusable(f"Its answer has a state{shown} that the mapping does not name.")

    def items(self, within: Items) -> Iterator["Values"]:
        """Yield the values of each item of a list; none if no list stands there."""
        found = find(within.path, self._within)
        if found is not None and not isinstance(found, list):
            raise Unusable("Its answer has no list where the mapping says.")
        for each in found or ():
            if not isinstance(each, Mapping):
                raise Unusable("Its answer has a list of something else than objects where the mapping says.")
            yield Values(self._part, each, within.values)

    def _find(self, what: Value) -> Any:
        path = self._paths.get(what)
        return None if path is None else find(path, self._within)


def event(document: Mapping[str, Any]) -> Event:
    """Return a fact that was made of an answer.

    Raises:
        Unusable: if it can be none, as one with an address for an id.
    """
    try:
        return parse_event(document)
    except FactInvalid as error:
        raise Unusable(f"What it told can't be a fact: {'; '.join(map(str, error.problems))}.") from None
