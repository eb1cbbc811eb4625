"""What the front door signs for itself: sessions, the fields of forms, and codes. Nothing of it needs to be stored."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

SESSION_LASTS: Final = timedelta(days=7)
#: A form that was opened before is opened anew.
FORM_LASTS: Final = timedelta(hours=4)
_FORMS: Final = UUID("2b1c3a8e-6a0e-5f6c-9a51-8d6f4f0b7d1a")
#: Letters and digits that are not taken for one another when they are read out.
_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH: Final = 10


@dataclass(frozen=True, slots=True)
class OwnSession:
    """Whose session it is, in which program; ``expires`` is in seconds of 1970."""

    program: str
    customer: str
    expires: int


def keyed(secret: bytes, purpose: str, text: str) -> str:
    """Return the keyed hash of a text for a purpose, in hex."""
    return hmac.new(secret, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()


def session_token(secret: bytes, session: OwnSession) -> str:
    """Return the value of the cookie of a session."""
    said = json.dumps([session.program, session.customer, session.expires], ensure_ascii=True)
    body = base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")
    return f"{body}.{keyed(secret, 'session', body)}"


def session_of(secret: bytes, token: str, now: datetime) -> OwnSession | None:
    """Return the session of a cookie; None if we did not make it, or it is over."""
    body, _, proof = token.partition(".")
    if not hmac.compare_digest(proof.encode(), keyed(secret, "session", body).encode()):
        return None
    try:
        program, customer, expires = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        return None
    return OwnSession(program, customer, expires) if expires > now.timestamp() else None


def csrf_of(secret: bytes, token: str) -> str:
    """Return what the forms of a session carry: only a page of ours could know it."""
    return keyed(secret, "form of a session", token)


def stamp(secret: bytes, form: str, now: datetime, nonce: str) -> str:
    """Return the stamp of a form that is shown now; ``form`` names where it stands."""
    said = f"{int(now.timestamp())}.{nonce}"
    return f"{said}.{keyed(secret, form, said)}"


def age_of_stamp(secret: bytes, form: str, text: str, now: datetime) -> timedelta | None:
    """Return how long ago a form was shown; None if we did not stamp it, or it is too long ago."""
    said, _, proof = text.rpartition(".")
    if not said or not hmac.compare_digest(proof.encode(), keyed(secret, form, said).encode()):
        return None
    age = timedelta(seconds=int(now.timestamp()) - int(said.partition(".")[0]))
    return age if age <= FORM_LASTS else None


def id_of_form(stamped: str) -> str:
    """Return the id of what a form tells: a form that is sent twice tells one thing."""
    digest = hashlib.sha256(stamped.encode()).digest()
    return str(UUID(bytes=bytes(a ^ b for a, b in zip(digest[:16], _FORMS.bytes, strict=True)), version=4))


def code_of(secret: bytes, program: str, customer: str, attempt: int = 0) -> str:
    """Return a referrer's code. It comes from the secret, so that a lost store makes the same one again; ``attempt``
    counts up where two referrers would have one code."""
    digest = hmac.new(secret, f"code\n{program}\n{customer}\n{attempt}".encode(), hashlib.sha256).digest()
    number, letters = int.from_bytes(digest), list[str]()
    for _ in range(_CODE_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(letters)


def shown_code(code: str) -> str:
    """Return a code as people read it out: in two halves."""
    return f"{code[:5]}-{code[5:]}"
