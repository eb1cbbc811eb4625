"""Of the file of sources: how the API of a source is asked (``api``), and how often it is pulled (``pull``)."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from referral_rewards.domain.errors import Problem
from referral_rewards.vendors.access import URLS, ApiAccess, Pull

_SHOP: Final = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
_DURATION: Final = re.compile(r"(\d{1,4})([mhd])", re.ASCII)
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_EVERY: Final = (timedelta(minutes=1), timedelta(days=1))
_OVERLAP: Final = (timedelta(minutes=1), timedelta(days=7))


class ApiSettings(BaseModel):
    """The API of a source: where its key stands, and its address if that is not the usual one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    url: str | None = None


class PullSettings(BaseModel):
    """How often a source is pulled, and how far each pull goes back behind the one before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: str = "10m"
    overlap: str = "1h"


def problems_of_api(
    at: str, vendor: str, accounts: Sequence[str], api: ApiSettings | None, pull: PullSettings | None
) -> Iterator[Problem]:
    """Yield what is wrong with the API of a source; ``at`` is the source's place in the file."""
    if pull is not None and api is None:
        yield Problem(f"{at}.pull", "needs an api beside it, with the key to ask with")
    if api is None:
        return
    if vendor not in URLS:
        yield Problem(f"{at}.api", f"only these vendors are asked: {', '.join(URLS)}")
    if vendor == "shopify" and not (len(accounts) == 1 and _SHOP.fullmatch(accounts[0])):
        yield Problem(f"{at}.accounts", "names the one shop that the key is of, as acme.myshopify.com")
    if api.url is not None and (why := _url_problem(api.url)) is not None:
        yield Problem(f"{at}.api.url", why)


def access(vendor: str, accounts: Sequence[str], api: ApiSettings, key: str | None) -> ApiAccess:
    """Return the access that a source without problems names; ``key`` is None where nothing is asked."""
    usual = URLS.get(vendor, "").format(shop="".join(accounts[:1]))
    return ApiAccess((api.url or usual).rstrip("/"), None if key is None else SecretStr(key))


def pulls(at: str, told: PullSettings, problems: list[Problem]) -> Pull:
    """Return how a source is pulled; what is wrong with it is added to ``problems``."""
    every = _duration(told.every, *_EVERY, f"{at}.pull.every", problems)
    return Pull(every, _duration(told.overlap, *_OVERLAP, f"{at}.pull.overlap", problems))


def _duration(told: str, least: timedelta, most: timedelta, at: str, problems: list[Problem]) -> timedelta:
    found = _DURATION.fullmatch(told)
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if length is not None and least <= length <= most:
        return length
    problems.append(Problem(at, f"is a number of minutes, hours or days, as 10m, from 1m to {most.days}d"))
    return least


def _url_problem(url: str) -> str | None:
    """Return why a key must not be sent to an address; None if it may."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment or parts.username:
        return "is an address of a server, as https://api.example.com"
    if parts.scheme == "http" and not _is_here(host):
        return "begins with https://: over http the key could be read on its way"
    return None


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
