"""Addresses that a visitor may be led back to: pages of our own, whatever somebody wrote into a link."""

import re
from typing import Final
from urllib.parse import urlsplit

#: Where people land who asked for nothing in particular.
HOME: Final = "/queue"
_LENGTH_MAX: Final = 2000
#: A path from the root. Nothing that a browser reads as a host, as a step upwards, or as the end of a header.
_OWN: Final = re.compile(r"/(?![/\\])[^\s\\\x00-\x1f\x7f]*")
_NOT_IN_A_PATH: Final = re.compile(r"//|/\.{1,2}(/|$)")
#: Leading back here would lead round in a circle, or out again.
_OF_SIGNING_IN: Final = ("/sign-in", "/sign-out")


def own_address(wanted: object) -> str | None:
    """The address if it is one of our own pages, else None."""
    if not isinstance(wanted, str) or len(wanted) > _LENGTH_MAX or not _OWN.fullmatch(wanted):
        return None
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or _NOT_IN_A_PATH.search(parts.path):
        return None
    return None if parts.path.startswith(_OF_SIGNING_IN) else wanted
