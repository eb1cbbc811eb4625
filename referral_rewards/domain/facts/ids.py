"""What an id, a code and the name of a source may be made of: nothing that nobody sees, nothing personal (SPEC §3).

Ids become workflow ids, keys and words of histories. There people compare them by eye, and personal data could not be
erased.
"""

import re
import unicodedata
from typing import Final

from referral_rewards.domain.facts import bank_accounts, phones
from referral_rewards.domain.facts.identity import folded_code, plain

_PUBLIC_ID: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")
#: What most ids look like. Beginning with a letter and without "@", such a one can be none of what is refused, but for
#: an IBAN.
_SIMPLE_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,199}")
#: The same of sources and of the ids of facts.
_SIMPLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./:-]{0,499}")
#: A source and an id share one index entry, which Postgres limits to 2704 bytes.
_NAME_BYTES_MAX: Final = 1000
#: URL builders drop these path segments, even when escaped: nothing with such a name could be requested.
_STEPS_OF_A_PATH: Final = frozenset({".", ".."})
#: As the names of their letters begin; in one id, а and a pass for one another.
_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})

#: Categories of characters without a shape of their own: controls, among them those that turn text around (Cf), halves
#: of pairs, what is assigned to nothing, ends of lines and paragraphs.
_SHAPELESS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: Letters and marks that Unicode calls printable and nobody sees: fillers, joiners, variation selectors, an empty dot
#: pattern.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0100-\U000e01ef]"
)

#: Something at a host. What begins with a digit is one only if it ends as hosts do: 163.com, not 2026-06-01 or 1.0.3.
_EMAIL: Final = re.compile(r"[^@\s](?:@|%40)(?:[^\W\d_]|[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2})")
#: What makes a phone number of digits: a leading + (also behind a scheme, as in tel:), an area code in brackets, or the
#: groups in which North America and France write. Digits alone, and digits in other groups, are numbers of orders.
_PHONE: Final = re.compile(
    r"(?:[A-Za-z][\w.-]*:)?\+(?:[ ()./-]*\d){7,15}"
    r"|(?:1[ .-]?)?\(\d{2,5}\)(?:[ ./-]*\d){5,9}"
    r"|(?:1[ .-])?\d{3}[ .-]\d{3}[ .-]\d{4}"
    r"|0[1-9](?:[ .-]\d\d){4}"
)
#: The international prefix as it is dialled. Order numbers are padded with zeros too: only a number that a country
#: gives out is one of a phone.
_DIALLED: Final = re.compile(r"00[1-9](?:[ ()./-]*\d){9,14}")

UNSEEN: Final = "holds a character that nobody sees; send it without that character"


def id_problem(value: str) -> str | None:
    """Return why ``value`` can't be an id, or None."""
    if _SIMPLE_ID.fullmatch(value) and not bank_accounts.may_be_iban(value):
        return None
    if not _PUBLIC_ID.fullmatch(value):
        return "an id is 1 to 200 characters without spaces"
    if value in _STEPS_OF_A_PATH:
        return "an id is more than dots"
    if holds_unseen(value) or not value.isprintable():
        return UNSEEN
    if unicodedata.normalize("NFKC", value) != value:
        return "holds a character that reads like another one; send the id in its plain form"
    if len(_alphabets(value)) > 1:
        return "mixes letters of alphabets that look alike; send the id in one alphabet"
    return _personal(value, "ids stand in histories, send an opaque id")


def code_problem(value: str) -> str | None:
    """Return why ``value`` can't be a referrer's code, or None. Unlike an id it may have spaces: people type it."""
    if holds_unseen(value):
        return UNSEEN
    if not folded_code(value) or not plain(value).isprintable() or len(value) > 200:
        return "a code is 1 to 200 letters and digits; spaces and hyphens between them do not count"
    return _personal(plain(value), "ids stand in histories, send an opaque id")


def event_id_problem(value: object) -> str | None:
    """Return why ``value`` can't be the id of a fact, or None. It may have spaces and any letters."""
    return _name_problem(value, "keys and lists hold it, send an opaque id")


def source_problem(value: object) -> str | None:
    """Return why ``value`` can't be the name of a source, or None. It may have spaces and any letters."""
    return _name_problem(value, "name the system that tells of the fact, such as shop or //shop.example/orders")


def holds_unseen(text: str) -> bool:
    """Whether a text holds a character that nobody sees, or that turns around how others are read."""
    if text.isascii():
        return not text.isprintable()
    return bool(_INVISIBLE.search(text)) or any(unicodedata.category(each) in _SHAPELESS for each in text)


def tells_of_a_person(words: str) -> bool:
    """Whether free text contains what looks like an email address, a phone number or an IBAN."""
    return bool(_EMAIL.search(words) or _PHONE.search(words)) or any(
        map(bank_accounts.is_iban, (words, *words.split()))
    )


def _name_problem(value: object, instead: str) -> str | None:
    if not isinstance(value, str) or not value or len(value) > 500:
        return "must be a text of 1 to 500 characters"
    if _SIMPLE_NAME.fullmatch(value) and not bank_accounts.may_be_iban(value):
        return None
    if holds_unseen(value) or not value.isprintable():
        return UNSEEN
    if value != value.strip():
        return "begins or ends with a space"
    if len(value.encode()) > _NAME_BYTES_MAX:
        return f"must be a text of at most {_NAME_BYTES_MAX} bytes in UTF-8"
    return _personal(value, instead)


def _personal(value: str, instead: str) -> str | None:
    """Return that ``value`` looks like an address or a number of a person, and what to send ``instead``, or None."""
    if _EMAIL.search(value):
        return f"looks like an email address; {instead}"
    if _PHONE.fullmatch(value) or (_DIALLED.fullmatch(value) and phones.is_given_out(value)):
        return f"looks like a phone number; {instead}"
    if bank_accounts.is_iban(value):
        return f"looks like the number of a bank account (IBAN); {instead}"
    return None


def _alphabets(text: str) -> frozenset[str]:
    """Return which of the alphabets that share the shapes of their letters a text is written in."""
    if text.isascii():
        return frozenset()
    names = {unicodedata.name(each, "").partition(" ")[0] for each in text if each.isalpha()}
    return _ALIKE & names
