"""Identity: normalises what identifies a person and turns it into marks that can be compared but not read.

A mark is ``kind:value``. Customer ids are opaque and stay readable; everything personal is a keyed hash (HMAC-SHA256
with the installation's pepper), so that equal persons have equal marks and nothing personal can be read from one.
"""

import hashlib
import hmac
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Set
from copy import copy
from functools import cache, lru_cache
from typing import Any, Final

from referral_rewards.domain.facts import phones

#: Facts of one person share one of these (SPEC §3). An ``email`` is without its ``+tag``: see `links`.
IDENTITY_KINDS: Final = ("customer", "email", "phone")
#: An address with its ``+tag``. No fact is filed under it; it tells whether two sides wrote the very same address.
ALIAS: Final = "alias"
#: Who shares one of these is certainly one person; a mailbox may be shared by tags.
CERTAIN_KINDS: Final = ("customer", "phone", ALIAS)
#: If referrer and referee share one of these, it is a self-referral (SPEC §5).
SELF_REFERRAL_KINDS: Final = (*IDENTITY_KINDS, "local_phone", "fingerprint", "device")

_DOTLESS_DOMAINS: Final = frozenset({"gmail.com", "googlemail.com"})
_LOOKS_LIKE_EMAIL: Final = re.compile(r"[^@\s]@[^@\s]")
_LOOKS_LIKE_PHONE: Final = re.compile(r"\+\d[\d ().-]{6,}|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}")
_PUBLIC_ID: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")
#: What most ids look like. Beginning with a letter and without "@", such a one can be none of what is refused.
_SIMPLE_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,199}")
#: As the names of their letters begin; in one id, а and a pass for one another.
_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})
#: URL builders drop these path segments, even when escaped: nothing with such a name could be requested.
_STEPS_OF_A_PATH: Final = frozenset({".", ".."})


def normal_email(email: str) -> str:
    """Return the normal form of an email address: lower case, no ``+tag``. Empty if it is not an address.

    gmail.com and googlemail.com are the same domain and ignore dots. Different encodings of the same letters become
    one, and the domain is in its network form (``xn--…``).
    """
    local, _, domain = normal_alias(email).partition("@")
    return _joined(local.split("+", 1)[0] or local, domain)


def normal_alias(email: str) -> str:
    """Return the normal form of an email address with its ``+tag``. Empty if it is not an address."""
    local, _, domain = _plain(email).strip().lower().rpartition("@")
    if not local or "." not in domain:
        return ""  # a placeholder such as "n/a" is not an address: it must not link strangers
    domain = _as_the_network_writes(domain.rstrip("."))
    if domain not in _DOTLESS_DOMAINS:
        return _joined(local, domain)
    name, plus, tag = local.partition("+")
    return _joined((name.replace(".", "") or name) + plus + tag, "gmail.com")


def _joined(local: str, domain: str) -> str:
    return f"{local}@{domain}" if domain else ""


@lru_cache(maxsize=4096)
def normal_phone(phone: str, region: str | None = None) -> str:
    """Return the number in E.164, or only its digits if neither it nor ``region`` tells its country.

    Empty if it is not a number: a placeholder must not link strangers.
    """
    text = _plain(phone).strip()
    return phones.in_e164(text, region) or phones.local_digits(text)


def normal_ip(address: str) -> str:
    """Return the one form of a network address: IPv4 as such also where IPv6 wraps it, IPv6 in its short form.

    What is no address stays as it is: equal words are still a weak sign.
    """
    text = address.strip()
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def folded_code(code: str) -> str:
    """Return a referrer's code as people mean it when they type it: without case, spaces and hyphens. Empty if nothing
    else is in it."""
    plain = _plain(code).casefold()
    return "".join(each for each in plain if not each.isspace() and unicodedata.category(each) != "Pd")


def code_problem(value: str) -> str | None:
    """Return why ``value`` can't be a referrer's code, or None. Unlike an id it may have spaces: people type it."""
    plain = _plain(value)
    if not folded_code(value) or not plain.isprintable() or len(value) > 200:
        return "a code is 1 to 200 letters and digits; spaces and hyphens between them do not count"
    return _personal(plain)


def id_problem(value: str) -> str | None:
    """Return why ``value`` can't be an id, or None. Workflow ids and histories contain ids: nothing personal."""
    if _SIMPLE_ID.fullmatch(value):
        return None
    if not _PUBLIC_ID.fullmatch(value):
        return "an id is 1 to 200 characters without spaces"
    if value in _STEPS_OF_A_PATH:
        return "an id is more than dots"
    if not value.isprintable():
        return "holds a character that nobody sees; send the id without it"
    if unicodedata.normalize("NFKC", value) != value:
        return "holds a character that reads like another one; send the id in its plain form"
    if len(_alphabets(value)) > 1:
        return "mixes letters of alphabets that look alike; send the id in one alphabet"
    return _personal(value)


def _personal(value: str) -> str | None:
    if _LOOKS_LIKE_EMAIL.search(value):
        return "looks like an email address; ids stand in histories, send an opaque id"
    if _LOOKS_LIKE_PHONE.fullmatch(value):
        return "looks like a phone number; ids stand in histories, send an opaque id"
    return None


def source_problem(value: str) -> str | None:
    """Return why ``value`` can't be the name of a source, or None. Keys and lists contain it: nothing personal."""
    if "@" not in value and value[:1].isalpha():
        return None
    if _LOOKS_LIKE_EMAIL.search(value):
        return (
            "looks like an email address; name the system that tells of the fact, such as shop or //shop.example/orders"
        )
    if _LOOKS_LIKE_PHONE.fullmatch(value):
        return (
            "looks like a phone number; name the system that tells of the fact, such as shop or //shop.example/orders"
        )
    return None


def tells_of_a_person(words: str) -> bool:
    """Whether free text contains what looks like an email address or a phone number."""
    return bool(_LOOKS_LIKE_EMAIL.search(words) or _LOOKS_LIKE_PHONE.search(words))


class Marker:
    """Turns a person's identifying data into marks, with the installation's secret pepper.

    A phone number without a country is read by the region of its source. Where none is known it becomes a
    ``local_phone``, which links nothing: the same digits are another number in another country.
    """

    def __init__(self, pepper: bytes, regions: phones.Regions | None = None) -> None:
        if len(pepper) < 16:
            raise ValueError("the pepper needs at least 16 bytes")
        self._keyed = hmac.new(pepper, digestmod=hashlib.sha256)
        self._regions = regions or phones.Regions()
        self._read: Callable[[str, str, str | None], str | None] = self._mark_of

    def for_batch(self) -> "Marker":
        """Return a marker that reads each value once. Drop it with the batch: it remembers personal data."""
        batch = copy(self)
        batch._read = cache(self._mark_of)
        return batch

    def mark(self, kind: str, normal: str) -> str:
        """Return one mark: ``kind:`` and 32 hex digits of the keyed hash of the normal form."""
        keyed = self._keyed.copy()
        keyed.update(f"{kind}\x00{normal}".encode())
        return f"{kind}:{keyed.hexdigest()[:32]}"

    def marks(self, *parts: Mapping[str, Any] | None, source: str | None = None) -> frozenset[str]:
        """Return one person's marks from the parts of a fact that describe them; unknown fields are ignored."""
        found: set[str] = set()
        region = self._regions.of(source)
        for part in parts:
            for field, value in (part or {}).items():
                if field in _FIELDS and isinstance(value, str) and (mark := self._read(field, value, region)):
                    found.add(mark)
        return frozenset(found)

    def aliases(self, person: Mapping[str, Any] | None) -> frozenset[str]:
        """Return the mark of a person's address with its ``+tag``, if they have one."""
        address = (person or {}).get("email")
        mark = self._read(ALIAS, address, None) if isinstance(address, str) else None
        return frozenset((mark,)) if mark else frozenset()

    def _mark_of(self, field: str, value: str, region: str | None) -> str | None:
        """Return the mark of one field, or None if its value identifies nobody."""
        if not value.strip():
            return None
        if field == "customer":
            return f"customer:{value}"
        kind, normalise = _READERS[field]
        normal = normal_phone(value, region) if field == "phone" else normalise(value)
        if field == "phone" and not normal.startswith("+"):
            kind = "local_phone"
        return self.mark(kind, normal) if normal else None


def links(one: Set[str], other: Set[str]) -> bool:
    """Whether the marks of two sides are one person's, so that a conversion of one is the other's (SPEC §3).

    Addresses that are alike only without their ``+tag`` do not link sides that name different customers.
    """
    if not of_kinds(one & other, IDENTITY_KINDS):
        return False
    return certainly_one(one, other) or not (of_kinds(one, _CUSTOMER) and of_kinds(other, _CUSTOMER))


def certainly_one(one: Set[str], other: Set[str]) -> bool:
    """Whether the two sides share more than an address without its ``+tag``. Only then may a rule deny for it."""
    return bool(of_kinds(one & other, CERTAIN_KINDS))


def of_kinds(marks: Iterable[str], kinds: Iterable[str]) -> frozenset[str]:
    """Return the marks that are of one of the kinds."""
    prefixes = _prefixes(tuple(kinds))
    return frozenset([mark for mark in marks if mark.startswith(prefixes)])


@lru_cache(maxsize=64)
def _prefixes(kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{kind}:" for kind in kinds)


def _plain(text: str) -> str:
    """Give text that reads the same one encoding: composed, of the usual width, without invisible characters."""
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFKC", text)
    return "".join(each for each in composed if unicodedata.category(each) != "Cf")


def _alphabets(text: str) -> frozenset[str]:
    """Return which of the alphabets that share the shapes of their letters a text is written in."""
    if text.isascii():
        return frozenset()
    names = {unicodedata.name(each, "").partition(" ")[0] for each in text if each.isalpha()}
    return _ALIKE & names


def _as_the_network_writes(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain


def _folded(text: str) -> str:
    return " ".join(_plain(text).casefold().split())


def _surname(name: str) -> str:
    return _folded(name).split(" ")[-1] if " " in name.strip() else ""


_READERS: Final[Mapping[str, tuple[str, Callable[[str], str]]]] = {
    "email": ("email", normal_email),
    ALIAS: (ALIAS, normal_alias),
    "phone": ("phone", normal_phone),
    "payment_fingerprint": ("fingerprint", str.strip),
    "device": ("device", str.strip),
    "ip": ("ip", normal_ip),
    "user_agent": ("agent", str.strip),
    "address": ("address", _folded),
    "name": ("surname", _surname),
}
_FIELDS: Final = frozenset({"customer", *_READERS} - {ALIAS})
_CUSTOMER: Final = ("customer",)
