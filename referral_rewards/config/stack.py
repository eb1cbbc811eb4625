"""A local stack that runs on this machine: where its parts listen, and where it keeps its secrets."""

import json
from pathlib import Path
from typing import NamedTuple


class StackInfo(NamedTuple):
    """``DATA/stack.json``: where the parts of a running local stack listen."""

    api: str
    temporal: str
    web_ui: str
    database_url: str


def stack_file(data: Path) -> Path:
    """The file that exists exactly while a local stack is ready."""
    return data / "stack.json"


def keys_folder(data: Path) -> Path:
    """Where a local stack keeps its secrets, readable by its owner only."""
    return data / "keys"


def local_stack(data: Path) -> StackInfo | None:
    """The local stack that runs on `data`, or None when there is none."""
    try:
        return StackInfo(**json.loads(stack_file(data).read_text()))
    except (OSError, ValueError, TypeError):
        return None
