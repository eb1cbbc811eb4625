"""The forms in which CloudEvents 1.0 carry their data over HTTP and in files: structured, binary, and base64."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from pydantic_core import from_json

from referral_rewards.domain.errors import Problem

_PREFIX: Final = "ce-"
#: Its presence tells that a request is in binary mode.
BINARY: Final = f"{_PREFIX}specversion"


def of_headers(headers: Mapping[str, str], data: Any) -> dict[str, Any]:
    """Return the event of a request in binary mode: its attributes are headers, percent-encoded, its body the data."""
    named = {name.lower(): unquote(value) for name, value in headers.items()}
    attributes = {name.removeprefix(_PREFIX): value for name, value in named.items() if name.startswith(_PREFIX)}
    return {**attributes, "data": data}


def data_of(document: Mapping[str, Any], problems: list[Problem]) -> Any:
    """Return the data of an event, also if it is JSON in base64. What can't be read is added to ``problems``."""
    if "data_base64" not in document:
        return document.get("data")
    if "data" in document:
        problems.append(Problem("data_base64", "stands beside data; send one of them"))
        return document["data"]
    try:
        return from_json(base64.b64decode(document["data_base64"], validate=True))
    except (ValueError, TypeError, binascii.Error):
        problems.append(Problem("data_base64", "must be a JSON object in base64"))
        return {}
