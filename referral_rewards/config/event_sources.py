"""The file of sources that tell us of events: one entry for each address that a vendor sends to.

It holds no secret, only where one stands: ``env:NAME`` or ``file:/path``. All problems are named at once, each with its
place in the file. The API needs the secrets that events are signed with, workers the keys that vendors are asked with;
where the API finds a key too, it can ask as well (`preflight`, the export of instructions).
"""

import os
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as Setting

from referral_rewards.config.documents import document
from referral_rewards.config.rails import WebhookSource
from referral_rewards.config.source_apis import ApiSettings, PullSettings, access, problems_of_api, pulls
from referral_rewards.domain.errors import BadInput, Problem, none_of
from referral_rewards.domain.facts.ids import id_problem, source_problem
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.facts.rights import Rights, rights
from referral_rewards.domain.validation import problems_of
from referral_rewards.vendors.connected import ConnectedSource
from referral_rewards.vendors.known import VENDORS
from referral_rewards.vendors.paths import Path as ObjectPath
from referral_rewards.vendors.port import Field, Mode, SourceMapping

#: The addresses of payout providers, which tell of payouts and not of orders.
PROVIDERS: Final = frozenset(get_args(WebhookSource))
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")


class Process(StrEnum):
    """Which secrets of the file are read."""

    API = "api"
    WORKER = "worker"


class EventSource(BaseModel):
    """One source, as the file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vendor: str
    source: str | None = None
    secrets: list[str] = Setting(min_length=1)
    tells: list[str] = Setting(min_length=1)
    program: str | None = None
    store: str | None = None
    mode: Mode = Mode.LIVE
    accounts: list[str] = []
    kinds: dict[str, str] = {}
    map: dict[str, str] = {}
    events: dict[str, FactType] = {}
    header: str | None = None
    api: ApiSettings | None = None
    pull: PullSettings | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: dict[str, EventSource] = {}
    revalidation: dict[str, Any] = {}  # read by `revalidation.py`


def load(
    path: Path, environment: Mapping[str, str] = os.environ, process: Process = Process.API
) -> Mapping[str, ConnectedSource]:
    """Return the sources of a file by name, as a process needs them.

    Raises:
        BadInput: with every problem in it.
    """
    return parse(document(path), environment, process)


def parse(
    decoded: Any, environment: Mapping[str, str], process: Process = Process.API
) -> Mapping[str, ConnectedSource]:
    """Return the sources of a decoded file by name.

    Raises:
        BadInput: with every problem in it.
    """
    try:
        told = _File.model_validate(decoded).sources
    except ValidationError as error:
        raise BadInput(problems_of(error, lambda path: ".".join(map(str, path)))) from None
    problems: list[Problem] = []
    found = {name: _connected(name, source, environment, process, problems) for name, source in told.items()}
    problems += _twice(found)
    if problems:
        raise BadInput(problems)
    return found


def _connected(
    name: str, told: EventSource, environment: Mapping[str, str], process: Process, problems: list[Problem]
) -> ConnectedSource:
    at = f"sources.{name}"
    problems += _of_names(at, name, told)
    problems += problems_of_api(at, told.vendor, told.accounts, told.api, told.pull)
    secrets, key = _secrets(at, told, environment, process, problems)
    mapping = SourceMapping(
        source=told.source or name,
        program=told.program,
        store=told.store,
        mode=told.mode,
        accounts=frozenset(told.accounts),
        kinds=told.kinds,
        paths=_paths(told.map, at, problems),
        header=told.header.lower() if told.header else None,
        events=told.events,
    )
    vendor = VENDORS.get(told.vendor) or next(iter(VENDORS.values()))
    its_rights = _rights(mapping.source, told.tells, at, problems)
    api = None if told.api is None else access(told.vendor, told.accounts, told.api, key)
    pull = None if told.pull is None else pulls(at, told.pull, problems)
    return ConnectedSource(name, vendor, mapping, its_rights, secrets, api, pull)


def _secrets(
    at: str, told: EventSource, environment: Mapping[str, str], process: Process, problems: list[Problem]
) -> tuple[tuple[str, ...], str | None]:
    """Return the secrets of signatures and the key of the API, as far as the process needs them."""
    missing = problems if process is Process.WORKER else []
    key = None if told.api is None else secret_at(told.api.key, f"{at}.api.key", environment, missing, "the key")
    if process is Process.WORKER:
        return (), key
    places = enumerate(told.secrets)
    secrets = tuple(secret_at(each, f"{at}.secrets.{place}", environment, problems) for place, each in places)
    return secrets, key or None


def _of_names(at: str, name: str, told: EventSource) -> Iterator[Problem]:
    if not NAME.fullmatch(name):
        yield Problem(at, "a name is 1 to 40 small letters, digits and hyphens, and begins with a letter")
    if name in PROVIDERS:
        yield Problem(at, f"is the address of payouts by {name}; take another name, such as {name}-orders")
    if told.vendor not in VENDORS:
        yield Problem(f"{at}.vendor", none_of(told.vendor, VENDORS))
    if (why := source_problem(told.source or name)) is not None:
        yield Problem(f"{at}.source", why)
    for where, value in (("program", told.program), ("store", told.store), *told.kinds.items()):
        if value is not None and (why := id_problem(value)) is not None:
            yield Problem(f"{at}.{where}" if where in ("program", "store") else f"{at}.kinds.{where}", why)


#: What follows from a secret that is not there.
_WITHOUT: Final = {
    "the secret": "with an empty secret anybody could sign",
    "the key": "the vendor can't be asked",
    "the key of the system": "the system can't be asked",
}


def secret_at(
    reference: str, at: str, environment: Mapping[str, str], problems: list[Problem], what: str = "the secret"
) -> str:
    """Return what stands at ``env:NAME`` or ``file:/path``; empty if nothing does, which is added to ``problems``."""
    kind, _, where = reference.partition(":")
    found = ""
    if kind == "env" and where:
        found = environment.get(where, "").strip()
    elif kind == "file" and where:
        try:
            found = Path(where).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            found = ""
    else:  # what stands here may be the secret itself, and is not repeated
        problems.append(Problem(at, f"says where {what} stands: env:NAME or file:/path"))
        return ""
    if not found:
        why = _WITHOUT[what]
        problems.append(Problem(at, f"nothing stands at {reference}: {why}"))
    return found


def _paths(told: Mapping[str, str], at: str, problems: list[Problem]) -> Mapping[Field, ObjectPath]:
    found: dict[Field, ObjectPath] = {}
    for name, expression in told.items():
        if name not in set(Field):
            problems.append(Problem(f"{at}.map.{name}", none_of(name, Field)))
            continue
        try:
            found[Field(name)] = ObjectPath(expression)
        except ValueError as error:
            problems.append(Problem(f"{at}.map.{name}", str(error)))
    return found


def _rights(source: str, tells: list[str], at: str, problems: list[Problem]) -> Rights:
    try:
        return rights((source,), tells)
    except BadInput as error:
        problems += [Problem(f"{at}.tells", each.what) for each in error.problems if each.where == "types"]
        return Rights()


def _twice(found: Mapping[str, ConnectedSource]) -> Iterator[Problem]:
    """Yield the sources whose facts another one tells too: ids of two vendors could meet."""
    owner: dict[str, str] = {}
    for name, each in found.items():
        first = owner.setdefault(each.mapping.source, name)
        if first != name:
            yield Problem(f"sources.{name}.source", f"{each.mapping.source!r} is that of {first}; each has its own")
