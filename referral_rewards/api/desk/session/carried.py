"""What somebody had typed when their session was found to be over. It goes through signing in and is lost nowhere.

It is never sent on by itself: whoever signed in sees it again and sends it, with the proof of the new session.
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
from referral_rewards.domain.labels import label

#: A form of the desk is far smaller; what is larger is let go, and the page says so.
_CHARACTERS_MAX: Final = 200_000
_FIELDS_MAX: Final = 2000
_TO, _FIELDS = "carried_to", "carried_fields"


@dataclass(frozen=True, slots=True)
class Carried:
    """A form that waits for its sender: where it goes, with its fields in their order."""

    to: str
    fields: Sequence[tuple[str, str]]

    @classmethod
    async def of(cls, request: Request) -> Self | None:
        """The form in a request without a session, if the session that ended had handed it out.

        Its token says so: what another site had this browser send comes without the cookie that the token is made of.
        """
        ended, to = session_token(request), own_address(request.url.path)
        if request.method != "POST" or ended is None or to is None:
            return None
        form = await form_of(request)
        if not is_token(form.get(CSRF_FIELD), csrf_of(ended)):
            return None
        query = f"?{request.url.query}" if request.url.query else ""
        fields = [(name, value) for name, value in form.multi_items() if name != CSRF_FIELD and isinstance(value, str)]
        return cls._if_carriable(to + query, fields)

    @classmethod
    def back(cls, form: FormData) -> Self | None:
        """The form that our own sign-in page carried, if it carried one and nobody has tampered with it."""
        to = own_address(form.get(_TO))
        try:
            fields = json.loads(str(form.get(_FIELDS) or "null"))
            if to is None or not isinstance(fields, list):
                return None
            given = [(str(name), str(value)) for name, value in fields if name != CSRF_FIELD]
            "".join(name + value for name, value in given).encode()  # JSON can hold half a character, a page can't
            return cls._if_carriable(to, given)
        except (ValueError, TypeError, RecursionError):
            return None

    @property
    def hidden(self) -> Sequence[tuple[str, str]]:
        """The fields by which the sign-in page carries it."""
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


#: Fields of passwords. They never stand in a page, least of all in one for whoever sits down there next.
_SECRET: Final = frozenset({"password", "current", "new", "again"})
#: Fields that no person fills in.
_OF_PAGES: Final = frozenset({"digest", "return_to"})


#: Where people land who asked for nothing in particular.
HOME: Final = "/queue"
_LENGTH_MAX: Final = 2000
#: A path from the root. Nothing that a browser reads as a host, as a step upwards, or as the end of a header.
_OWN: Final = re.compile(r"/(?![/\\])[^\s\\\x00-\x1f\x7f]*")
_NOT_IN_A_PATH: Final = re.compile(r"//|/\.{1,2}(/|$)")
#: Leading back here would lead round in a circle, or out again.
_OF_SIGNING_IN: Final = ("/sign-in", "/sign-out")


def own_address(wanted: object) -> str | None:
    """The address if it is one of our own pages, else None."""
    if not isinstance(wanted, str) or len(wanted) > _LENGTH_MAX or not _OWN.fullmatch(wanted):
        return None
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or _NOT_IN_A_PATH.search(parts.path):
        return None
    return None if parts.path.startswith(_OF_SIGNING_IN) else wanted
