"""Carries a form through signing in, so that what a user typed is not lost when their session has ended.

The form is never submitted automatically: the user who signed in sees it again and submits it with the new session.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import FormData

from referral_rewards.api.desk.session.visiting import CSRF_FIELD, csrf_of, form_of, is_token, session_token
from referral_rewards.domain.labels.vocabularies import label

#: Forms of the desk are far smaller; a larger one is dropped, and the page says so.
_CHARACTERS_MAX: Final = 200_000
_FIELDS_MAX: Final = 2000
_TO, _FIELDS = "carried_to", "carried_fields"


@dataclass(frozen=True, slots=True)
class Carried:
    """A form that waits for its sender to sign in: its target and its fields in order."""

    to: str
    fields: Sequence[tuple[str, str]]

    @classmethod
    async def of(cls, request: Request) -> Self | None:
        """Return the form in a request without a session, if the ended session had issued it.

        Its token proves that: a request forged by another site lacks the cookie that the token is made from.
        """
        ended, to = session_token(request), own_address(request.url.path)
        if request.method != "POST" or ended is None or to is None:
            return None
        form = await form_of(request)
        if not is_token(form.get(CSRF_FIELD), csrf_of(ended)):
            return None
        query = f"?{request.url.query}" if request.url.query else ""
        fields = [(name, value) for name, value in form.multi_items() if name not in _LEFT and isinstance(value, str)]
        return cls._if_carriable(to + query, fields)

    @classmethod
    def back(cls, form: FormData) -> Self | None:
        """Return the form that our sign-in page carried, if there is one and it was not tampered with."""
        to = own_address(form.get(_TO))
        try:
            fields = json.loads(str(form.get(_FIELDS) or "null"))
            if to is None or not isinstance(fields, list):
                return None
            given = [(str(name), str(value)) for name, value in fields if name not in _LEFT]
            "".join(name + value for name, value in given).encode()  # JSON can hold half a character, a page can't
            return cls._if_carriable(to, given)
        except (ValueError, TypeError, RecursionError):
            return None

    @property
    def hidden(self) -> Sequence[tuple[str, str]]:
        """The hidden fields in which the sign-in page carries the form."""
        return [(_TO, self.to), (_FIELDS, json.dumps(self.fields))]

    @property
    def shown(self) -> Sequence[tuple[str, str]]:
        """What of it a person recognises: not the digests and the like that a page adds for itself."""
        return [(label("field", name), value) for name, value in self.fields if value and name not in _OF_PAGES]

    @classmethod
    def _if_carriable(cls, to: str, fields: Sequence[tuple[str, str]]) -> Self | None:
        size = sum(len(name) + len(value) for name, value in fields)
        if size > _CHARACTERS_MAX or len(fields) > _FIELDS_MAX or any(name in _SECRET for name, _ in fields):
            return None
        return cls(to, fields)


#: Password fields. They are never put into a page, which the next user of the browser might see.
_SECRET: Final = frozenset({"password", "current", "new", "again"})
#: Fields that are not carried: the session's own, and a code that is asked anew.
_LEFT: Final = frozenset({CSRF_FIELD, "one_time_code"})
#: Fields that no person fills in.
_OF_PAGES: Final = frozenset({"digest", "return_to"})


#: The page after signing in, if no other was requested.
HOME: Final = "/queue"
_LENGTH_MAX: Final = 2000
#: A path from the root, without anything that a browser reads as a host or that could end a header.
_OWN: Final = re.compile(r"/(?![/\\])[^\s\\\x00-\x1f\x7f]*")
_NOT_IN_A_PATH: Final = re.compile(r"//|/\.{1,2}(/|$)")
#: Returning to one of these would loop, or sign the user out again.
_OF_SIGNING_IN: Final = ("/sign-in", "/sign-out")


def own_address(wanted: object) -> str | None:
    """Return the address if it is one of our own pages, else None."""
    if not isinstance(wanted, str) or len(wanted) > _LENGTH_MAX or not _OWN.fullmatch(wanted):
        return None
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or _NOT_IN_A_PATH.search(parts.path):
        return None
    return None if parts.path.startswith(_OF_SIGNING_IN) else wanted
