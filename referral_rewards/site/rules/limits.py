"""Limits: how often somebody may do something, and what becomes of an invitation that was asked for."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """So many within a time. ``name`` says of what, and is part of the key that is counted."""

    name: str
    most: int
    within: timedelta

    def allows(self, earlier: int) -> bool:
        """Return whether one more is allowed after so many within the time."""
        return earlier < self.most


#: Of one network address: claims, and links that are tried.
CLAIMS_OF_AN_ADDRESS: Final = Limit("claims of an address", 12, timedelta(hours=1))
LINKS_OF_AN_ADDRESS: Final = Limit("links of an address", 60, timedelta(hours=1))
CLAIMS_OF_A_CODE: Final = Limit("claims of a code", 100, timedelta(days=1))
#: Whoever is invited by many gets so many letters, whoever asks for them.
LETTERS_TO_A_PERSON: Final = Limit("letters to a person", 3, timedelta(days=30))
#: One friend is invited once by one referrer within this.
SAME_FRIEND: Final = timedelta(days=30)
#: A letter that no server takes is given up after this.
GIVEN_UP_AFTER: Final = timedelta(days=3)
_PAUSE_MIN, _PAUSE_MAX = timedelta(seconds=5), timedelta(minutes=15)


def network_of(address: str) -> str:
    """Return what a limit counts an address by: of IPv6 the network that one household has. Empty if it is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(ip_network(f"{found}/64", strict=False))
    return str(found)


def pause_after(tries: int) -> timedelta:
    """Return how long to wait after so many tries in vain: twice as long each time, up to a quarter of an hour."""
    doublings: int = min(max(tries - 1, 0), 20)
    return min(_PAUSE_MIN * (1 << doublings), _PAUSE_MAX)


class Fate(StrEnum):
    """What becomes of an invitation that is due."""

    SEND = "send"
    WAIT = "wait"
    SUPPRESSED = "suppressed"
    TOO_MANY = "too_many"
    CLOSED = "closed"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Due:
    """All that decides about an invitation that is due.

    ``suppressed``: the person wants no letters. ``letters`` were sent to them within `LETTERS_TO_A_PERSON`. ``open`` is
    None where nobody could say whether the program goes on. ``hours`` are those in which it writes, as ``HH:MM``.
    """

    asked_at: datetime
    suppressed: bool
    letters: int
    open: bool | None
    hours: tuple[str, str] | None = None


def fate_of(due: Due, now: datetime, zone: tzinfo) -> Fate:
    """Return what becomes of an invitation. What is not known is waited for, and a suppression goes before all."""
    if due.suppressed:
        return Fate.SUPPRESSED
    if due.open is False:
        return Fate.CLOSED
    if not LETTERS_TO_A_PERSON.allows(due.letters):
        return Fate.TOO_MANY
    if now - due.asked_at >= GIVEN_UP_AFTER:
        return Fate.GIVEN_UP
    if due.open is None or not within(due.hours, now, zone):
        return Fate.WAIT
    return Fate.SEND


def within(hours: tuple[str, str] | None, now: datetime, zone: tzinfo) -> bool:
    """Return whether letters are written now. Hours that begin after they end go over midnight."""
    if hours is None:
        return True
    (start, end), clock = hours, f"{now.astimezone(zone):%H:%M}"
    return start <= clock < end if start <= end else clock >= start or clock < end
