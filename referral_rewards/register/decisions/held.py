"""The subject of a decision under its locks, and what follows once the decision is recorded."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.decisions.subject import Subject

#: What is done in the transaction that recorded the decision: at least it wakes whoever carries the decision out.
Follow = Callable[[AsyncConnection, Decision, datetime], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Held:
    """A subject that can't change until the transaction ends."""

    subject: Subject
    follow: Follow
