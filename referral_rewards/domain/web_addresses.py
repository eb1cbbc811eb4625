"""Web addresses: the type of one in settings, the site that an address belongs to, and the marks of a paid click."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import StringConstraints

if TYPE_CHECKING:
    from tldextract import TLDExtract

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
#: Parameters by which advertising networks recognise a paid click: Google (the first two), Meta, Microsoft, TikTok, X,
#: LinkedIn, Reddit. A referrer who buys clicks does not recommend anything to a friend.
PAID_CLICKS: Final = frozenset({"gclid", "gad_source", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id", "rdclid"})
#: The fields of a claim that say where the referee came from.
PATH_FIELDS: Final = frozenset({"referring_url", "landing_url", "referrer_url"})


def registrable(host: str) -> str:
    """Return the registered domain that this host belongs to; empty if there is none."""
    return _extract()(host).top_domain_under_public_suffix.lower()


def registered_name(host: str) -> str:
    """Return the registered domain without its suffix: ``yahoo`` for ``mail.yahoo.co.uk``."""
    return _extract()(host).domain.lower()


def paid_clicks(data: Mapping[str, Any]) -> frozenset[str]:
    """Return the names, not the values, of paid-click parameters, found as a field or in any address."""
    found: set[str] = set()
    for name, value in _values(data):
        if name.lower() in PAID_CLICKS and value.strip():
            found.add(name.lower())
        found |= {key.lower() for key in _parameters(value) if key.lower() in PAID_CLICKS}
    return frozenset(found)


def sites(data: Mapping[str, Any]) -> frozenset[str]:
    """Return the registered domains of the addresses by which the referee came."""
    hosts = (_host(value) for name, value in _values(data) if name in PATH_FIELDS)
    return frozenset(site for host in hosts if host and (site := registrable(host)))


@cache
def _extract() -> "TLDExtract":
    """Use the public suffix list that came with the package: no request, and no cache on disk."""
    import tldextract  # imported here because it loads an HTTP library, and every command would wait for that

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def _values(part: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string of a document with the name of its field."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from _values(value, str(key))
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _values(value, name)
    elif isinstance(part, str):
        yield name, part
    elif isinstance(part, int | float) and not isinstance(part, bool):
        yield name, str(part)


def _parameters(value: str) -> list[str]:
    if "?" not in value:
        return []
    try:
        return [key for key, _ in parse_qsl(urlsplit(value.strip()).query)]
    except ValueError:  # looks like a web address, but is not one
        return []


def _host(value: str) -> str:
    text = value.strip()
    try:
        return urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""
