"""Of the file of sources: systems that are asked in their own words, and how their answers are read (``revalidation``).

It holds no secret: a header says where one stands. All problems are named at once, each with its place in the file.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from referral_rewards.config.documents import document
from referral_rewards.config.event_sources import secret_at
from referral_rewards.domain.errors import BadInput, Problem, none_of
from referral_rewards.domain.facts.ids import source_problem
from referral_rewards.domain.referrals.inquiries import REGISTER
from referral_rewards.domain.validation import problems_of
from referral_rewards.sources.mapping import OF_A_PERSON, Items, MappedEndpoint, Part, State, Value
from referral_rewards.vendors.paths import Path as ObjectPath

_PLACES: Final = re.compile(r"\{([^{}]*)\}")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")
#: A header whose name has one of these in it holds a secret.
_SECRET_HEADERS: Final = ("auth", "key", "token", "secret", "cookie")
_OF_AN_ORDER: Final = (
    *(Value.ORDER, Value.KIND, Value.AMOUNT, Value.CURRENCY, Value.TAKEN_BACK, Value.TIME, Value.STATE),
    *(Value.CHANGED_AT, Value.NEW_CUSTOMER, *OF_A_PERSON),
)
_OF_AN_ACCOUNT: Final = (Value.STATE, Value.CHANGED_AT)
_OF_A_REFUND: Final = (Value.ID, Value.AMOUNT, Value.TIME)
_OF_AN_ISSUE: Final = (Value.ID, Value.TIME, Value.RESOLVED_AT)
_ENDS: Final = tuple(each for each in State if each is State.STANDS or each.is_an_end)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListSettings(_Model):
    """A list within an answer."""

    path: str
    map: dict[str, str]


class PartSettings(_Model):
    """What one request answers."""

    url: str
    path: str | None = None
    map: dict[str, str] = {}
    states: dict[str, str] = {}
    minor_units: bool = False
    refunds: ListSettings | None = None
    issues: ListSettings | None = None


class AskedSystem(_Model):
    """One system, as the file has it."""

    source: str | None = None
    headers: dict[str, str] = {}
    check: str | None = None
    order: PartSettings | None = None
    account: PartSettings | None = None
    customer: PartSettings | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    revalidation: dict[str, AskedSystem] = {}


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Mapping[str, MappedEndpoint]:
    """Return the systems that a file of sources says how to ask, by their names in the terms.

    Raises:
        BadInput: with every problem in them.
    """
    return parse(document(path), environment)


def parse(decoded: Any, environment: Mapping[str, str]) -> Mapping[str, MappedEndpoint]:
    """Return the systems of a decoded file by name.

    Raises:
        BadInput: with every problem in them.
    """
    try:
        told = _File.model_validate(decoded or {}).revalidation
    except ValidationError as error:
        raise BadInput(problems_of(error, lambda path: ".".join(map(str, path)))) from None
    problems: list[Problem] = []
    found = {name: _endpoint(f"revalidation.{name}", name, each, environment, problems) for name, each in told.items()}
    if problems:
        raise BadInput(problems)
    return found


def _endpoint(
    at: str, name: str, told: AskedSystem, environment: Mapping[str, str], problems: list[Problem]
) -> MappedEndpoint:
    source = told.source or name
    if name == REGISTER:
        problems.append(Problem(at, f"{REGISTER} is our own record and no outside source"))
    if (why := source_problem(source)) is not None:
        problems.append(Problem(f"{at}.source", why))
    if told.order is None and told.customer is None:
        problems.append(Problem(at, "needs order or customer: what is asked for"))
    if told.account is not None and told.order is None:
        problems.append(Problem(f"{at}.account", "is asked for beside an order: name that too"))
    problems += _of_order(f"{at}.order", told.order)
    problems += _of_account(f"{at}.account", told.account)
    problems += _of_customer(f"{at}.customer", told.customer)
    for part, places, needed in (
        ("order", ("order", "store", "customer"), ("order",)),
        ("account", ("order", "store", "customer"), ("order", "customer")),
        ("customer", ("customer",), ("customer",)),
    ):
        if (its := getattr(told, part)) is not None:
            problems += _of_url(f"{at}.{part}.url", its.url, places, needed)
    if told.check is not None:
        problems += _of_url(f"{at}.check", told.check, (), ())
    return MappedEndpoint(
        source=source,
        check=told.check or _root(told),
        headers=_headers(f"{at}.headers", told.headers, environment, problems),
        order=_part(f"{at}.order", told.order, problems),
        account=_part(f"{at}.account", told.account, problems),
        customer=_part(f"{at}.customer", told.customer, problems),
    )


def _of_order(at: str, told: PartSettings | None) -> Iterator[Problem]:
    if told is None:
        return
    yield from _unknown(f"{at}.map", told.map, _OF_AN_ORDER)
    for needed, why in (("kind", "the kind of conversion, as \"'purchase'\""), ("time", "when it was paid or opened")):
        if needed not in told.map:
            yield Problem(f"{at}.map", f"needs {needed}: {why}")
    if not set(OF_A_PERSON[:-1]) & told.map.keys():
        yield Problem(f"{at}.map", "needs customer, email or phone: whose it is")
    has_amounts = {"amount", "taken_back"} & told.map.keys() or told.refunds is not None
    if has_amounts and "currency" not in told.map:
        yield Problem(f"{at}.map", "needs currency beside an amount, if it is always the same as \"'USD'\"")
    if "taken_back" in told.map and "amount" not in told.map:
        yield Problem(f"{at}.map", "needs amount beside taken_back: what the order was worth before")
    yield from _of_states(at, told, tuple(State))
    changes = any(word != State.STANDS for word in told.states.values()) or "taken_back" in told.map
    if changes and "changed_at" not in told.map:
        yield Problem(f"{at}.map", "needs changed_at: when it came into its state; a fact has a time")
    if told.issues is not None:
        yield Problem(f"{at}.issues", "are those of a customer: move them there")
    yield from _of_list(f"{at}.refunds", told.refunds, _OF_A_REFUND, _OF_A_REFUND)


def _of_account(at: str, told: PartSettings | None) -> Iterator[Problem]:
    if told is None:
        return
    yield from _unknown(f"{at}.map", told.map, _OF_AN_ACCOUNT)
    for needed in _OF_AN_ACCOUNT:
        if needed not in told.map:
            yield Problem(f"{at}.map", f"needs {needed}")
    yield from _of_states(at, told, _ENDS)
    for name in ("refunds", "issues"):
        if getattr(told, name) is not None:
            yield Problem(f"{at}.{name}", "an account has none")


def _of_customer(at: str, told: PartSettings | None) -> Iterator[Problem]:
    if told is None:
        return
    if told.issues is None:
        yield Problem(at, "needs issues: a list of the customer's problems")
    for name in ("map", "states", "refunds"):
        if getattr(told, name):
            yield Problem(f"{at}.{name}", "is of orders; of a customer the issues are read")
    yield from _of_list(f"{at}.issues", told.issues, _OF_AN_ISSUE, (Value.ID, Value.TIME))


def _of_list(
    at: str, told: ListSettings | None, allowed: Iterable[Value], needed: Iterable[Value]
) -> Iterator[Problem]:
    if told is not None:
        yield from _unknown(f"{at}.map", told.map, allowed)
        yield from (Problem(f"{at}.map", f"needs {each}") for each in needed if each not in told.map)


def _of_states(at: str, told: PartSettings, allowed: tuple[State, ...]) -> Iterator[Problem]:
    if "state" in told.map and not told.states:
        yield Problem(f"{at}.states", "say what each word of state means")
    if told.states and "state" not in told.map:
        yield Problem(f"{at}.map", "needs state: where the words stand that states explains")
    for word, meaning in told.states.items():
        if meaning not in allowed:
            yield Problem(f"{at}.states.{word}", none_of(meaning, allowed))


def _unknown(at: str, told: Mapping[str, str], allowed: Iterable[Value]) -> Iterator[Problem]:
    known = tuple(allowed)
    yield from (Problem(f"{at}.{name}", none_of(name, known)) for name in told if name not in known)


def _of_url(at: str, url: str, places: tuple[str, ...], needed: tuple[str, ...]) -> Iterator[Problem]:
    named = _PLACES.findall(url)
    for place in named:
        if place not in places:
            known = ", ".join(f"{{{each}}}" for each in places) or "none"
            yield Problem(at, f"{{{place}}} is no place that is filled in; known: {known}")
    if needed and not set(needed) & set(named):
        yield Problem(at, f"needs {' or '.join(f'{{{each}}}' for each in needed)}: what it is asked about")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.username or _PLACES.search(parts.netloc):
        yield Problem(at, "is an address, as https://shop.example/orders/{order}")
    elif parts.scheme == "http" and host not in ("127.0.0.1", "::1", "localhost"):
        yield Problem(at, "begins with https://: over http the key could be read on its way")


def _root(told: AskedSystem) -> str:
    """Return the root of the server that is asked first."""
    part = told.order or told.customer
    parts = urlsplit(part.url) if part is not None and "://" in part.url else None
    return f"{parts.scheme}://{parts.netloc}/" if parts is not None else ""


def _headers(
    at: str, told: Mapping[str, str], environment: Mapping[str, str], problems: list[Problem]
) -> Mapping[bytes, bytes]:
    """Return the headers with their secrets, each word ``env:NAME`` or ``file:/path`` replaced by what stands there."""
    found = {}
    for name, value in told.items():
        words = value.split()
        references = [each for each in words if each.startswith(("env:", "file:"))]
        if not _HEADER.fullmatch(name):
            problems.append(Problem(f"{at}.{name}", "is no name of a header"))
        if not references and any(each in name.lower() for each in _SECRET_HEADERS):
            problems.append(Problem(f"{at}.{name}", "says where the secret stands: env:NAME or file:/path"))
        what = "the key of the system"
        filled = " ".join(
            secret_at(each, f"{at}.{name}", environment, problems, what) if each in references else each
            for each in words
        )
        if not filled.isprintable():
            problems.append(Problem(f"{at}.{name}", "has a character that no header can hold"))
        found[name.encode()] = filled.encode()
    return found


def _part(at: str, told: PartSettings | None, problems: list[Problem]) -> Part | None:
    if told is None:
        return None
    listed = told.refunds or told.issues
    name = "refunds" if told.refunds is not None else "issues"
    return Part(
        url=told.url,
        values=_paths(f"{at}.map", told.map, problems),
        path=None if told.path is None else _path(f"{at}.path", told.path, problems),
        states={word: State(each) for word, each in told.states.items() if each in set(State)},
        items=None if listed is None else _items(f"{at}.{name}", listed, problems),
        minor_units=told.minor_units,
    )


def _items(at: str, told: ListSettings, problems: list[Problem]) -> Items | None:
    path, values = _path(f"{at}.path", told.path, problems), _paths(f"{at}.map", told.map, problems)
    return None if path is None else Items(path, values)


def _paths(at: str, told: Mapping[str, str], problems: list[Problem]) -> Mapping[Value, ObjectPath]:
    paths = {name: _path(f"{at}.{name}", each, problems) for name, each in told.items()}
    return {Value(name): each for name, each in paths.items() if each is not None and name in set(Value)}


def _path(at: str, told: str, problems: list[Problem]) -> ObjectPath | None:
    try:
        return ObjectPath(told)
    except ValueError as error:
        problems.append(Problem(at, str(error)))
        return None
