"""Clawbacks: recovering a reward that turned out not to be earned after it was paid; their ids and states.

A fact opens a case for each leg that it affects, and the case waits for a person. Each decision to recover creates one
clawback: an intent with its own key, like a payout.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

_CASE_NAMESPACE: Final = UUID("8c1f2a52-3f5b-5d0e-9f27-61b0f4a1c6d3")
_CLAWBACK_NAMESPACE: Final = UUID("b7e0c9d4-52a8-5a41-8f3c-0d9e7a6b2f15")


class CaseState(StrEnum):
    """The state of a case. A frozen one waits for the end of a dispute; nothing is taken back meanwhile."""

    OPEN = "open"
    FROZEN = "frozen"
    DECIDED = "decided"
    DISMISSED = "dismissed"


#: A person has not decided on it yet.
UNDECIDED: Final = frozenset({CaseState.OPEN, CaseState.FROZEN})


class ClawbackKind(StrEnum):
    """How a reward is recovered, or that it is written off."""

    REVERSE = "reverse"
    OFFSET = "offset"
    WRITE_OFF = "write_off"


class ClawbackState(StrEnum):
    """The state of a clawback."""

    APPROVED = "approved"
    REVERSING = "reversing"
    UNKNOWN = "unknown"
    MANUAL_REVIEW = "manual_review"
    REVERSED = "reversed"
    PARTLY_REVERSED = "partly_reversed"
    UNRECOVERABLE = "unrecoverable"
    OFFSETTING = "offsetting"
    OFFSET = "offset"
    WRITTEN_OFF = "written_off"


_S = ClawbackState
#: A reversal's outcome is known: ``recovered_minor`` is the amount recovered.
REVERSAL_ENDED: Final = frozenset({_S.REVERSED, _S.PARTLY_REVERSED, _S.UNRECOVERABLE})
#: What was recovered will not become more.
RECOVERY_ENDED: Final = REVERSAL_ENDED | {_S.OFFSET}

#: Which state may follow which. A reversal never returns to a state from before it was sent.
TRANSITIONS: Final[Mapping[ClawbackState, frozenset[ClawbackState]]] = {
    # Never sent: the payment itself came back first, or no valid decision covers it.
    _S.APPROVED: frozenset({_S.REVERSING, _S.UNRECOVERABLE, _S.MANUAL_REVIEW}),
    _S.REVERSING: REVERSAL_ENDED | {_S.UNKNOWN, _S.MANUAL_REVIEW},
    _S.UNKNOWN: REVERSAL_ENDED | {_S.MANUAL_REVIEW},
    # A person has checked with the provider.
    _S.MANUAL_REVIEW: frozenset({_S.REVERSED, _S.UNRECOVERABLE}),
    # The payout that it was deducted from came back, or the payment that it was to recover did.
    _S.OFFSETTING: frozenset({_S.OFFSET, _S.UNRECOVERABLE}),
    _S.OFFSET: frozenset({_S.OFFSETTING, _S.UNRECOVERABLE}),
    _S.REVERSED: frozenset(),
    _S.PARTLY_REVERSED: frozenset(),
    _S.UNRECOVERABLE: frozenset(),
    _S.WRITTEN_OFF: frozenset(),
}

#: A reversal whose outcome a workflow still has to find out.
UNDER_WAY: Final = frozenset({_S.APPROVED, _S.REVERSING, _S.UNKNOWN})
#: The amount not recovered is released to the leg, so that a new decision can cover it.
GIVEN_UP: Final = frozenset({_S.PARTLY_REVERSED, _S.UNRECOVERABLE})
#: It may have been sent, and its outcome is unknown.
IN_DOUBT: Final = frozenset({_S.REVERSING, _S.UNKNOWN, _S.MANUAL_REVIEW})
#: It is deducted from the payee's later payouts.
OFFSETS: Final = frozenset({_S.OFFSETTING, _S.OFFSET})
#: Owed to us by the payee, according to the books.
CLAIMED: Final = UNDER_WAY | {_S.MANUAL_REVIEW, _S.OFFSETTING}


def case_id(leg: UUID, fact: UUID) -> UUID:
    """Return the id of the case that a fact opens for a leg: the same however often the fact is judged."""
    return uuid5(_CASE_NAMESPACE, f"{leg}\x00{fact}")


def clawback_id(decision: UUID) -> UUID:
    """Return the id of the clawback that a decision creates: the same however often the decision is carried out."""
    return uuid5(_CLAWBACK_NAMESPACE, str(decision))
