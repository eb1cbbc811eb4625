"""The credentials that a folder keeps for whoever works on this machine: tokens for the API, passwords for the desk.

All of them are readable by their owner only. A local stack keeps those of its example users in its data folder, and
beside them which one a command uses that names none.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class Purpose(StrEnum):
    """What a command wants of the API."""

    READ = "read"
    TELL = "tell"  # facts
    PUBLISH = "publish"  # terms
    ADMINISTER = "administer"  # people, tokens, the blocklist, links
    DECIDE = "decide"  # nobody decides without saying as whom


def credentials_file(data: Path) -> Path:
    """Where tokens are kept, by the name that `--as` takes."""
    return data / "credentials.json"


def passwords_file(data: Path) -> Path:
    """Where a local stack keeps the passwords that it made for its example users."""
    return data / "passwords.json"


def defaults_file(data: Path) -> Path:
    """Where a local stack says which credential each purpose uses where a command names none."""
    return data / "defaults.json"


def store(data: Path, name: str, token: str) -> Path:
    """Keeps a token for later commands; where."""
    return _keep(credentials_file(data), {name: token})


def stored(data: Path) -> dict[str, str]:
    """The tokens that are kept, by name."""
    return _kept(credentials_file(data))


def store_password(data: Path, user: str, password: str) -> Path:
    """Keeps a password for whoever tries the desk on this machine; where."""
    return _keep(passwords_file(data), {user: password})


def stored_passwords(data: Path) -> dict[str, str]:
    """The passwords that are kept, by user."""
    return _kept(passwords_file(data))


def store_defaults(data: Path, names: Mapping[Purpose, str]) -> Path:
    """Keeps which credential each purpose uses; where."""
    return _keep(defaults_file(data), {purpose.value: name for purpose, name in names.items()})


def default_for(data: Path, purpose: Purpose) -> tuple[str, str] | None:
    """The name and the token of the credential that a purpose uses, if there is one."""
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
