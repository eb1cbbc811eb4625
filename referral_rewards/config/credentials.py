"""The credentials stored in a data folder for users of this machine: tokens for the API, passwords for the desk.

Only their owner can read them. A local stack stores those of its example users in its data folder, together with the
default credential for commands that name none.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class Purpose(StrEnum):
    """What a command uses the API for."""

    READ = "read"
    TELL = "tell"  # facts
    PUBLISH = "publish"  # terms
    ADMINISTER = "administer"  # people, tokens, the blocklist, links
    EXPORT = "export"  # instructions for the bank
    DECIDE = "decide"  # has no default: a decision always names its user


def credentials_file(data: Path) -> Path:
    """Return the path of the stored tokens, by the name that `--as` takes."""
    return data / "credentials.json"


def passwords_file(data: Path) -> Path:
    """Return the path of the passwords that a local stack created for its example users."""
    return data / "passwords.json"


def defaults_file(data: Path) -> Path:
    """Return the path of a local stack's default credential for each purpose."""
    return data / "defaults.json"


def store(data: Path, name: str, token: str) -> Path:
    """Store a token for later commands, and return the file's path."""
    return _keep(credentials_file(data), {name: token})


def stored(data: Path) -> dict[str, str]:
    """Return the stored tokens by name."""
    return _kept(credentials_file(data))


def store_password(data: Path, user: str, password: str) -> Path:
    """Store a password for trying the desk on this machine, and return the file's path."""
    return _keep(passwords_file(data), {user: password})


def stored_passwords(data: Path) -> dict[str, str]:
    """Return the stored passwords by user."""
    return _kept(passwords_file(data))


def store_defaults(data: Path, names: Mapping[Purpose, str]) -> Path:
    """Store the default credential of each purpose, and return the file's path."""
    return _keep(defaults_file(data), {purpose.value: name for purpose, name in names.items()})


def default_for(data: Path, purpose: Purpose) -> tuple[str, str] | None:
    """Return the name and token of the default credential of a purpose, or None if there is none."""
    name = _kept(defaults_file(data)).get(purpose.value)
    token = stored(data).get(name) if name is not None else None
    return (name, token) if name is not None and token is not None else None


def _keep(path: Path, more: Mapping[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({**_kept(path), **more}, indent=2) + "\n")
    fresh.replace(path)
    return path


def _kept(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
