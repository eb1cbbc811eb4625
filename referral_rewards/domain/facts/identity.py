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

#: What stands for the keyed hash of a mark that retention removed, with a random number after it.
REMOVED: Final = "erased-"

_KEYED: Final = re.compile(r"(?!customer:)[a-z_]+:[0-9a-f]{32}")
_WITH_PORT: Final = re.compile(r"\[(?P<six>[^\[\]]+)\](?::\d+)?|(?P<four>\d+(?:\.\d+){3}):\d+")
_DOTLESS_DOMAINS: Final = frozenset({"gmail.com", "googlemail.com"})


def normal_email(email: str) -> str:
    """Return the normal form of an email address: lower case, no ``+tag``. Empty if it is not an address.

    gmail.com and googlemail.com are the same domain and ignore dots. Different encodings of the same letters become
    one, and the domain is in its network form (``xn--…``).
    """
    local, _, domain = normal_alias(email).partition("@")
    return _joined(local.split("+", 1)[0] or local, domain)


def normal_alias(email: str) -> str:
    """Return the normal form of an email address with its ``+tag``. Empty if it is not an address."""
    local, _, domain = plain(email).strip().lower().rpartition("@")
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
    text = plain(phone).strip()
    return phones.in_e164(text, region) or phones.local_digits(text)


def normal_ip(address: str) -> str:
    """Return the one form of a network address: IPv4 as such also where IPv6 wraps it, of IPv6 the network of 64 bits.

    Such a network is what one household has, as it has one IPv4 address: behind it a device changes its address every
    day. What is no address stays as it is: equal words are still a weak sign.
    """
    text = address.strip()
    try:
        parsed = ipaddress.ip_address(_bare(text))
    except ValueError:
        return text
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def _bare(address: str) -> str:
    """Return an address without the brackets, the port and the zone that servers write about it."""
    if found := _WITH_PORT.fullmatch(address):
        address = found["six"] or found["four"]
    return address.partition("%")[0]


def folded_code(code: str) -> str:
    """Return a referrer's code as people mean it when they type it: without case, spaces and hyphens. Empty if nothing
    else is in it."""
    folded = plain(code).casefold()
    return "".join(each for each in folded if not each.isspace() and unicodedata.category(each) != "Pd")


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

    def region_of(self, source: str) -> str | None:
        """Return the region in which this source's phone numbers are at home, None if nobody said."""
        return self._regions.of(source)

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


def is_keyed(mark: str) -> bool:
    """Whether a mark holds a keyed hash of something personal: it is no customer id, and was not removed."""
    return _KEYED.fullmatch(mark) is not None


def is_removed(mark: str) -> bool:
    """Whether a mark is what is left of one that retention removed."""
    return mark.partition(":")[2].startswith(REMOVED) and not mark.startswith("customer:")


def removed(mark: str, number: int) -> str:
    """Return what is left of a keyed mark: its kind, and a random ``number`` of 128 bits.

    The same number stands in all facts of the person, so that what was linked stays linked. Nobody can try out a guess
    against it, and no new fact ever has it.
    """
    return f"{mark.partition(':')[0]}:{REMOVED}{number:032x}"


def of_kinds(marks: Iterable[str], kinds: Iterable[str]) -> frozenset[str]:
    """Return the marks that are of one of the kinds."""
    prefixes = _prefixes(tuple(kinds))
    return frozenset([mark for mark in marks if mark.startswith(prefixes)])


@lru_cache(maxsize=64)
def _prefixes(kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{kind}:" for kind in kinds)


def plain(text: str) -> str:
    """Return text that reads the same one encoding: composed, of the usual width, without invisible characters."""
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFKC", text)
    return "".join(each for each in composed if unicodedata.category(each) != "Cf")


def _as_the_network_writes(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain


def _folded(text: str) -> str:
    return " ".join(plain(text).casefold().split())


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
