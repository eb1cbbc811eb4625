"""What the erasing of a person waits for: an open claim or payment of theirs (SPEC §11)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from referral_rewards.domain.clawbacks.states import CLAIMED, OFFSETS, UNDECIDED, CaseState, ClawbackState
from referral_rewards.domain.payouts.states import OVER, OWED, LegState, PayoutState
from referral_rewards.domain.referrals.lifecycle import CLOSED, ReferralStatus

_S = ReferralStatus

#: Nothing was claimed yet, or all is decided and paid. In these a person's data is needed no more; a fact that comes
#: later is judged by the marks, which stay.
AT_REST: Final = CLOSED | {_S.INVITED, _S.PURCHASED_UNCLAIMED, _S.REWARDED}


@dataclass(frozen=True, slots=True)
class Affairs:
    """A person's referrals, on either side, and their rewards, payments and what is being taken back of them."""

    referrals: tuple[tuple[str, ReferralStatus], ...] = ()
    legs: tuple[tuple[UUID, LegState], ...] = ()
    payouts: tuple[tuple[UUID, PayoutState], ...] = ()
    cases: tuple[tuple[UUID, CaseState], ...] = ()
    clawbacks: tuple[tuple[UUID, ClawbackState], ...] = ()


def waits_for(its: Affairs) -> tuple[str, ...]:
    """Return what is open, each in a few words with its id; empty: the person can be erased."""
    return tuple(_open(its))


def _open(its: Affairs) -> Iterable[str]:
    yield from (f"referral {name} is {_words(status)}" for name, status in its.referrals if status not in AT_REST)
    yield from (f"reward {name} is {_words(state)}" for name, state in its.legs if state in OWED)
    yield from (f"payout {name} is {_words(state)}" for name, state in its.payouts if state not in OVER)
    yield from (f"clawback case {name} is {_words(state)}" for name, state in its.cases if state in UNDECIDED)
    # What is to be deducted from later payouts needs nothing but the payee's id.
    moving = CLAIMED - OFFSETS
    yield from (f"clawback {name} is {_words(state)}" for name, state in its.clawbacks if state in moving)


def _words(state: str) -> str:
    return state.replace("_", " ")
