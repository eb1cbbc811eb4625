"""Where the API is, and by which token a command speaks to it.

Flags come first, then the environment, then a local stack that runs on this machine:

- the address: ``REFERRALS_API_URL``, else the stack's;
- the token: ``REFERRALS_TOKEN``, else the credential that ``--as`` names, else the one that the stack keeps for what
  the command wants. Nobody decides by such a default.

Where both ``REFERRALS_TOKEN`` and ``--as`` are given, the token has to be that user's.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from referral_rewards.config.credentials import Purpose, credentials_file, default_for, stored
from referral_rewards.config.stack import PREFIX, local_stack
from referral_rewards.domain.errors import BadInput, Problem, RequestInvalid

As = Annotated[
    str | None, typer.Option("--as", metavar="USER", help="Use this stored credential, one's own; or REFERRALS_TOKEN.")
]

_URL: Final = f"{PREFIX}API_URL"
_TOKEN: Final = f"{PREFIX}TOKEN"
_DATA: Final = f"{PREFIX}DATA"


class Credential(NamedTuple):
    """A token, where it comes from in words, and whose it has to be, where somebody said so."""

    token: str
    source: str
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """What flags and environment say of reaching the API."""

    data: Path
    api_url: str | None = None
    token: str | None = None

    @classmethod
    def load(cls, data: Path | None) -> "Access":
        folder = data or Path(os.environ.get(_DATA) or ".local")
        return cls(folder, os.environ.get(_URL) or None, os.environ.get(_TOKEN) or None)

    def url(self) -> str:
        """Where the API listens.

        Raises:
            BadInput: if nothing says so, or what does is no address.
        """
        if self.api_url is not None:
            if not self.api_url.startswith(("http://", "https://")):
                raise BadInput([Problem(_URL, f"{self.api_url!r} is no address such as https://rewards.example.com")])
            return self.api_url
        stack = local_stack(self.data)
        if stack is None:
            raise BadInput([Problem(_URL, f"not set, and no local stack is running on {self.data}")])
        return stack.api

    @property
    def is_of_the_local_stack(self) -> bool:
        """Whether the API is that of the stack whose credentials the folder keeps."""
        stack = local_stack(self.data)
        return stack is not None and self.api_url in (None, stack.api)

    def knows(self, user: str | None, purpose: Purpose) -> bool:
        """Whether there is a token to speak by."""
        try:
            self.credential(user, purpose)
        except BadInput:
            return False
        return True

    @property
    def names_a_database(self) -> bool:
        """Whether the environment, or a local stack, says where the database is."""
        return bool(os.environ.get(f"{PREFIX}DATABASE_URL")) or local_stack(self.data) is not None

    def credential(self, user: str | None, purpose: Purpose) -> Credential:
        """By which token a command speaks that names ``user`` with --as, or nobody.

        Raises:
            BadInput: if there is none.
        """
        if self.token is not None:
            return Credential(_passable(self.token), _TOKEN, user)
        if user is not None:
            kept = stored(self.data)
            if user not in kept:
                known = f" (stored are {', '.join(sorted(kept))})" if kept else ""
                raise RequestInvalid(f"no credential of {user} is stored in {self.data}{known}; set {_TOKEN}", "--as")
            return Credential(kept[user], f"the credential of {user} in {credentials_file(self.data)}")
        if self.is_of_the_local_stack and (found := default_for(self.data, purpose)) is not None:
            name, token = found
            return Credential(token, f"the credential of {name} in {credentials_file(self.data)}")
        raise BadInput([Problem(_TOKEN, "not set; set it, or name a stored credential of one's own with --as USER")])


def _passable(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise BadInput([Problem(_TOKEN, "holds characters that no token has")])
    return token
