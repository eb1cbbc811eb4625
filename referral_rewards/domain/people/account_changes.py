"""Changes by which somebody could act as another: they count for nothing until a second person stands behind them.

Whoever sets another's password, links an identity to them, resets their second factor, issues a token that decides for
them, or changes where they are written to could sign as them. Whoever has forgotten who they are lets an account count
as a person of its own. From then on that user decides nothing until the change is confirmed: by another administrator,
or by the user with a second factor that is older than the change. What is forgotten of users they never confirm: it is
about themselves.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

#: The template of the letter to the person whose account was changed.
ACCOUNT_CHANGED: Final = "account_changed"


class AccountAct(StrEnum):
    """What was changed of an account by somebody else."""

    PASSWORD_SET = "password_set"  # noqa: S105 (a name, no secret)
    IDENTITY_LINKED = "identity_linked"
    FACTOR_RESET = "factor_reset"
    TOKEN_ISSUED = "token_issued"  # noqa: S105
    CONTACT_CHANGED = "contact_changed"
    MARKS_FORGOTTEN = "marks_forgotten"


_DID: Final = {
    AccountAct.PASSWORD_SET: "set the password",
    AccountAct.IDENTITY_LINKED: "linked an identity of an OpenID provider",
    AccountAct.FACTOR_RESET: "reset the second factor",
    AccountAct.TOKEN_ISSUED: "issued a token that may decide",
    AccountAct.CONTACT_CHANGED: "changed the email address",
    AccountAct.MARKS_FORGOTTEN: "removed what is known of who they are",
}

#: Two processes may differ so far (twice `domain.clocks.APART_MAX`): what is dated nearer may have come after.
_SURELY_BEFORE: Final = timedelta(minutes=4)


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A change that nobody has confirmed yet. ``changed_by_marks`` identify who made it."""

    id: UUID
    act: AccountAct
    changed_by: str
    changed_at: datetime
    changed_by_marks: Collection[str] = ()

    @property
    def in_words(self) -> str:
        """The change as a clause: ``ada set the password on 2026-07-01 09:00 UTC``."""
        return f"{self.changed_by} {_DID[self.act]} on {self.changed_at:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Confirmer:
    """Who confirms. ``factor_since`` is when the second factor that they showed just now was set up; None: none was
    shown."""

    name: str
    marks: Collection[str] = ()
    factor_since: datetime | None = None


def objection(changes: Sequence[AccountChange], seen: Collection[UUID], user: str, confirmer: Confirmer) -> str | None:
    """Return why these changes of a user's account can't be confirmed by that person, or None if they can.

    ``changes`` are all that nobody confirmed yet, ``seen`` the ids of those that were shown to the person.
    """
    if not changes:
        return f"nothing of {user} waits to be confirmed"
    if unseen := [each.in_words for each in changes if each.id not in seen]:
        return f"{'; '.join(unseen)}, since this was shown; look again"
    if confirmer.name == user:
        if forgotten := [each.in_words for each in changes if each.act is AccountAct.MARKS_FORGOTTEN]:
            return f"{'; '.join(forgotten)}; another administrator must confirm it"
        since = confirmer.factor_since
        if since is None or any(since + _SURELY_BEFORE >= each.changed_at for each in changes):
            return "only a second factor that is older than the change confirms it; ask another administrator"
        return None
    for each in changes:
        if each.changed_by == confirmer.name or not set(each.changed_by_marks).isdisjoint(confirmer.marks):
            return f"{each.in_words}; somebody else must confirm it"
    return None
