"""Phone numbers: one form for each, also for one that is written without its country (SPEC §3)."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import phonenumbers

_DIGITS_MIN: Final = 7


@dataclass(frozen=True, slots=True)
class Regions:
    """In which region a number without a country was written: that of its source, else of the installation.

    A region is two letters of ISO 3166, such as CA.
    """

    of_installation: str | None = None
    of_sources: Mapping[str, str] = field(default_factory=dict)

    def of(self, source: str | None) -> str | None:
        """Return the region of what a source tells, or None if none is known; without a source the installation's."""
        return self.of_installation if source is None else self.of_sources.get(source, self.of_installation)


def region_problem(region: str) -> str | None:
    """Return why ``region`` can't be one, or None."""
    if region in phonenumbers.SUPPORTED_REGIONS:
        return None
    return f"{region!r} is no region; write two capital letters, such as CA"


def in_e164(text: str, region: str | None) -> str | None:
    """Return a number in E.164. None if it is no number, or if neither it nor ``region`` tells its country."""
    international = "+" + text[2:] if text.startswith("00") else text
    try:
        number = phonenumbers.parse(international, region)
    except phonenumbers.NumberParseException:
        return None
    if not international.startswith("+") and not _is_whole(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_whole(number: phonenumbers.PhoneNumber) -> bool:
    """Whether a number has the length of one with its area code: without it, it is another one in each town."""
    return phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE


def is_given_out(text: str) -> bool:
    """Whether a number in international form, with + or 00 in front, is one that its country gives out."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse("+" + text.removeprefix("00").removeprefix("+"), None))
    except phonenumbers.NumberParseException:
        return False


def local_digits(text: str) -> str:
    """Return the digits of a number whose country is unknown. Empty for a placeholder: it identifies nobody."""
    digits = "".join(str(unicodedata.decimal(each)) for each in text if each.isdecimal())
    return digits if len(digits) >= _DIGITS_MIN and len(set(digits)) > 1 else ""
