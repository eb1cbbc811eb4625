"""What a way of telling must be able to do: take one message, and say what came of it."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Message:
    """A letter to one person. Sent again it bears the same id, by which whoever receives it can drop the repeat."""

    id: UUID
    to: str
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """Whoever carries it on has taken it."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not taken, or nobody knows: to be sent again under the same id. ``why`` repeats no address and no answer."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused for good: another try would come to the same."""

    why: str


Outcome = Delivered | Later | Refused


class Mailer(Protocol):
    """A mail server, or what stands in for one. One that fails answers *later*; it never raises instead."""

    async def send(self, message: Message) -> Outcome:
        """Hands the message over."""
        ...
