"""The interface of a mailer: it sends one message and returns the outcome."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Message:
    """A letter to one person. A repeat has the same id, so that the receiver can drop it. ``unsubscribe`` is where the
    person, or their mail program at one click, says that they want no more of its kind."""

    id: UUID
    to: str
    subject: str
    text: str
    html: str
    unsubscribe: str | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The next server accepted the message."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not accepted, or unknown: send it again under the same id. ``why`` never contains an address or a response."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused definitively: a retry would not help."""

    why: str


Outcome = Delivered | Later | Refused


class Mailer(Protocol):
    """A mail server, or a replacement for one. A failure returns *later*; it never raises."""

    async def send(self, message: Message) -> Outcome:
        """Send the message and return the outcome."""
        ...
