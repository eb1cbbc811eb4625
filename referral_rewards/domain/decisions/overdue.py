"""How long a claim may wait for its approvers before they are reminded, and before others are told (SPEC §6).

Neither ever decides anything: what is overdue stays pending.
"""

from dataclasses import dataclass
from datetime import datetime

from referral_rewards.domain.programs.terms import Terms


@dataclass(frozen=True, slots=True)
class Patience:
    """From when on a waiting claim is overdue, and from when on it is escalated."""

    remind_at: datetime
    escalate_at: datetime


def patience(since: datetime, terms: Terms) -> Patience:
    """The instants for a claim that has been before its approvers ``since``, on the program's calendar."""
    return Patience(terms.end(since, terms.approval.remind_after), terms.end(since, terms.approval.escalate_after))
