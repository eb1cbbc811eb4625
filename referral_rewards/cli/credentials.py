"""Tokens of one's own: in the local stack's credentials.json, or in REFERRALS_TOKEN."""

import json
import os
from pathlib import Path
from typing import Final

from referral_rewards.config import PREFIX, Settings
from referral_rewards.domain.errors import NotSignedIn

TOKEN_VARIABLE: Final = f"{PREFIX}TOKEN"


def credentials_file(data: Path) -> Path:
    """Where a local stack keeps the tokens of its users, readable by its owner only."""
    return data / "credentials.json"


def token_of(settings: Settings, user: str) -> str:
    """The user's token.

    Raises:
        NotSignedIn: if none is stored here.
    """
    if given := os.environ.get(TOKEN_VARIABLE):
        return given
    stored = _stored(credentials_file(settings.data))
    if user not in stored:
        known = f"; stored here: {', '.join(sorted(stored))}" if stored else ""
        raise NotSignedIn(f"no credential of {user} is stored in {settings.data}; set {TOKEN_VARIABLE}{known}")
    return stored[user]


def store(data: Path, user: str, token: str) -> Path:
    """Keeps a token for later commands; where."""
    path = credentials_file(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({**_stored(path), user: token}, indent=2) + "\n")
    fresh.replace(path)
    return path


def _stored(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
