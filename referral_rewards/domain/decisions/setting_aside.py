"""Set an exception aside: a person says with a note that nothing is to be done about it for now.

It changes no verdict and loses no fact: the entry leaves the queue, and stands there again once more is told of it.
"""

from dataclasses import dataclass
from typing import Final

from referral_rewards.domain.claims.approval import NOTE_LENGTH_MAX
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.errors import ActRefused, NotAllowed, RequestInvalid
from referral_rewards.domain.people.authority import Role

#: What no decision ends. A report on a closed referral is answered by `reopen`, or by a denial that leaves it closed.
_WITHOUT_DECISION: Final = frozenset({Waits.PARKED, Waits.UNLINKED_CLAIM, Waits.UNLINKED_ORDER, Waits.UNREAD_EVENT})
#: Whoever decides on claims may say so.
MAY_SET_ASIDE: Final = frozenset(Role) - {Role.ADMINISTRATOR}


@dataclass(frozen=True, slots=True)
class SettingAside:
    """An entry of the queue that somebody sets aside, by its key. ``seen`` is the number that came with the entry: how
    much was told of it by then. ``referral`` is empty if it belongs to none."""

    exception: Waits
    referral: str
    subject: str
    seen: int
    note: str

    @property
    def name(self) -> str:
        """Return the entry's name, for a refusal and the audit log."""
        return " ".join(each for each in (self.exception, self.referral, self.subject) if each)


def can_be_set_aside(exception: Waits, *, closed: bool) -> bool:
    """Return whether no decision ends this exception. ``closed`` is whether its referral is closed."""
    return exception in _WITHOUT_DECISION or (exception is Waits.REPORTED and not closed)


def check_person(roles: frozenset[Role]) -> None:
    """Return if somebody with these roles may set an exception aside; else raise `NotAllowed`."""
    if not roles & MAY_SET_ASIDE:
        raise NotAllowed("only finance, operations or a program owner can set aside what waits in the queue")


def check_note(note: str) -> None:
    """Return if the note can be recorded; else raise `RequestInvalid`."""
    if not note.strip() or len(note) > NOTE_LENGTH_MAX or "\0" in note:
        raise RequestInvalid(f"says in 1 to {NOTE_LENGTH_MAX} characters why nothing is to be done", "note")


def check_entry(asked: SettingAside, *, closed: bool, told: int) -> None:
    """Return if the entry can be set aside as it was seen; ``told`` is how much is told of it now. Else raise."""
    if not can_be_set_aside(asked.exception, closed=closed):
        raise ActRefused(asked.name, "needs_decision", "a decision ends it; it can't be set aside")
    if told > asked.seen:
        raise ActRefused(asked.name, "more_was_told", "more was told of it since you looked; look again")
