"""Where the API is and by which token one speaks to it: all that deciding needs, from wherever it is done."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from referral_rewards.config.stack import PREFIX, local_stack
from referral_rewards.domain.errors import BadInput, NotSignedIn, Problem, ReferralRewardsError


class Access(BaseSettings):
    """How to reach the API: ``REFERRALS_API_URL`` or the local stack; ``REFERRALS_TOKEN`` or a stored credential."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    data: Path = Path(".local")
    api_url: str | None = None
    token: SecretStr | None = None

    @classmethod
    def load(cls, data: Path | None) -> "Access":
        return cls() if data is None else cls(data=data)

    def url(self) -> str:
        """Where the API listens.

        Raises:
            BadInput: if nothing says so.
        """
        if self.api_url is not None:
            return self.api_url
        stack = local_stack(self.data)
        if stack is None:
            raise BadInput([Problem(f"{PREFIX}API_URL", f"not set, and no local stack is running on {self.data}")])
        return stack.api

    def token_of(self, user: str) -> str:
        """The user's token.

        Raises:
            NotSignedIn: if none is stored here.
        """
        if self.token is not None:
            return self.token.get_secret_value()
        stored = _stored(credentials_file(self.data))
        if user not in stored:
            known = f" (stored are {', '.join(sorted(stored))})" if stored else ""
            raise NotSignedIn(f"no credential of {user} is stored in {self.data}{known}; set {PREFIX}TOKEN")
        return stored[user]


def credentials_file(data: Path) -> Path:
    """Where a local stack keeps the tokens of its users, readable by its owner only."""
    return data / "credentials.json"


def passwords_file(data: Path) -> Path:
    """Where a local stack keeps the passwords that it made for its example users, likewise."""
    return data / "passwords.json"


def store(data: Path, user: str, token: str) -> Path:
    """Keeps a token for later commands; where."""
    return _keep(credentials_file(data), user, token)


def store_password(data: Path, user: str, password: str) -> Path:
    """Keeps a password for whoever tries the desk on this machine; where."""
    return _keep(passwords_file(data), user, password)


def stored_passwords(data: Path) -> dict[str, str]:
    """The passwords that are kept, by user."""
    return _stored(passwords_file(data))


def _keep(path: Path, user: str, secret: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({**_stored(path), user: secret}, indent=2) + "\n")
    fresh.replace(path)
    return path


def _stored(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if TYPE_CHECKING:
    import httpx


@contextmanager
def api_of(access: Access, user: str) -> Iterator["httpx.Client"]:
    """The API, with the user's token.

    Raises:
        ReferralRewardsError: if it does not answer.
    """
    import httpx  # here, as few commands need it

    url = access.url()
    headers = {"Authorization": f"Bearer {access.token_of(user)}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=30) as api:
            yield api
    except httpx.HTTPError as error:
        told = f"the API at {url} does not answer ({str(error) or type(error).__name__})"
        raise ReferralRewardsError(f"{told}; is it running?") from None


def answer_of(response: "httpx.Response") -> dict[str, Any]:
    """What the API answered.

    Raises:
        BadInput: with the problems it found.
        ReferralRewardsError: with its reason for refusing.
    """
    if response.is_success:
        found: dict[str, Any] = response.json()
        return found
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise BadInput([Problem(each["where"], each["what"]) for each in problem.get("problems", [])])
    raise ReferralRewardsError(problem.get("detail") or f"the API answered {response.status_code}")
