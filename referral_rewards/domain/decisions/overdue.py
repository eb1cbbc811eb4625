"""How long a claim may wait before its approvers are reminded, and before it is escalated (SPEC §6).

Neither decides anything: an overdue claim stays pending.
"""

from dataclasses import dataclass
from datetime import datetime

from referral_rewards.domain.programs.terms import Terms


@dataclass(frozen=True, slots=True)
class Patience:
    """When a waiting claim becomes overdue, and when it is escalated."""

    remind_at: datetime
    escalate_at: datetime


def patience(since: datetime, terms: Terms) -> Patience:
    """Return both instants for a claim that has waited for approval ``since``, on the program's calendar."""
    return Patience(terms.end(since, terms.approval.remind_after), terms.end(since, terms.approval.escalate_after))
