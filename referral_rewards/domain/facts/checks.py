"""The checks that a fact must pass, each by itself: its attributes, its time, and the rules between its fields.

What is wrong comes back as problems, which refuse the fact. What may not mean what its sender thinks comes back as
warnings; it is recorded as it came.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, cast

from referral_rewards.domain import money
from referral_rewards.domain.errors import Problem, nearest, none_of
from referral_rewards.domain.facts.intake_warnings import FactWarning, WarningKind
from referral_rewards.domain.facts.payloads import (
    Amended,
    Claimed,
    Consent,
    ConsentScope,
    DisputeClosed,
    Disputed,
    Part,
    Rated,
    Recorded,
    ReversalKind,
    Reversed,
)

#: A fact dated before this is refused: nothing that a program rewards is so old. The calendar begins with the year 1
#: and has no local time for its first hours in some zones, so a period from there could not be calculated.
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
#: Conversions as most terms name them.
_USUAL_KINDS: Final = ("purchase", "subscription", "account_opened")
_KINDS_OF_REVERSALS: Final = frozenset(ReversalKind)
_SCOPES: Final = frozenset(ConsentScope)


def instant(value: Any, problems: list[Problem]) -> datetime | None:
    """Return when a fact occurred, in UTC, or None. What is wrong with its time is added to ``problems``."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        problems.append(Problem("time", spreadsheets_date(value) or f"is required, in RFC 3339 with an {_EXAMPLE}"))
        return None
    if moment.tzinfo is None:
        problems.append(Problem("time", f"needs an {_EXAMPLE}"))
        return None
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        problems.append(Problem("time", "lies outside the calendar"))
        return None
    if moment < _EARLIEST:
        problems.append(Problem("time", "lies before 1900"))
        return None
    return moment


#: The end of a sentence about a moment.
_EXAMPLE: Final = "offset, for example 2026-06-01T14:00:00Z"
_BY_SPREADSHEETS: Final = re.compile(
    r"(\d{1,2}([./-])\d{1,2}\2\d{2,4}|\d{4}([./])\d{1,2}\3\d{1,2})"
    r"(,? +\d{1,2}:\d{2}(:\d{2})?( *[AaPp]\.?[Mm]\.?)?)?|\d{5}([.,]\d+)?"
)


def spreadsheets_date(value: Any) -> str | None:
    """The problem of a moment as a spreadsheet writes it, or None. Which of its numbers is the month is not guessed."""
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if not _BY_SPREADSHEETS.fullmatch(text):
        return None
    return f"{text!r} is written as spreadsheets do; write year-month-day, T and the time with an {_EXAMPLE}"


def rule_problems(payload: Part) -> Iterator[Problem]:
    """Yield what breaks a rule between the fields of a payload."""
    rules = _RULES.get(type(payload))
    return iter(()) if rules is None else rules(payload)


def doubts_of(payload: Part) -> Iterator[FactWarning]:
    """Yield what is recorded as it came, but may not mean what its sender thinks."""
    doubts = _DOUBTS.get(type(payload))
    return iter(()) if doubts is None else doubts(payload)


def _of_claim(payload: Part) -> Iterator[Problem]:
    claim = cast(Claimed, payload)
    if claim.referral is not None:
        return
    if claim.program is None:
        yield Problem("data.program", "is required where no referral is named")
    if claim.referrer is None and claim.referrer_code is None:
        yield Problem("data.referrer", "or data.referrer_code is required where no referral is named")


def _of_conversion(payload: Part) -> Iterator[Problem]:
    conversion = cast(Recorded, payload)
    if conversion.amount is None:
        return
    if conversion.currency is None:
        yield Problem("data.currency", "is required beside an amount")
    elif _too_fine(conversion.amount, conversion.currency):
        yield Problem("data.amount", f"{conversion.amount} has more decimals than {conversion.currency} has")


def _of_rating(payload: Part) -> Iterator[Problem]:
    if not 1 <= cast(Rated, payload).score <= 5:
        yield Problem("data.score", "must be 1 to 5")


def _of_record(payload: Part) -> Iterator[FactWarning]:
    """Warn of a kind that nearly is a usual one. Terms may name any kind, and mean it as it is written: the reward for
    another one would be lost in silence."""
    kind = cast(Recorded, payload).kind
    if kind not in _USUAL_KINDS and (meant := nearest(kind.casefold(), _USUAL_KINDS)) is not None:
        what = f"{kind!r} counts only where the terms write it so; did you mean {meant!r}?"
        yield FactWarning(WarningKind.UNKNOWN_WORD, "data.kind", what)


def _of_reversal(payload: Part) -> Iterator[FactWarning]:
    kind = cast(Reversed, payload).kind
    if kind not in _KINDS_OF_REVERSALS:
        what = f"{none_of(kind, ReversalKind)}; it counts as a reversal all the same"
        yield FactWarning(WarningKind.UNKNOWN_WORD, "data.kind", what)
    yield from _of_amount(payload)


def _of_consent(payload: Part) -> Iterator[FactWarning]:
    scope = cast(Consent, payload).scope
    if scope not in _SCOPES:
        yield FactWarning(WarningKind.UNKNOWN_WORD, "data.scope", f"{none_of(scope, ConsentScope)}; it changes nothing")


def _of_amount(payload: Part) -> Iterator[FactWarning]:
    told = cast(Amended | Reversed | Disputed, payload)
    if _too_fine(told.amount, told.currency):
        what = f"{told.amount} has more decimals than {told.currency} has: it takes nothing by itself"
        yield FactWarning(WarningKind.AMOUNT_WITHOUT_EFFECT, "data.amount", what)


def _too_fine(amount: str | None, currency: str | None) -> bool:
    return amount is not None and currency is not None and not money.fits(Decimal(amount), currency)


_RULES: Final[Mapping[type[Part], Callable[[Part], Iterator[Problem]]]] = {
    Claimed: _of_claim,
    Recorded: _of_conversion,
    Rated: _of_rating,
}
_DOUBTS: Final[Mapping[type[Part], Callable[[Part], Iterator[FactWarning]]]] = {
    Recorded: _of_record,
    Amended: _of_amount,
    Reversed: _of_reversal,
    Disputed: _of_amount,
    DisputeClosed: _of_amount,
    Consent: _of_consent,
}
